"""Ridge energies: their denoisers are proximal maps, their potentials what they are called."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pnp_recon.networks.energies import ridge
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.networks.energies.potentials import potential, secant, slope
from support.energies import LEVELS, gradient_step, random_pictures, ridge_net
from support.samples import noise


def optimality(energy: Energy, z: Tensor, x: Tensor) -> float:
    """‖z − x + ∇R(z)‖ relative to ‖z − x‖: zero at the proximal point of x."""
    return float((z - x + energy.gradient(z, LEVELS)).norm() / (z - x).norm())


@pytest.mark.parametrize("group", [1, 3])
def test_ridge_denoisers_are_proximal_maps(group: int) -> None:
    energy = ridge_net(group, group)
    x = random_pictures(group, (13, 18))
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
    x, d, e = (
        random_pictures(group, (7, 8)),
        *(noise(random_pictures(group, (7, 8)), seed) for seed in (1, 2)),
    )
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
    energy, x = ridge_net(), random_pictures(1, (13, 18))
    alone = [energy(x[i : i + 1], LEVELS[i]) for i in range(2)]
    assert torch.allclose(energy(x, LEVELS), torch.cat(alone), atol=1e-12)


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
        x, u = random_pictures(group, (9, 8)), torch.randn(2, group, 9, 8, dtype=torch.float64)
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
