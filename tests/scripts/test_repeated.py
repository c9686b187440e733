"""Repeated application: orbits of maps whose orbits are known, and the study from end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pnp_recon.datasets.folders import TrainingData
from scripts.protocol import Rows
from scripts.studies.repeated.networks import Trial, train
from scripts.studies.repeated.orbits import LOST, SHOWN, orbit
from scripts.studies.repeated.report import draw, orbit_file, table


def pictures() -> tuple[Tensor, Tensor]:
    clean = torch.full((2, 1, 4, 4), 0.25)
    return clean, 2 * clean


def test_a_contraction_comes_to_rest_and_an_expansion_is_lost() -> None:
    clean, y = pictures()
    held = orbit(lambda x: clean + (x - clean) / 2, y, clean, 40)
    assert held.applied == [k for k in SHOWN if k <= 40]
    assert held.quotient == pytest.approx(0.5, abs=1e-3)
    assert held.lost is None
    assert held.norms[-1] == pytest.approx(0.5, abs=1e-4)
    assert held.psnr[0] == pytest.approx(-20 * torch.tensor(0.125).log10().item(), abs=1e-3)
    assert held.steps[0] == pytest.approx(0.25)
    broken = orbit(lambda x: clean + 1.5 * (x - clean), y, clean, 100)
    assert broken.quotient == pytest.approx(1.5, abs=1e-3)
    assert broken.lost is not None
    assert 0.5 * 1.5 ** (broken.lost - 1) <= LOST < 1.5**broken.lost
    assert max(broken.applied) < broken.lost


def test_the_quotient_is_of_the_worst_picture() -> None:
    clean, y = pictures()
    factor = torch.tensor([0.5, 1.2])[:, None, None, None]
    assert orbit(lambda x: clean + factor * (x - clean), y, clean, 5).quotient == pytest.approx(1.2)


def test_table_and_figure_take_lost_orbits(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "rows.jsonl")
    clean, y = pictures()
    for name, factor in (("calm", 0.5), ("wild", 3.0)):
        found = orbit(lambda x, f=factor: clean + f * (x - clean), y, clean, 1000)  # type: ignore[misc]
        key = {"model": name, "level": 25.0}
        rows.add(
            **key, applied=found.applied, norms=found.norms, psnr=found.psnr, steps=found.steps,
            quotient=found.quotient, lost=found.lost,
        )  # fmt: skip
        torch.save(torch.cat([clean[:1], y[:1], *found.pictures]), orbit_file(tmp_path, **key))
    text = table(rows)
    assert "| calm | 25 | 0.75 / 0.5 / 0.5 / 0.5 |" in text
    assert " – / – | " in text
    assert "| never |" in text
    draw(rows, tmp_path, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


@pytest.mark.parametrize("batch_norm", [False, True])
def test_weights_are_kept_along_a_training(tmp_path: Path, batch_norm: bool) -> None:
    trial = Trial(25.0, batch_norm, depth=4, width=4, kept=(1, 3))
    pictures = [torch.randint(256, (1, 40, 40), dtype=torch.uint8)]
    data = TrainingData(pictures, pictures, {})
    said: list[str] = []
    found = train(trial, data, tmp_path, said.append)
    assert len(said) == 2
    x = torch.rand(1, 1, 8, 8)
    early, late = (found[step](x) for step in (1, 3))
    assert not torch.equal(early, late)
    norms = [part for part in found[3].modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert len(norms) == (2 if batch_norm else 0)
    again = train(trial, data, tmp_path, said.append)  # from the folder
    assert len(said) == 2
    assert torch.equal(again[3](x), late)
