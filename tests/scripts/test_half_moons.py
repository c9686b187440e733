"""Half-moons: the points are as described, the study runs from end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pnp_recon.networks.invertible.density import mass_on_grid
from scripts.studies.half_moons.__main__ import log_density, main
from scripts.studies.half_moons.data import moons
from scripts.studies.half_moons.models import MODELS

pytest.importorskip("torchdiffeq")
pytest.importorskip("zuko")


def test_points_have_mean_zero_and_variance_one() -> None:
    points = moons(100_000, 0)
    assert float(points.mean(0).abs().max()) < 0.01
    assert float((points.std(0) - 1).abs().max()) < 0.01
    assert torch.equal(points[:10], moons(100_000, 0)[:10])
    assert not torch.equal(points[:10], moons(100_000, 1)[:10])


@pytest.mark.filterwarnings("ignore")  # of packages that are called
@pytest.mark.parametrize("name", ["continuous (torchdiffeq)", "spline (zuko)"])
def test_flows_of_others_have_mass_one(name: str) -> None:
    torch.manual_seed(0)
    net = MODELS[name]().eval().requires_grad_(False)
    assert mass_on_grid(log_density(net), 6.0, 70) == pytest.approx(1.0, abs=5e-3)


@pytest.mark.filterwarnings("ignore")
def test_the_study_writes_its_page(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        main(quick=True, results=tmp_path, images=tmp_path)
    finally:
        torch.set_num_threads(before)
    text = (tmp_path / "half_moons.md").read_text(encoding="utf-8")
    assert text.count("| residual |") == 1
    assert "demonstration" in text
    assert (tmp_path / "half_moons.png").stat().st_size > 10_000
