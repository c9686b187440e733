"""`--timings`: stages follow each other without a gap, and each command names its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pnp_recon.cli.deblur import main
from pnp_recon.cli.run.timings import (
    WORDS,
    Stopwatch,
    in_short,
    since_the_process_began,
    timings_line,
)
from support.pictures import pillow_picture

BLUR = ["--simulate", "--kernel", "gaussian", "--denoiser", "median", "--max-iter", "2"]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_stages_add_up_to_the_time_that_passed() -> None:
    clock = Clock()
    watch = Stopwatch(clock)
    for now, stage in ((1, "read"), (3, "iterations"), (4, "read"), (6, "iterations")):
        clock.now = now
        watch.to(stage)
    clock.now = 16
    watch.part("strength", 4)
    watch.part("forecast", 99)  # no more than there was
    watch.to(None)
    clock.now = 50
    watch.to(None)
    assert watch.seconds == {"read": 4, "iterations": 1, "strength": 4, "forecast": 6}
    assert timings_line(watch.seconds).endswith("total 15.00")
    assert set(watch.seconds) <= set(WORDS)
    assert in_short(watch.seconds) == {"prepare": 4, "reconstruct": 11, "total": 15}
    assert in_short({"start": 1, "write": 2}) == {"prepare": 0, "reconstruct": 0, "total": 3}


def test_a_command_prints_them_where_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "a.png"
    pillow_picture((40, 36)).save(source)
    assert main([str(source), *BLUR, "--timings"]) == 3
    (said,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("seconds:")]
    assert all(WORDS[stage] in said for stage in ("read", "estimate", "strength", "iterations"))
    assert main([str(source), *BLUR, "--overwrite"]) == 3
    assert "seconds:" not in capsys.readouterr().out
    assert main([str(source), *BLUR, "--overwrite", "--json", "--timings"]) == 3
    found = json.loads(capsys.readouterr().out)["timings"]
    assert set(found) <= set(WORDS)
    start = since_the_process_began()
    assert start is None or found["start"] <= start
