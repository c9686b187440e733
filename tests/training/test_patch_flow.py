"""Training of patch flows: what it learns of a known density, from few pictures, again the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.networks.configs import PatchFlowConfig
from pnp_recon.networks.energies.patch_flow import PatchFlowNet
from pnp_recon.training.patch_flow.recipe import PatchFlowRecipe
from pnp_recon.training.patch_flow.task import PatchFlowTask
from pnp_recon.training.patch_flow.trainer import PatchFlowTrainer, flow_loss, patches, spaced
from pnp_recon.training.seeding import seeded
from support.training import pictures

RECIPE = {"steps": 6, "batch": 32, "patch": 3, "warmup": 2, "few": 2}


def flow(size: int = 3, hidden: int = 8) -> PatchFlowNet:
    with seeded(0):
        return PatchFlowNet(PatchFlowConfig(size=size, layers=2, hidden=hidden))


def trainer(folder: Path, **settings: float) -> PatchFlowTrainer:
    recipe = PatchFlowRecipe(**{**RECIPE, **settings})  # type: ignore[arg-type]
    return PatchFlowTrainer(flow(), recipe, pictures(), pictures()[:1], folder)


def bent(count: int, generator: torch.Generator) -> Tensor:
    """Patches of 2 numbers about a parabola: no Gaussian."""
    along = 0.2 * torch.randn(count, generator=generator)
    across = 0.02 * torch.randn(count, generator=generator)
    return 0.5 + torch.stack((along, 5 * along.square() - 0.2 + across), 1)


def learned(score: float, steps: int = 200) -> PatchFlowNet:
    with seeded(0):
        net = PatchFlowNet(PatchFlowConfig(channels=2, size=1, layers=4, hidden=16))
    generator = torch.Generator().manual_seed(0)
    net.whiten(bent(2000, generator))
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    level = torch.full((256,), 0.03)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        clean, noise = bent(256, generator), torch.randn(256, 2, generator=generator)
        loss = flow_loss(net, clean, level, noise, score)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.requires_grad_(False)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_it_learns_a_density_and_its_denoiser(score: float) -> None:
    net, generator = learned(score), torch.Generator().manual_seed(1)
    clean, noise = bent(2000, generator), torch.randn(2000, 2, generator=generator)
    noisy, level = clean + 0.03 * noise, torch.full((2000,), 0.03)

    def found() -> tuple[float, float]:
        _, slope = net.patch_cost(noisy, level, keep=True)
        assert slope is not None
        error = (noisy - 0.03**2 * slope - clean).square().mean()
        return float(net.log_density(noisy, level).mean()), float(error)

    height, error = found()
    # The best Gaussian of the same mean and covariance, with its denoiser, is the twin.
    net.couplings = net.couplings[:0]
    gaussian, wiener = found()
    assert height > gaussian + 0.5
    assert error < 0.9 * wiener


def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole, half = trainer(tmp_path / "a"), trainer(tmp_path / "b")
    for _ in range(6):
        whole.train_step()
    for _ in range(3):
        half.train_step()
    half.save()
    again = trainer(tmp_path / "b")
    for _ in range(3):
        again.train_step()
    pairs = zip(
        whole.network.state_dict().values(), again.network.state_dict().values(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)
    # The twin: another seed.
    other = trainer(tmp_path / "c", seed=1)
    other.train_step()
    names = whole.network.state_dict()
    assert any(not torch.equal(v, other.network.state_dict()[k]) for k, v in names.items())


def test_patches_come_from_few_pictures_and_are_turned_as_squares_are() -> None:
    many = [torch.full((1, 8, 8), k, dtype=torch.uint8) for k in range(20)]
    assert [int(p[0, 0, 0]) for p in spaced(many, 4)] == [2, 7, 12, 17]
    assert spaced(many, 0) == spaced(many, 30) == many
    drawn = patches(spaced(many, 4), 200, 3, torch.Generator().manual_seed(0))
    assert drawn.shape == (200, 9)
    assert set((255 * drawn).round().flatten().tolist()) == {2.0, 7.0, 12.0, 17.0}
    ramp = torch.arange(9.0).view(1, 3, 3) / 8
    seen = {
        tuple(patches([ramp], 1, 3, torch.Generator().manual_seed(k))[0].tolist())
        for k in range(60)
    }
    assert len(seen) == 8


def test_settings_that_cannot_be_are_refused() -> None:
    for settings in ({"few": -1}, {"score": -1.0}):
        with pytest.raises(InputError, match="at least 0"):
            PatchFlowRecipe(**settings)  # type: ignore[arg-type]


def test_patches_of_the_recipe_are_those_of_the_network() -> None:
    assert PatchFlowTask.defaults({"network": {"size": 5}})["recipe"] == {"patch": 5}
    assert PatchFlowTask.defaults({})["name"] == "patch_flow_grey"
