"""The long CT runs of the equivariance study: cases, turned scans, tables."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pnp_recon.models.store import find_card, read_card
from scripts.protocol import RESULTS, Rows
from scripts.studies.equivariance.ct_data import Archive
from scripts.studies.equivariance.ct_long import CASES, STEPS, looks, network, quarter_turns
from scripts.studies.equivariance.ct_long_report import LOOK, gain, table
from scripts.studies.equivariance.ct_models import MODELS
from scripts.studies.equivariance.ct_models import table as models_table


@pytest.mark.parametrize("name", ["C4", "C4 upright", "C1"])
def test_free_last_filters_know_the_way_up(name: str) -> None:
    update = network(CASES[name]).updates[0].double()
    x = torch.rand(1, 7, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, after = update(torch.rot90(x, 1, (2, 3))), torch.rot90(update(x), 1, (2, 3))
    error = float((before - after).norm() / after.norm())
    assert error < 1e-12 if name == "C4" else error > 0.05


def test_sizes_of_the_cases() -> None:
    counts = {name: sum(p.numel() for p in network(CASES[name]).parameters())
              for name in ("C1", "C4", "C4 upright", "C4 96")}  # fmt: skip
    assert counts["C1"] == 211_592
    assert counts["C4"] == 52_904
    # Eight iterations' last filters, 48 → 6 channels of 3×3, in place of a quarter of them.
    assert counts["C4 upright"] == counts["C4"] + 8 * 48 * 6 * 9 * 3 // 4
    assert counts["C4 96"] < counts["C1"]


def test_turned_scans_have_noise_of_their_own() -> None:
    archive = Archive(torch.arange(8.0).reshape(2, 1, 2, 2), [3, 1500])
    turns = quarter_turns(archive)
    numbers = [n for turn in turns for n in turn.numbers]
    assert len(set(numbers + archive.numbers)) == 8
    back = torch.rot90(turns[0].slices, -1, (2, 3))
    assert torch.equal(back, archive.slices)
    assert not torch.equal(turns[0].slices, archive.slices)


def made_up(path: Path) -> Rows:
    rows = Rows(path)
    for name, seed, value in (("C1", 0, 35.0), ("C4", 0, 34.5), ("C4", 1, 34.75)):
        scores = {"psnr": [value, value + 1], "ssim": [0.9, 0.91]}
        tests = dict.fromkeys(("val", "val turned", "val rotated", "train"), scores)
        curve = [30 + i / 10 for i in range(STEPS // LOOK)]
        rows.add(case=name, seed=seed, steps=STEPS, parameters=7, looks=curve, scores=tests)
    return rows


def test_gains_are_paired_by_seed(tmp_path: Path) -> None:
    rows = made_up(tmp_path / "rows.jsonl")
    assert [gain(rows, row) for row in rows.rows] == ["", "-0.50 / -0.50", "no run"]
    text = table(rows)
    assert "| equivariant (C4) | 48 | 7 | 0 | 30.30 | 30.70 | 35.00 | 0.905 | 35.00 |" in text
    assert "seeds 0, 1 " in text


def test_looks_are_read_from_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("step,loss,seconds,psnr_val\n250,1,2,34.05607\n500,1,3,34.3\n")
    assert looks(log) == [34.0561, 34.3]


# ---- shipped networks -------------------------------------------------------------------------


def test_the_table_of_full_size_is_of_the_weights_that_are_shipped() -> None:
    rows = Rows(RESULTS / "equivariance_ct_models.jsonl")
    for name in MODELS:
        sha256 = read_card(find_card(name), "network").sha256[:12]
        row = next(r for r in rows.rows if r["model"] == name and r["sha256"] == sha256)
        assert f"| {name} | {sha256} (shipped) |" in models_table(rows)
        rows.rows.remove(row)
        # Twin: rows of other weights are not of these.
        assert f"| {sha256} (shipped)" not in models_table(rows)
