"""Constants of ridge energies, attacked on pictures of many sizes; and fast forms of potentials."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from pnp_recon.models.load import load_trained
from pnp_recon.networks.configs import GradientStepConfig, RidgeConfig
from pnp_recon.networks.energies import bounds, potentials
from pnp_recon.networks.energies.gradient_step import GradientStepNet
from pnp_recon.networks.energies.ridge import RidgeNet
from support.samples import noise

SIZES = [(1, 1), (1, 7), (2, 3), (3, 24), (5, 4), (6, 17), (7, 7), (9, 12), (13, 11), (20, 31)]
LEVEL = 0.08


def net(seed: int, channels: int = 1, size: int = 3) -> RidgeNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        found = RidgeNet(RidgeConfig(channels, (2, 4, 6), size=size, group=channels))
        with torch.no_grad():
            for numbers in (found.log_scale, found.logit_mu, found.rise, found.fall, found.drop):
                numbers.add_(0.5 * torch.randn_like(numbers))
    return found.double().requires_grad_(False)


def shipped() -> RidgeNet:
    path = Path(__file__).resolve().parents[2] / "trained_models" / "ridge_grey"
    network, _ = load_trained(str(path), "denoiser")
    assert isinstance(network, RidgeNet)
    return network.double().requires_grad_(False)


def taps(energy: RidgeNet) -> Tensor:
    return energy._response(energy.normalised_filters()).permute(1, 0, 2, 3).flip(2, 3)


def attained(energy: RidgeNet, size: tuple[int, int]) -> float:
    """‖W x‖² by power iteration, ‖x‖ = 1."""
    w = energy.normalised_filters()
    x, found = noise(torch.zeros(1, energy.config.channels, *size, dtype=torch.float64)), 0.0
    for _ in range(100):
        x = x / x.norm().clamp_min(1e-300)
        y = energy.apply_transposed(energy.apply_filters(x, w), w)
        x, found = y, float((x * y).sum())
    return found


@pytest.mark.parametrize(("channels", "size"), [(1, 3), (3, 3), (1, 5)])
def test_no_picture_of_any_size_exceeds_the_bound_of_the_filters(channels: int, size: int) -> None:
    energy = net(channels + size, channels, size)
    bound = bounds.squared_norm(taps(energy))
    found = [attained(energy, pixels) for pixels in SIZES]
    assert max(found) <= bound
    assert bound < 6 * max(found)


def test_a_bound_without_the_border_is_exceeded() -> None:
    """Twin: the transfer function alone does not bound the W of the shipped energy on pictures."""
    energy = shipped()
    h = taps(energy)
    plane = bounds._plane(torch.einsum("ocab,odef->cabdef", h, h))
    found = max(attained(energy, pixels) for pixels in SIZES)
    assert found > 1.1 * plane
    assert found <= bounds.squared_norm(h)


def test_a_bound_that_is_scaled_down_is_exceeded() -> None:
    """Twin: of filters of one pixel the bound is exact."""
    energy = net(3, size=1)
    with torch.no_grad():  # filters of one pixel and mean zero would vanish
        w = tuple(torch.rand_like(k) for k in energy.filters)
    h = energy._response(w).permute(1, 0, 2, 3)
    x = torch.rand(1, 1, 4, 5, dtype=torch.float64)
    found = float(energy.apply_filters(x, w).norm() / x.norm()) ** 2
    bound = bounds.squared_norm(h)
    assert found <= bound
    assert found > 0.9 * bound


@pytest.mark.parametrize("reach", [1, 2, 3])
def test_a_side_is_a_line_cut_out_and_two_ends(reach: int) -> None:
    low, high = bounds._ends(reach)
    for size in (2 * reach, 2 * reach + 1, 5 * reach):
        whole = torch.zeros(2 * reach + 1, 2 * reach + 1, size, size, dtype=torch.float64)
        line = torch.zeros_like(whole)
        for a in range(2 * reach + 1):
            for b in range(2 * reach + 1):
                for p in range(-reach, size + reach):
                    i, j = p + a - reach, p + b - reach
                    if 0 <= p < size:
                        whole[a, b, bounds._folded(i, size), bounds._folded(j, size)] += 1
                    if min(i, j) >= 0 and max(i, j) < size:
                        line[a, b, i, j] += 1
        end = 2 * reach
        line[:, :, :end, :end] += low
        line[:, :, size - end :, size - end :] += high.flip(2, 3)
        assert torch.equal(whole, line)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_curvature_of_the_energy_stays_within_its_constants(channels: int) -> None:
    energy = net(5, channels)
    upper, lower = energy.lipschitz(LEVEL), energy.weak_convexity(LEVEL)
    assert 0 < lower <= upper
    w, pot = energy.parts(torch.tensor([LEVEL], dtype=torch.float64))
    steepest = hollow = 0.0
    for pixels in SIZES[3:]:
        for spread in (1e-3, 0.1, 3.0):
            x = spread * noise(torch.zeros(1, channels, *pixels, dtype=torch.float64))
            product = energy.hessian(x, w, pot)
            for shift in (0.0, -upper):  # the largest eigenvalue, and the smallest
                u = noise(x, 1)
                for _ in range(60):
                    u = u / u.norm()
                    y = product(u)
                    curvature, u = float((u * y).sum()), y + shift * u
                steepest, hollow = max(steepest, curvature), max(hollow, -curvature)
    assert 0.1 * upper < steepest <= upper
    assert 0 < hollow <= lower
    # The twin: the constant of other weights is not kept.
    with torch.no_grad():
        energy.logit_mu.add_(2.0)
    assert energy.lipschitz(LEVEL) > 1.05 * upper


def test_of_a_gradient_step_energy_nothing_is_proven() -> None:
    energy = GradientStepNet(GradientStepConfig(widths=(4, 6, 8)))
    assert energy.lipschitz(LEVEL) is None
    assert energy.weak_convexity(LEVEL) is None


# ---- potentials, fast ----------------------------------------------------------------------------


def plain(r: Tensor, a: Tensor, k: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """ψ(r) and ψ′(r)/r, written down from their definitions."""
    t = (a * r)[..., None]
    below = torch.minimum(t, tau)
    jumps = k[:, :, None, None, :]
    value = (jumps * below * (t - below / 2)).sum(-1) / (a * a)
    return value, (jumps * below / t).sum(-1)


@pytest.mark.parametrize("size", [(5, 7), (220, 300)])
def test_potentials_in_pieces_are_potentials(size: tuple[int, int]) -> None:
    energy = net(1)
    pot = energy.potentials(torch.tensor([0.03, 0.2], dtype=torch.float64))
    r = noise(torch.zeros(2, 6, *size, dtype=torch.float64)).abs().square()
    value, factor = plain(r, pot.scale, pot.jumps, pot.knots)
    found = pot.pair_of(potentials.potential_and_secant, r)
    for fast in (found, (pot.of(potentials.potential, r), pot.of(potentials.secant, r))):
        assert torch.allclose(fast[0], value, rtol=1e-12, atol=1e-14)
        assert torch.allclose(fast[1], factor, rtol=1e-12, atol=1e-14)
    # The twin: one knot moved is seen.
    knots = pot.knots.clone()
    knots[4] *= 1.01
    assert not torch.allclose(plain(r, pot.scale, pot.jumps, knots)[0], value, rtol=1e-6)


def test_what_is_kept_of_the_weights_is_theirs() -> None:
    energy = net(2)
    x = torch.rand(1, 1, 9, 8, dtype=torch.float64)
    first = energy.value(x, LEVEL)
    assert energy.value(x, 2 * LEVEL) != first
    assert energy.value(x, LEVEL) == first
    energy.filters[2].data.mul_(torch.linspace(0.5, 2, 6).double()[:, None, None, None])
    changed = energy.value(x, LEVEL)
    assert changed != first
    energy._kept = None
    assert energy.value(x, LEVEL) == changed
    assert energy.float().value(x.float(), LEVEL).dtype == torch.float32


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # of torch's own
def test_derivatives_pass_through_the_pieces() -> None:
    energy = net(4, 3)
    x = torch.rand(1, 3, 150, 140, dtype=torch.float64)
    d = noise(x)
    with torch.no_grad():
        with forward_ad.dual_level():
            value = energy.value(forward_ad.make_dual(x, d), LEVEL)
            forward = forward_ad.unpack_dual(value).tangent
        gradient = energy.gradient(x, LEVEL)
        assert torch.allclose(gradient, energy.value_and_gradient(x, LEVEL)[1], atol=1e-14)
    assert torch.allclose(forward, (gradient * d).sum((1, 2, 3)), rtol=1e-9)
    leaf = x.clone().requires_grad_()
    (reverse,) = torch.autograd.grad(energy.value(leaf, LEVEL).sum(), leaf)
    assert torch.allclose(reverse, gradient, atol=1e-12)


def test_constants_follow_the_knots() -> None:
    """They are kept by the weights, of which the knots are some that are not trained."""
    energy, fresh = net(3), net(3)
    before = energy.weak_convexity(LEVEL)
    for one in (energy, fresh):
        one.knots[-1] *= 4
    assert energy.weak_convexity(LEVEL) == fresh.weak_convexity(LEVEL)
    assert energy.weak_convexity(LEVEL) != before  # the twin: what was kept is another
