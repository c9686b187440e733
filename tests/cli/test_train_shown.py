"""What `pnp-train` prints is complete in a terminal of any width, and without one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import rich.console

from pnp_recon.cli.model_check import print_table
from pnp_recon.cli.train import display
from pnp_recon.models.family import Check, Row
from pnp_recon.training.trainer import Progress as LogLine
from support.training import RECIPE, trainer

PSNR = {f"psnr_{level}": 30.0 + level for level in (5, 15, 25, 50)}
WHAT = "(N−(1−α)I)/α, Lipschitz"
FOUND = Check(
    "a_model_with_a_rather_long_name",
    [],
    rows=[Row(WHAT, 1.0, 1.0, 0.9993983, ""), Row("block 0, α", 0.9429302, 0.9429301, None, "x")],
)
WIDTHS = [20, 60, 80, 200]


@pytest.fixture(params=[(True, width) for width in WIDTHS] + [(False, 80)], ids=str)
def shown(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is written to terminals of several widths, and to a pipe."""
    terminal, width = request.param
    file = io.StringIO()

    class Stub(rich.console.Console):
        def __init__(self, **options: Any) -> None:
            options = {"width": width, **options, "file": file, "force_terminal": terminal}
            super().__init__(**options, color_system=None, legacy_windows=False)

    monkeypatch.setattr(rich.console, "Console", Stub)
    monkeypatch.setattr(display, "Console", Stub)
    return file


def test_a_validation_is_one_line(shown: io.StringIO, tmp_path: Path) -> None:
    watched = display.TrainingDisplay(trainer(tmp_path, RECIPE), quiet=False, tensorboard=False)
    watched.report(LogLine(3000, 1.2345, 12.3, PSNR))
    line = "step 3000  loss 1.2345  PSNR(5/15/25/50) 35.00 45.00 55.00 80.00  12 s"
    assert line in shown.getvalue().splitlines()


def test_a_bar_that_is_shown_is_whole(shown: io.StringIO, tmp_path: Path) -> None:
    watched = display.TrainingDisplay(trainer(tmp_path, RECIPE), quiet=False, tensorboard=False)
    if not watched.bar.disable:
        watched.console.print(watched.bar.get_renderable())
        assert "loss –" in shown.getvalue()  # and not "nan", before there was a step
        watched.bar.update(watched.task, total=100_000)
        watched.tick(99_999, 1.234)
        watched.console.print(watched.bar.get_renderable())
        assert "loss 1.234" in shown.getvalue()
        assert "…" not in shown.getvalue()
        assert "step 99999/100000" in shown.getvalue()
        assert "left" in shown.getvalue()


def test_checked_constants_are_whole(shown: io.StringIO) -> None:
    print_table(FOUND)
    text = shown.getvalue()
    assert f"{FOUND.name}: certificate recomputed in float64" in text.splitlines()
    (line,) = [line for line in text.splitlines() if WHAT in line]
    assert [word in line for word in ("1.0000000", "0.9993983", "yes")] == [True] * 3
    (line,) = [line for line in text.splitlines() if "block 0, α" in line]
    assert "NO" in line
    assert "…" not in text


def test_a_narrow_table_of_rich_loses_words() -> None:
    """The comparison can fail: left to itself the library folds and cuts."""
    from rich.table import Table

    file = io.StringIO()
    table = Table(WHAT, "card", "proven", "attained")
    table.add_row(WHAT, "1.0000000", "1.0000000", "0.9993983")
    rich.console.Console(file=file, width=40).print(table)
    assert not [line for line in file.getvalue().splitlines() if WHAT in line]
