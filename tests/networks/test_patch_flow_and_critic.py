"""Patch flows are densities, critics are 1-Lipschitz; what would break either is noticed."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from pnp_recon.networks.configs import CriticConfig, PatchFlowConfig
from pnp_recon.networks.energies.critic import CriticNet
from pnp_recon.networks.energies.patch_flow import PatchFlowNet
from pnp_recon.networks.flows.critics import wasserstein_bound

F64 = torch.float64


def flow(size: int = 4, spread: float = 0.3, **settings: int) -> PatchFlowNet:
    torch.manual_seed(1)
    config = PatchFlowConfig(size=size, **{"layers": 3, "hidden": 12, **settings})
    net = PatchFlowNet(config).double().requires_grad_(False)
    net.whiten(0.5 + 0.1 * torch.randn(500, net.dim, dtype=F64).cumsum(1))
    for layer in net.couplings:
        layer.last.weight.normal_(0, spread)  # type: ignore[operator, union-attr]
        layer.mix.add_(0.2 * torch.randn_like(layer.mix))  # type: ignore[operator, arg-type]
    return net


def patches(net: PatchFlowNet, count: int = 4) -> tuple[Tensor, Tensor]:
    p = 0.5 + 0.2 * torch.randn(count, net.dim, dtype=F64)
    return p, torch.linspace(0.02, 0.2, count, dtype=F64)


# ---- densities -----------------------------------------------------------------------------------


def test_log_determinants_are_those_of_the_jacobian() -> None:
    net = flow()
    p, sigma = patches(net)
    for k in range(len(p)):
        level = sigma[k : k + 1]
        J = torch.autograd.functional.jacobian(lambda q, s=level: net.flow(q[None], s)[0][0], p[k])
        stated = float(net.flow(p[k : k + 1], level)[1])
        assert stated == pytest.approx(float(torch.linalg.slogdet(J)[1]), abs=1e-9)
    cost, _ = net.patch_cost(p, sigma, keep=False)
    assert torch.allclose(cost + net.left_out(sigma), -net.log_density(p, sigma), atol=1e-9)
    # The twin: another flow has another one.
    assert float(flow(spread=0.31).flow(p[:1], sigma[:1])[1]) != pytest.approx(
        float(net.flow(p[:1], sigma[:1])[1]), abs=1e-3
    )


def test_samples_go_back_to_the_noise() -> None:
    net = flow()
    p, sigma = patches(net)
    assert torch.allclose(net.sample(net.flow(p, sigma)[0], sigma), p, atol=1e-11)
    # The twin: the inverse at another noise level.
    assert not torch.allclose(net.sample(net.flow(p, sigma)[0], 1.5 * sigma), p, atol=1e-3)


def test_the_density_of_two_numbers_has_mass_one() -> None:
    """Patches of two pixels' channels, so that a grid can be summed over."""
    net = flow(size=1, channels=2)
    side, limit = 220, 2.5
    along = torch.linspace(-limit, limit, side, dtype=F64) + 0.5
    points = torch.cartesian_prod(along, along)
    for level in (0.05, 0.2):
        sigma = torch.full((len(points),), level, dtype=F64)
        mass = float(net.log_density(points, sigma).exp().sum()) * (2 * limit / (side - 1)) ** 2
        assert mass == pytest.approx(1.0, abs=1e-3)
        cost, _ = net.patch_cost(points, sigma, keep=False)
        # The twin: what the energy counts leaves out a constant, and is no density.
        assert abs(float((-cost).exp().sum()) * (2 * limit / (side - 1)) ** 2 - 1) > 0.05


def test_a_flow_without_couplings_is_the_gaussian_and_denoises_as_wiener_does() -> None:
    net = flow(spread=0.0)
    for layer in net.couplings:
        layer.mix.copy_(torch.eye(net.dim))  # type: ignore[operator, arg-type]
    p, sigma = patches(net)
    basis, mean, variance = net.basis, net.mean, net.variance
    for k in range(len(p)):
        covariance = basis @ torch.diag(variance + sigma[k] ** 2) @ basis.T
        expected = torch.distributions.MultivariateNormal(mean, covariance).log_prob(p[k])
        found = net.log_density(p, sigma)[k]
        assert float(found) == pytest.approx(float(expected), abs=1e-8)
    _, slope = net.patch_cost(p, sigma, keep=True)
    assert slope is not None
    gain = variance / (variance + sigma[:, None] ** 2)
    wiener = mean + ((p - mean) @ basis * gain) @ basis.T
    assert torch.allclose(p - sigma[:, None] ** 2 * slope, wiener, atol=1e-10)


def test_the_energy_counts_every_pixel_as_often() -> None:
    """Of Gaussian patches with equal variances R is ½σ²/(v + σ²)·‖x − m‖², borders included."""
    net = flow(spread=0.0)
    net.basis.copy_(torch.eye(net.dim))
    net.mean.fill_(0.5)
    net.variance.fill_(0.03)
    x, sigma = torch.rand(1, 1, 9, 11, dtype=F64), 0.1
    for layer in net.couplings:
        layer.mix.copy_(torch.eye(net.dim))  # type: ignore[operator, arg-type]
    gradient = net.gradient(x, sigma)
    assert torch.allclose(gradient, sigma**2 / (0.03 + sigma**2) * (x - 0.5), atol=1e-12)


def test_an_energy_of_a_bounded_density_is_not_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = flow(spread=3.0), torch.rand(2, 1, 9, 8, dtype=F64)
    assert bool((net.value(x, 0.1) >= 0).all())
    assert net.sound
    p, sigma = patches(net, 50)
    bound = sum(layer.stretch * layer.moved for layer in net.couplings)  # type: ignore[operator]
    assert float(net.patch_cost(p, sigma, keep=False)[0].min()) >= 0
    # The twin: scales without a bound go beyond it.
    for layer in net.couplings:
        layer.stretch = 100.0  # type: ignore[assignment]
    logdet = net.flow(p, sigma)[1]
    fixed = sum(torch.linalg.slogdet(layer.mix)[1] for layer in net.couplings)  # type: ignore[arg-type]
    spread = (net.variance + sigma[:, None] ** 2).log().sum(1) / 2
    assert float((logdet - fixed + spread).max()) > float(bound)
    for layer in net.couplings:
        layer.stretch = math.inf  # type: ignore[assignment]
    assert not net.sound


def test_a_patch_flow_of_a_singular_map_or_of_no_numbers_is_not_sound() -> None:
    net = flow()
    assert net.sound  # the twin: what follows is noticed for its own sake
    first, last = net.couplings[0], net.couplings[-1]
    kept, bias = first.mix.clone(), last.first.bias.clone()  # type: ignore[operator, union-attr]
    first.mix[0] = first.mix[1]  # type: ignore[index, operator]
    assert not net.sound
    first.mix.copy_(kept)  # type: ignore[operator, arg-type]
    assert net.sound
    last.first.bias[0] = math.nan  # type: ignore[index, union-attr, operator]
    assert not net.sound
    last.first.bias.copy_(bias)  # type: ignore[operator, union-attr, arg-type]
    net.basis[:, 0] = 0
    assert not net.sound


def test_an_energy_whose_weights_are_no_numbers_is_not_sound() -> None:
    net = critic()
    assert net.sound
    net.blocks[0].bias[0] = math.nan  # type: ignore[index, union-attr, operator]
    assert not net.sound
    net = critic()
    assert net.constant() <= 1
    net.blocks[0].step_logit.fill_(math.nan)  # type: ignore[union-attr, operator]
    assert not net.constant() <= 1


def test_gradients_of_patch_flows_have_no_lipschitz_constant() -> None:
    """With the moved half t times as far out the curvature in the kept half grows as t²."""
    net, sigma = flow(spread=1.0, layers=1), torch.full((2,), 0.1, dtype=F64)
    (layer,) = net.couplings
    outward = torch.cat((torch.zeros(layer.kept), torch.ones(layer.moved))).to(F64)
    aside = torch.cat((torch.ones(layer.kept), torch.zeros(layer.moved))).to(F64)
    spread = (net.variance + 0.01).sqrt()

    def patch(v: Tensor) -> Tensor:
        return net.mean + (torch.linalg.solve(layer.mix, v) * spread) @ net.basis.T

    def quotient(t: float) -> float:
        pair = torch.stack([patch(t * outward + h * aside) for h in (0.0, 1e-3)])
        _, slope = net.patch_cost(pair, sigma, keep=True)
        assert slope is not None
        return float((slope[1] - slope[0]).norm() / (pair[1] - pair[0]).norm())

    assert quotient(300.0) > 50 * quotient(30.0) > 2000 * quotient(1.0)
    assert net.lipschitz(0.1) is None


# ---- critics -------------------------------------------------------------------------------------


def critic(blocks: int = 2, seed: int = 0) -> CriticNet:
    torch.manual_seed(seed)
    net = CriticNet(CriticConfig(features=6, size=3, blocks=blocks, softness=0.05)).double().eval()
    for block in net.blocks:
        block.bias.data.normal_(0, 0.3)  # type: ignore[operator, union-attr]
    net.certify()
    return net.requires_grad_(False)


def steepest(
    net: CriticNet, sigma: float, size: tuple[int, int] = (6, 7), steps: int = 60
) -> float:
    """The largest slope of the critic that gradient ascent finds."""
    x = (0.5 + 0.3 * torch.randn(4, 1, *size, dtype=F64)).requires_grad_()
    optimiser, best = torch.optim.Adam([x], 0.05), 0.0
    for _ in range(steps):
        (g,) = torch.autograd.grad(net.critic(x, sigma).sum(), x, create_graph=True)
        slopes = g.flatten(1).norm(dim=1)
        best = max(best, float(slopes.detach().max()))
        optimiser.zero_grad()
        (-slopes.sum()).backward()
        optimiser.step()
    return best


@pytest.mark.parametrize("blocks", [0, 2])
def test_a_certified_critic_is_never_steeper_than_one(blocks: int) -> None:
    net = critic(blocks)
    assert 0.99 < net.constant() <= 1
    found = steepest(net, 0.1)
    assert found <= net.constant()
    # It is a bound of something: no factor of ten is given away.
    assert found > 0.1


def test_a_critic_with_a_norm_declared_a_twentieth_is_caught() -> None:
    net = critic()
    net.scale.div_(20)
    assert net.constant() > 10
    assert not net.sound
    assert steepest(net, 0.1) > 1


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_curvature_stays_within_the_proven_constants(blocks: int) -> None:
    net, x = critic(blocks), 0.5 + 0.3 * torch.randn(1, 1, 5, 6, dtype=F64)
    lipschitz, bend = net.lipschitz(0.1), net.weak_convexity(0.1)
    for picture, sigma in itertools.product((x, torch.zeros_like(x), 5 * x), (0.05, 0.3)):
        H = torch.autograd.functional.hessian(lambda z, s=sigma: net.value(z, s).sum(), picture)
        values = torch.linalg.eigvalsh(H.reshape(30, 30))
        assert float(values[-1]) <= lipschitz
        assert float(values[0]) >= -bend - 1e-9
    if not blocks:
        assert bend == 0.0  # it is convex
        assert float(values[-1]) > 0.001 * lipschitz
    # The twin: filters of ten times the norm bend more than is stated for these.
    net.scale.div_(10)
    H = torch.autograd.functional.hessian(lambda z: net.value(z, 0.3).sum(), torch.zeros_like(x))
    assert net.lipschitz(0.1) > 50 * lipschitz or blocks
    assert float(torch.linalg.eigvalsh(H.reshape(30, 30))[-1]) > float(values[-1])


def test_a_critic_never_exceeds_the_distance_of_its_points() -> None:
    """Two pictures: W₁ is their distance, and every certified critic stays below it."""
    net = critic()
    good, bad = (0.5 + 0.2 * torch.randn(1, 1, 6, 7, dtype=F64) for _ in range(2))
    distance = float((good - bad).norm())

    def value(points: Tensor) -> Tensor:
        return net.critic(points.view(-1, 1, 6, 7), 0.1)

    assert abs(float(wasserstein_bound(value, good.flatten(1), bad.flatten(1)))) <= distance
    # The twin: a critic a hundred times as steep does exceed it.
    gain = float(wasserstein_bound(lambda p: 100 * value(p), good.flatten(1), bad.flatten(1)))
    assert abs(gain) > distance


def test_a_critic_of_a_level_is_the_same_critic_scaled() -> None:
    net, x = critic(), torch.rand(1, 1, 6, 7, dtype=F64)
    assert torch.allclose(net.value(3 * x, 0.3), 9 * net.value(x, 0.1))
    assert net.lipschitz(0.3) == net.lipschitz(0.1)
