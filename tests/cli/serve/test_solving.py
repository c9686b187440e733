"""A run of the worker, in this process: what a preview may cost, and what a kill may leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pnp_recon.cli.serve import previewing, solving
from pnp_recon.cli.serve.looking import look
from pnp_recon.cli.serve.solving import Solver
from support.served import blurred, encoded

REQUEST = {
    "folder": "job",
    "name": "photo.png",
    "wrong": "moved",
    "numbers": {"length": 5, "angle": 0},
    "files": {},
    "strength": 1.0,
    "warm": False,
}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the events of a job whose picture was looked at, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("photo.png").write_bytes(encoded(blurred(24)))
    look(REQUEST, lambda *_, **__: None)
    return []


def solve(told: list[str], **changed: Any) -> dict[str, Any]:
    def tell(event: str, **_: Any) -> None:
        told.append(event)

    found: dict[str, Any] = Solver(10**6).solve({**REQUEST, **changed}, tell)["result"]
    return found


def test_a_preview_that_breaks_costs_the_preview_alone(
    told: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a defect of the preview")

    monkeypatch.setattr(previewing, "_show", broken)
    found = solve(told)
    assert found["holds"]
    assert found["steps"].endswith("from a start of 8 steps")
    assert "preview" not in told
    assert "a defect of the preview" in capsys.readouterr().err  # in the server's terminal


def test_what_is_killed_while_it_writes_begins_at_the_result_of_before(
    told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    solve(told)
    assert "preview" in told
    before = {path.name: path.read_bytes() for path in Path("out").iterdir() if path.is_file()}
    target = Path("photo_deblurred.png")
    assert before["result"] == target.read_bytes()

    class KilledError(BaseException):
        """What no code catches."""

    def killed(_: Any, file: Any) -> None:
        file.write(b"half of it")
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", killed)
        with pytest.raises(KilledError):
            solve(told, strength=2.0, warm=True)
    for name in ("last.pt", "before.png", "after.png", "result", "report.zip"):
        assert (Path("out") / name).read_bytes() == before[name]
    # Twin: the command's own file is that of the run that was killed.
    assert target.read_bytes() != before["result"]
    torch.load(solving.LAST, weights_only=True)
    # Twin: half of a file in its place would fail every run that begins there.
    solving.LAST.write_bytes(before["last.pt"][:100])
    with pytest.raises(Exception, match=r"zip|archive|load"):
        torch.load(solving.LAST, weights_only=True)
