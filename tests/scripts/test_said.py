"""What is said before a run, beside what it takes: one small run in a process of its own."""

from __future__ import annotations

from pathlib import Path

from scripts.tables import said


def test_a_run_is_watched(tmp_path: Path) -> None:
    one = said.measured("memory", next(iter(said.CASES)), 64)
    assert one["values"] == 3 * 64**2
    assert one["peak"] > one["held"] > 0
    assert one["stated"] > 0
    assert one["said"] is None  # soon over
    assert one["taken"] > 0
