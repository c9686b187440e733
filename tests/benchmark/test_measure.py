"""Time, memory and quality of a cell, on things whose answer is known."""

from __future__ import annotations

import sys

import pytest
import torch

from pnp_recon.benchmark import measure
from pnp_recon.benchmark.rows import COLUMNS, Row, from_fields, header, to_line
from pnp_recon.errors import InputError
from pnp_recon.pictures import metrics

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak")


def allocate(megabytes: int) -> float:
    return float(torch.ones(megabytes * 250_000).sum())


@LINUX
def test_peak_memory_is_of_the_call_alone() -> None:
    _, _, large = measure.timed(lambda: allocate(200), 1, "cpu")
    _, _, small = measure.timed(lambda: allocate(20), 1, "cpu")
    assert large is not None
    assert small is not None
    assert 190 < large < 260
    assert small < 60  # a plain high-water mark would still say 200


class Clock:
    """Goes on by what a call is said to take, whatever the machine does meanwhile."""

    def __init__(self, *pauses: float) -> None:
        self.now, self.pauses = 100.0, iter(pauses)

    def perf_counter(self) -> float:
        return self.now

    def call(self) -> None:
        self.now += next(self.pauses)


@pytest.mark.parametrize(
    ("pauses", "median"), [((0.0, 0.25, 0.0), 0.0), ((0.25, 0.25, 0.0), 0.25), ((3, 1, 2), 2)]
)
def test_seconds_are_the_median(
    pauses: tuple[float, ...], median: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(*pauses)
    monkeypatch.setattr(measure, "time", clock)
    assert measure.timed(clock.call, 3, "cpu")[1] == median


def test_memory_that_nobody_tells_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PROCESS", measure.Path("/nonexistent"))
    assert measure.timed(lambda: 1, 1, "cpu")[2] is None


def test_scores_leave_out_what_is_no_number() -> None:
    x = torch.rand(1, 1, 8, 8)
    found = measure.scores(x, x, None)
    assert found["psnr"] is None  # infinite
    assert found["ssim"] is None  # smaller than the window
    assert "psnr_input" not in found


def test_conditions_name_versions() -> None:
    found = measure.conditions()
    assert "torch" in found["versions"]
    assert "pnp-recon" in found["versions"]


def test_the_manifest_names_the_device_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measure.about("cpu")["environment"]["device"] == "cpu"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    found = measure.about("cuda")["environment"]
    assert (found["device"], found["device_name"]) == ("cuda", "a GPU")


# ---- LPIPS --------------------------------------------------------------------------------


def test_lpips_is_nothing_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    metrics._lpips.cache_clear()
    x = torch.rand(1, 3, 64, 64)
    assert metrics.lpips(x, x) is None
    metrics._lpips.cache_clear()


def test_lpips_gives_one_number_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def network(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        seen.append((a.shape, float(a.max())))
        return (a - b).abs().mean((1, 2, 3))

    monkeypatch.setattr(metrics, "_lpips", lambda device: network)
    x, y = 2 * torch.rand(2, 1, 64, 64), torch.zeros(2, 1, 64, 64)
    found = metrics.lpips(x, y)
    assert found is not None
    assert found.shape == (2,)
    assert seen[0][0] == (2, 3, 64, 64)
    assert seen[0][1] <= 1
    assert metrics.lpips(x[..., :32], y[..., :32]) is None
    with pytest.raises(InputError):
        metrics.lpips(x, y[:1])


# ---- rows ---------------------------------------------------------------------------------


def a_row(**fields: object) -> Row:
    usual = {
        "suite": "denoise", "problem": "gaussian noise", "noise": 5.0, "picture": "a.png",
        "split": "all", "method": "m", "channels": 1, "seed": 0, "status": "done",
    }  # fmt: skip
    return Row(**{**usual, **fields})  # type: ignore[arg-type]


def parse(line: str) -> Row:
    import csv

    return from_fields(dict(zip(COLUMNS, next(csv.reader([line])), strict=True)))


def test_rows_survive_csv() -> None:
    row = a_row(
        psnr=1 / 3,
        iterations=7,
        parameters={"a": 0.1, "size": 3},
        message='a "word", and a comma',
        alpha=None,
    )
    assert parse(to_line(row)) == row
    assert header().count(",") == to_line(a_row()).count(",")


def test_a_message_of_several_lines_stays_one_row() -> None:
    assert to_line(a_row(message="one\ntwo\r\nthree")).count("\n") == 1


@pytest.mark.parametrize(("field", "value"), [("noise", "five"), ("channels", "x"), ("seed", "")])
def test_damaged_rows_are_refused(field: str, value: str) -> None:
    import csv

    cells = dict(zip(COLUMNS, next(csv.reader([to_line(a_row())])), strict=True))
    if value:
        with pytest.raises(InputError, match="damaged"):
            from_fields({**cells, field: value})
    del cells[field]
    with pytest.raises(InputError, match="no column"):
        from_fields(cells)
