"""The study of false constants: its maps are what they say, a small run writes its tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from scripts.protocol import DOCS, RESULTS, Rows
from scripts.studies.false_constants.__main__ import main
from scripts.studies.false_constants.maps import KINDS, SIDE
from scripts.studies.false_constants.report import rates
from scripts.studies.false_constants.runs import cases


@pytest.mark.parametrize("kind", ["high frequencies", "low frequencies", "patch"])
def test_a_kind_expands_by_its_size_and_the_twin_by_nothing(kind: str) -> None:
    z = torch.rand(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    d = torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    for size in (0.0, 0.05):
        grown = KINDS[kind](lambda x: 0.5 + 0.5 * (x - 0.5), size, 3)
        # Half of what lies outside, 1 + size of what lies inside.
        inside = (grown(z + d) - grown(z) - 0.5 * d) / (0.5 + size)
        ratio = (grown(z + inside) - grown(z)).norm() / inside.norm()
        assert float(ratio) == pytest.approx(1 + size, rel=1e-4)


def test_a_small_run_is_written_and_goes_on(tmp_path: Path) -> None:
    arguments = ["--each", "1", "--base", "Haar", "--results", str(tmp_path)]
    main(["run", "--limit", "2", *arguments])
    main(["run", "--limit", "3", *arguments])
    rows = Rows(tmp_path / "false_constants.jsonl").rows
    assert [row["size"] for row in rows] == [0.0, 0.01, 0.05]
    assert [row["challenge"] for row in rows] == [False, True, True]
    main(["report", *arguments])
    assert "## By size" in (tmp_path / "false_constants.md").read_text()


def test_all_ways_take_turns() -> None:
    ways = {(case.solver, case.acceleration, case.problem) for case in cases(1)}
    assert len(ways) == 24


def test_the_page_says_what_was_measured() -> None:
    """docs/theory.md: the shares of runs that laws and challenge contradict, at each size."""
    rows = Rows(RESULTS / "false_constants.jsonl").rows
    text = " ".join((DOCS / "theory.md").read_text(encoding="utf-8").split())
    for field, words in (
        ("laws", "the laws of the iterates"),
        ("challenge", "the pairs of the challenge"),
    ):
        shares = []
        for size in (0.01, 0.05, 0.5):
            found = rates([row for row in rows if row["size"] == size])
            assert found["runs"] >= 54
            shares.append(f"{100 * found[field] / found['runs']:.0f}")
        stated = re.findall(rf"{words} contradict ([\d/ ]+) %", text)
        assert stated == [" / ".join(shares)]
    twins = rates([row for row in rows if row["size"] == 0])
    assert twins["either"] == 0
