"""Learned energies: gradients are gradients, denoisers are what they are called, all is smooth."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.configs import (
    CriticConfig,
    GradientStepConfig,
    PatchFlowConfig,
    RidgeConfig,
)
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.networks.energies.gradient_step import Block
from support.energies import (
    LEVELS,
    critic,
    gradient_step,
    patch_flow,
    random_pictures,
    ridge_net,
)
from support.samples import noise

SIZES = [(16, 24), (13, 18), (1, 5)]
# Rounding of a difference quotient in float64, relative to the slope.
ROUNDING = 1e-6
# Modules and functions whose kinks or batch statistics no smooth energy may have.
ROUGH = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.Hardtanh, nn.MaxPool2d, nn.BatchNorm2d)
ROUGH_OPERATIONS = ("relu", "hardtanh", "max_pool", "batch_norm", "abs", "clamp", "maximum")


MAKERS: dict[str, tuple[Callable[[], Energy], int]] = {
    "gradient-step grey": (gradient_step, 1),
    "gradient-step colour": (lambda: gradient_step(3), 3),
    "ridge grey": (ridge_net, 1),
    "ridge colour": (lambda: ridge_net(3, 3), 3),
    "patch-flow grey": (patch_flow, 1),
    "patch-flow colour": (lambda: patch_flow(3), 3),
    "critic grey": (critic, 1),
    "critic colour": (lambda: critic(3), 3),
}


@pytest.fixture(params=MAKERS)
def case(request: pytest.FixtureRequest) -> tuple[Energy, int]:
    make, channels = MAKERS[request.param]
    return make(), channels


def slope_error(value: Callable[[Tensor], Tensor], gradient: Tensor, x: Tensor) -> float:
    """The largest relative difference between ⟨gradient, d⟩ and a difference quotient along d."""
    # Mostly along the gradient, so that the slope is not a small difference of large numbers.
    d = sum(v / v.square().sum((1, 2, 3), keepdim=True).sqrt() for v in (gradient, noise(x)))
    h = 1e-5
    quotient = (value(x + h * d) - value(x - h * d)) / (2 * h)
    stated = (gradient * d).sum((1, 2, 3))
    return float(((quotient - stated) / stated).abs().max())


# ---- the energy and its gradient ----------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_the_gradient_is_that_of_the_energy(case: tuple[Energy, int], size: tuple[int, int]):
    energy, channels = case
    x = random_pictures(channels, size)
    value, gradient = energy.value_and_gradient(x, LEVELS)
    assert value.shape == (2,)
    assert bool((value >= 0).all())
    assert torch.equal(value, energy.value(x, LEVELS))
    assert torch.equal(gradient, energy.gradient(x, LEVELS))
    assert slope_error(lambda z: energy.value(z, LEVELS), gradient, x) < ROUNDING


def test_a_wrong_gradient_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    energy, x = gradient_step(), random_pictures(1, (13, 18))
    # The pullback forgets the inner derivative of a block.
    monkeypatch.setattr(Block, "pullback", lambda self, g, tape: g)
    gradient = energy.gradient(x, LEVELS)
    assert slope_error(lambda z: energy.value(z, LEVELS), gradient, x) > 100 * ROUNDING


@pytest.mark.parametrize("size", [(13, 18), (16, 24)])
def test_the_gradient_is_autograds(case: tuple[Energy, int], size: tuple[int, int]) -> None:
    energy, channels = case
    x = random_pictures(channels, size).requires_grad_()
    (expected,) = torch.autograd.grad(energy.value(x, LEVELS).sum(), x)
    assert torch.allclose(energy.gradient(x.detach(), LEVELS), expected, atol=1e-10)


def test_levels_are_numbers_or_one_for_each_picture(case: tuple[Energy, int]) -> None:
    energy, channels = case
    x = random_pictures(channels, (8, 8))
    alone = torch.cat([energy(x[i : i + 1], float(LEVELS[i])) for i in range(2)])
    assert torch.allclose(energy(x, LEVELS), alone, atol=1e-12)
    assert torch.equal(energy(x, 0.1), energy(x, torch.tensor([0.1], dtype=x.dtype)))
    assert energy.float()(x.float(), 0.1).dtype == torch.float32


# ---- the denoisers ------------------------------------------------------------------------------


def test_gradient_step_denoisers_step_along_the_gradient() -> None:
    energy, x = gradient_step(), random_pictures(1, (13, 18))
    assert torch.equal(energy(x, LEVELS), x - energy.gradient(x, LEVELS))
    assert not torch.allclose(energy(x, LEVELS), x, atol=1e-3)


# ---- smoothness ---------------------------------------------------------------------------------


def rough_modules(network: nn.Module) -> list[str]:
    return [type(part).__name__ for part in network.modules() if isinstance(part, ROUGH)]


def rough_operations(network: nn.Module, x: Tensor) -> list[str]:
    """Operations with kinks in the graph of R that autograd records, by name."""
    x = x.clone().requires_grad_()
    nodes = [network(x, 0.1).sum().grad_fn]
    seen, found = set(), []
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        name = node.name().lower()
        found += [name for word in ROUGH_OPERATIONS if word in name.replace("maxpool", "max_pool")]
        nodes += [parent for parent, _ in node.next_functions]
    return found


@pytest.mark.parametrize("make", [gradient_step, patch_flow, critic])
def test_analytic_energies_are_smooth(make: Callable[[], Energy]) -> None:
    energy, x = make(), random_pictures(1, (13, 18))
    assert rough_modules(energy) == []
    assert rough_operations(energy, x) == []


@pytest.mark.parametrize("part", [nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(1)])
def test_a_rough_module_is_noticed(part: nn.Module) -> None:
    energy = gradient_step()
    energy.extra = part
    assert rough_modules(energy) == [type(part).__name__]

    class Rough(nn.Module):
        def forward(self, x: Tensor, sigma: float) -> Tensor:
            return part.to(x)(x).sum() + F.relu(x)

    assert len(rough_operations(Rough(), random_pictures(1, (8, 8)))) >= 1


# ---- configurations -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (GradientStepConfig, {"down": (1,)}),
        (GradientStepConfig, {"channels": 0}),
        (GradientStepConfig, {"sigma_ref": 0.0}),
        (RidgeConfig, {"widths": (4, 8)}),
        (RidgeConfig, {"size": 4}),
        (RidgeConfig, {"group": 5}),
        (RidgeConfig, {"levels": 1}),
        *[(PatchFlowConfig, {k: v}) for k, v in {"layers": 0, "size": 1, "stretch": 0.0}.items()],
        *[(CriticConfig, {k: v}) for k, v in {"size": 4, "group": 5, "softness": 0.0}.items()],
    ],
)
def test_impossible_networks_are_refused(kind: type, fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"expected|at least"):
        kind(**fields)


def test_configurations_are_read_from_cards() -> None:
    assert GradientStepConfig(widths=[8, 9, 10]).widths == (8, 9, 10)  # type: ignore[arg-type]
    assert RidgeConfig(widths=[2, 3, 4]).widths == (2, 3, 4)  # type: ignore[arg-type]
