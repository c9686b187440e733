"""The study of patch flows and critics: it trains, tunes and writes its page, on tiny pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pnp_recon.models.load import load_energy
from scripts.protocol import Rows
from scripts.studies.patch_flow import __main__ as study
from scripts.studies.patch_flow import train as training
from scripts.studies.patch_flow.report import page
from scripts.studies.patch_flow.samples import langevin
from support.energies import clean


def pictures() -> list[Tensor]:
    return list(clean(side=100).float()[:, 0][:, None])


def test_flows_and_critics_are_trained_and_load(tmp_path: Path) -> None:
    flow = training.train_flow(pictures(), "flow", tmp_path, tmp_path / "run", steps=2)
    critic = training.train_critic(training.inverted(pictures()), "critic", tmp_path, steps=2)
    for path in (flow, critic):
        prior = load_energy(str(path))
        assert prior.channels == 1
        assert prior.ours
    assert load_energy(str(critic)).lipschitz(0.1) is not None
    assert load_energy(str(flow)).lipschitz(0.1) is None


def test_bad_pictures_are_as_far_from_good_ones_as_is_said() -> None:
    draw, generator = training.inverted(pictures()), torch.Generator().manual_seed(0)
    for _ in range(3):
        good, bad, level = draw(generator)
        assert good.shape == bad.shape == (1, 64, 64)
        found = float((bad - good).square().mean().sqrt())
        assert found == pytest.approx(level)
        assert found > 1e-3


def test_the_climb_stops_where_the_mean_falls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fake:
        problem, noise, key = "deblurring", 1.0, {"problem": "deblurring", "noise": 1.0}

    def record(rows: Rows, case: Fake, method: str, strength: float, models: Path) -> None:
        if not rows.has(method=method, strength=strength):
            height = -((strength - 1.5) ** 2)
            rows.add(**case.key, method=method, strength=strength, psnr=height)

    monkeypatch.setattr(study, "record", record)
    rows = Rows(tmp_path / "rows.jsonl")
    study.climb(rows, [Fake()], "TV", tmp_path)  # type: ignore[list-item]
    assert sorted(row["strength"] for row in rows.rows) == [1.0, 1.4, 2.0]
    assert study.best(rows, "deblurring", 1.0, "TV") == 1.4


def test_the_page_compares_with_tv_on_the_same_pictures(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "patch_flow.jsonl")
    for method, psnr in (("TV", 30.0), ("patch flow", 31.5)):
        for picture in "ab":
            row = {"problem": "deblurring", "noise": 2.55, "picture": picture, "method": method}
            rows.add(**row, psnr=psnr, ssim=0.9, seconds=1.0, theorem="critical point")
    text = page(rows, tmp_path)
    assert "| deblurring | 2.55 | patch flow | 97 k, six | critical point | 2 | 31.50" in text
    assert "+1.50 ± 0.00" in text


def test_a_chain_of_a_gaussian_finds_its_spread() -> None:
    """Twin of what is claimed of no other energy: of a quadratic one the spread is known."""

    class Quadratic:
        def gradient(self, x: Tensor, sigma: float) -> Tensor:
            return (x - 0.5) * sigma**2 / 0.1**2

    mask, y = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    start = torch.full_like(y, 0.5)
    mean, spread, _ = langevin(Quadratic(), mask, y, start, 500, 6000)
    assert float((mean - 0.5).abs().mean()) < 0.05
    assert float(spread.mean()) == pytest.approx(0.1, rel=0.15)
