"""The table of Runge–Kutta denoisers: flow times that are known, and means of rows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pnp_recon import load_denoiser
from pnp_recon.pictures.files import write_picture
from scripts.protocol import Rows
from scripts.studies.equivariance.denoisers import deblur, denoise
from scripts.studies.runge_kutta import facts, table


def test_rows_of_one_picture_make_a_table(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    generator = torch.Generator().manual_seed(0)
    write_picture(picture, torch.rand(1, 1, 40, 48, generator=generator))
    rows, model = Rows(tmp_path / "rows.jsonl"), load_denoiser("euler_grey")
    facts(rows, "euler_grey", model, picture)
    denoise(rows, "euler_grey", model, [picture])
    for noise in (2.55, 7.65):
        rows.add(task="deblur", model="euler_grey", picture="a.png", noise=noise, psnr=25.0,
                 certified=True)  # fmt: skip
    found = next(row for row in rows.rows if row["task"] == "facts")
    assert found["proven_time"] == 2.0  # Euler: 2r/s = 2
    assert found["flow_time"] == pytest.approx(2 * 7.49, abs=0.05)
    assert (found["evaluations"], found["parameters"]) == (8, 74184)
    text = table(rows)
    assert "| euler × 8 | 8 | 74184 | 2 | 15.0 | 0.99156 |" in text
    assert "| 25.00 / 25.00 | 2 of 2 |" in text
    denoise(rows, "euler_grey", model, [picture])  # rows that are there are not made again
    deblur(rows, "euler_grey", model, [picture], turn=False)
    assert len(rows.rows) == 6
