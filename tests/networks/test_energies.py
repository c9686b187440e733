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
from pnp_recon.networks.energies import ridge
from pnp_recon.networks.energies.borders import (
    extend,
    extend_transposed,
    highpass,
    highpass_transposed,
    pad_to,
    pad_to_transposed,
)
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.networks.energies.gradient_step import Block, GradientStepNet
from pnp_recon.networks.energies.potentials import potential, secant, slope
from pnp_recon.networks.energies.ridge import RidgeNet
from support.energies import critic, patch_flow
from support.samples import noise

SIZES = [(16, 24), (13, 18), (1, 5)]
LEVELS = torch.tensor([0.02, 0.15], dtype=torch.float64)
# Rounding of a difference quotient in float64, relative to the slope.
ROUNDING = 1e-6
# Modules and functions whose kinks or batch statistics no smooth energy may have.
ROUGH = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.Hardtanh, nn.MaxPool2d, nn.BatchNorm2d)
ROUGH_OPERATIONS = ("relu", "hardtanh", "max_pool", "batch_norm", "abs", "clamp", "maximum")


def gradient_step(channels: int = 1) -> GradientStepNet:
    net = GradientStepNet(GradientStepConfig(channels=channels, widths=(4, 6, 8)))
    with torch.no_grad():
        net.exit.mul_(10)  # what is learned weighs as much as the high-pass
    return net.double().requires_grad_(False)


def ridge_net(channels: int = 1, group: int = 1) -> RidgeNet:
    net = RidgeNet(RidgeConfig(channels=channels, widths=(4, 6, 12), size=3, group=group))
    with torch.no_grad():
        for numbers in (net.log_scale, net.logit_mu, net.rise, net.fall, net.drop):
            numbers.add_(0.3 * torch.randn_like(numbers))
    return net.double().requires_grad_(False)


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


def pictures(channels: int, size: tuple[int, int]) -> Tensor:
    return torch.rand(2, channels, *size, dtype=torch.float64)


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
    x = pictures(channels, size)
    value, gradient = energy.value_and_gradient(x, LEVELS)
    assert value.shape == (2,)
    assert bool((value >= 0).all())
    assert torch.equal(value, energy.value(x, LEVELS))
    assert torch.equal(gradient, energy.gradient(x, LEVELS))
    assert slope_error(lambda z: energy.value(z, LEVELS), gradient, x) < ROUNDING


def test_a_wrong_gradient_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    energy, x = gradient_step(), pictures(1, (13, 18))
    # The pullback forgets the inner derivative of a block.
    monkeypatch.setattr(Block, "pullback", lambda self, g, tape: g)
    gradient = energy.gradient(x, LEVELS)
    assert slope_error(lambda z: energy.value(z, LEVELS), gradient, x) > 100 * ROUNDING


@pytest.mark.parametrize("size", [(13, 18), (16, 24)])
def test_the_gradient_is_autograds(case: tuple[Energy, int], size: tuple[int, int]) -> None:
    energy, channels = case
    x = pictures(channels, size).requires_grad_()
    (expected,) = torch.autograd.grad(energy.value(x, LEVELS).sum(), x)
    assert torch.allclose(energy.gradient(x.detach(), LEVELS), expected, atol=1e-10)


def test_levels_are_numbers_or_one_for_each_picture(case: tuple[Energy, int]) -> None:
    energy, channels = case
    x = pictures(channels, (8, 8))
    alone = torch.cat([energy(x[i : i + 1], float(LEVELS[i])) for i in range(2)])
    assert torch.allclose(energy(x, LEVELS), alone, atol=1e-12)
    assert torch.equal(energy(x, 0.1), energy(x, torch.tensor([0.1], dtype=x.dtype)))
    assert energy.float()(x.float(), 0.1).dtype == torch.float32


# ---- the denoisers ------------------------------------------------------------------------------


def test_gradient_step_denoisers_step_along_the_gradient() -> None:
    energy, x = gradient_step(), pictures(1, (13, 18))
    assert torch.equal(energy(x, LEVELS), x - energy.gradient(x, LEVELS))
    assert not torch.allclose(energy(x, LEVELS), x, atol=1e-3)


def optimality(energy: Energy, z: Tensor, x: Tensor) -> float:
    """‖z − x + ∇R(z)‖ relative to ‖z − x‖: zero at the proximal point of x."""
    return float((z - x + energy.gradient(z, LEVELS)).norm() / (z - x).norm())


@pytest.mark.parametrize("group", [1, 3])
def test_ridge_denoisers_are_proximal_maps(group: int) -> None:
    energy = ridge_net(group, group)
    x = pictures(group, (13, 18))
    z = energy(x, LEVELS)
    assert optimality(energy, z, x) <= ridge.TOLERANCE
    # The twin: a gradient step is no proximal point.
    assert optimality(energy, x - energy.gradient(x, LEVELS), x) > 10 * ridge.TOLERANCE
    # A minimiser, not just a critical point.
    near = z + 0.01 * torch.randn_like(z)
    heights = [0.5 * (v - x).square().sum((1, 2, 3)) + energy.value(v, LEVELS) for v in (z, near)]
    assert bool((heights[0] < heights[1]).all())


@pytest.mark.parametrize("group", [1, 3])
def test_proximal_maps_are_differentiated_at_their_points(
    group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    energy = ridge_net(group, group)
    monkeypatch.setattr(ridge, "TOLERANCE", 1e-11)
    monkeypatch.setattr(ridge, "ITERATIONS", 5000)
    x, d, e = pictures(group, (7, 8)), *(noise(pictures(group, (7, 8)), seed) for seed in (1, 2))
    h = 1e-6
    measured = float(((energy(x + h * d, LEVELS) - energy(x - h * d, LEVELS)) * e).sum() / (2 * h))

    def stated() -> float:
        (found,) = torch.autograd.grad((energy(leaf, LEVELS) * e).sum(), leaf)
        return float((found * d).sum())

    leaf = x.requires_grad_()
    assert stated() == pytest.approx(measured, rel=1e-3)
    # The twin: without conjugate gradients it is another number.
    monkeypatch.setattr(ridge, "CG_ITERATIONS", 1)
    assert stated() != pytest.approx(measured, rel=1e-3)


def test_a_proximal_point_does_not_depend_on_its_batch() -> None:
    energy, x = ridge_net(), pictures(1, (13, 18))
    alone = [energy(x[i : i + 1], LEVELS[i]) for i in range(2)]
    assert torch.allclose(energy(x, LEVELS), torch.cat(alone), atol=1e-12)


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
    energy, x = make(), pictures(1, (13, 18))
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

    assert len(rough_operations(Rough(), pictures(1, (8, 8)))) >= 1


@pytest.mark.parametrize("group", [1, 3])
def test_slopes_of_potentials_stay_in_their_range(
    group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    energy = ridge_net(group, group)
    pot = energy.potentials(LEVELS)
    slopes = pot.slopes()
    assert bool((slopes >= -ridge.NU_MAX).all())
    assert bool((slopes <= energy.config.mu_max).all())
    assert bool((slopes.amax((1, 2)) <= pot.steepest * (1 + 1e-12)).all())
    assert bool((slopes < 0).any())  # it is weakly convex, and not convex
    # ψ is bounded below: ψ′ ends above or at nought.
    assert bool(((pot.jumps * pot.knots).sum(-1) >= -1e-12).all())
    # The twin: numbers that go to the end of the range, and one that would leave it.
    energy.drop.fill_(40.0)
    energy.logit_mu.fill_(40.0)
    energy.rise.zero_().select(-1, 6).fill_(50.0)
    energy.fall.zero_().select(-1, -1).fill_(50.0)
    assert float(energy.potentials(LEVELS).slopes().min()) == pytest.approx(-ridge.NU_MAX)
    monkeypatch.setattr(ridge, "NU_MAX", 1.1)
    assert float(energy.potentials(LEVELS).slopes().min()) < -1.05


def test_potentials_derivatives_belong_together() -> None:
    energy = ridge_net()
    pot = energy.potentials(LEVELS)
    r = torch.rand(2, 12, 5, 5, dtype=torch.float64) * LEVELS[:, None, None, None] * 8
    h = 1e-7
    first = r * pot.of(secant, r)
    rise = (pot.of(potential, r + h) - pot.of(potential, r - h)) / (2 * h)
    assert torch.allclose(rise, first, atol=1e-6)
    bend = ((r + h) * pot.of(secant, r + h) - (r - h) * pot.of(secant, r - h)) / (2 * h)
    assert torch.allclose(bend, pot.of(slope, r), atol=1e-6)
    assert bool((pot.of(potential, r) >= 0).all())


def test_potentials_are_odd_in_the_gradient() -> None:
    energy = ridge_net()
    x = torch.randn(2, 1, 9, 9, dtype=torch.float64)
    value, gradient = energy.value_and_gradient(x, LEVELS)
    mirrored, opposite = energy.value_and_gradient(-x, LEVELS)
    assert torch.allclose(value, mirrored)
    assert torch.allclose(gradient, -opposite)
    # The twin: the gradient-step energy knows no sign.
    other = gradient_step()
    assert not torch.allclose(other.value(x, LEVELS), other.value(-x, LEVELS))


def test_hessians_are_derivatives_of_gradients() -> None:
    for group in (1, 3):
        energy = ridge_net(group, group)
        x, u = pictures(group, (9, 8)), torch.randn(2, group, 9, 8, dtype=torch.float64)
        w, pot = energy.normalised_filters(), energy.potentials(LEVELS)
        h = 1e-7
        ahead, behind = (energy.gradient_with(x + t * u, w, pot) for t in (h, -h))
        found = energy.hessian(x, w, pot)(u)
        assert float(((ahead - behind) / (2 * h) - found).norm() / found.norm()) < 1e-5


def test_filters_are_scaled_to_norm_one_and_see_no_constant() -> None:
    energy = ridge_net(3, 3)
    w = energy.normalised_filters()
    v = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    for _ in range(60):
        v = energy.apply_transposed(energy.apply_filters(v, w), w)
        v = v / v.norm()
    assert 0.8 < float(energy.apply_filters(v, w).norm()) < 1.05
    assert float(energy.apply_filters(torch.ones(1, 3, 9, 9).double(), w).abs().max()) < 1e-12


# ---- maps at the border -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(13, 18), (7, 3), (1, 1)])
def test_transposes_are_transposes(size: tuple[int, int]) -> None:
    x = torch.randn(1, 2, *size, dtype=torch.float64)
    maps: list[tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = [
        (highpass, highpass_transposed),
        (lambda z: extend(z, 6), lambda g: extend_transposed(g, 6)),
        (lambda z: pad_to(z, 8), lambda g: pad_to_transposed(g, *size)),
    ]
    for forward, transposed in maps:
        y = torch.randn_like(forward(x))
        back = transposed(y)
        assert back.shape == x.shape
        assert float((forward(x) * y).sum()) == pytest.approx(float((x * back).sum()), abs=1e-9)
    if min(size) > 1:  # the twin: the high-pass is not symmetric
        y = torch.randn_like(x)
        assert float((highpass(x) * y).sum()) != pytest.approx(float((x * highpass(y)).sum()))


def test_the_extension_is_symmetric_and_periodic() -> None:
    expected = torch.tensor([1.0, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1])
    assert torch.equal(extend(torch.arange(3.0)[None, None, None], 5)[0, 0, 0], expected)
    assert torch.equal(highpass(torch.ones(1, 1, 4, 7)), torch.zeros(1, 1, 4, 7))


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
