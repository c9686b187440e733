"""The study of the reversible network: rows of one step, and the page that is made of rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from scripts.protocol import Rows
from scripts.studies.reversible import memory, report
from scripts.studies.reversible.runs import configuration


@pytest.fixture(autouse=True)
def small_scans(monkeypatch: pytest.MonkeyPatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(memory, "SIDE", 16)
    yield
    torch.set_num_threads(before)


def test_gradients_agree_on_the_grid_and_nearly_without() -> None:
    row = memory.exactness(3)
    assert row["grid float32"] == row["grid bf16"] == 0
    assert 0 < row["free float32"] < 1e-4


@pytest.mark.parametrize("mode", memory.MODES)
def test_a_row_of_memory(mode: str) -> None:
    row = memory.measure("reversible", 3, mode)
    assert row["peak_mb"] >= 0
    assert row["seconds"] > 0
    assert row["width"] == configuration("C1").width
    made = memory.build("reversible", 3, mode)
    assert made.checkpointing == (mode == "checkpointed")
    assert made.reversing == (mode == "reversible")


def test_the_page_has_every_network(tmp_path: Path) -> None:
    """Of rows as they are, of shallow networks whose steps are the same."""
    rows = Rows(tmp_path / "reversible.jsonl")
    for depth in (8, 32):
        for mode, peak in zip(memory.MODES, (4.0 * depth, 2.0 * depth, 9.0), strict=True):
            key = {"kind": "memory", "cell": "reversible", "depth": depth, "mode": mode}
            rows.add(**key, width=16, parameters=66, peak_mb=peak, seconds=0.1 * depth)
    rows.add(**{"kind": "exactness", "depth": 8, "grid float32": 0.0, "grid bf16": 0.0},
             **{"free float32": 1e-6, "free bf16": 1e-4})  # fmt: skip
    scores = {
        t: {"psnr": [30.0, 32.0], "ssim": [0.9]} for t in ("val", "val turned", "val rotated")
    }
    shared = {"seed": 0, "steps": 800, "scores": scores, "seconds": 600.0, "parameters": 66}
    for group in ("C1", "C4"):
        rows.add(cell="reversible", group=group, depth=32, width=16, **shared)
    with (tmp_path / "equivariance_ct.jsonl").open("w", encoding="utf-8") as file:
        file.write(json.dumps({"group": "C4", "scans": 136, "width": 48, **shared}) + "\n")
    report.write(tmp_path, tmp_path)
    text = (tmp_path / "reversible.md").read_text(encoding="utf-8")
    assert "| reversible, 16 channels | 32 | 66 | 128 | 3.20 | 64 | 3.20 | 9 | 3.20 |" in text
    assert "| 8 | 0 | 0 | 1e-06 | 1e-04 |" in text
    assert (
        "| 800 | plain, equivariant (C4) | 8 | 48 | 0 | 66 | 31.00 | 0.900 | 31.00 | 31.00 | | |"
        in text
    )
    assert (
        "| 800 | reversible, ordinary | 32 | 16 | 0 | 66 | 31.00 | 0.900 | 31.00 | 31.00 | 9 | "
        "42.7 |" in text
    )
    assert (tmp_path / "reversible_memory.png").exists()
