"""Critical points in training: the derivative of the error there is that of differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from operators import kernels
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.training.energy.critical import (
    Effort,
    adjoint,
    continuation,
    critical_point,
    dots,
    loss_at,
    reached,
    shown,
)
from pnp_recon.training.energy.problems import Circular, Pixels, Restoration
from pnp_recon.training.fixed_point.exercises import blurred, masked
from support.energies import clean, energy
from support.samples import noise


def problem(kind: str, level: float = 0.05, weight: float = 0.8) -> Restoration:
    x, generator = clean(), torch.Generator().manual_seed(4)
    data: Circular | Pixels
    if kind == "blur":
        data = Circular(blurred(x, [kernels.gaussian(0.8).double()], level, generator))
    else:
        data = Pixels(masked(x, [0.4, 0.2], level, generator))
    return Restoration(data, x.new_full((2,), level), x.new_full((2, 1, 1, 1), weight))


def converged(net: Energy, posed: Restoration, start: Tensor | None = None) -> Tensor:
    start = continuation(net, posed) if start is None else start
    return critical_point(net, posed, start, 4000, change=1e-14)


def identity_for_the_hessian(net: Energy, posed: Restoration, x: Tensor) -> Tensor:
    """What is differentiated with (AᵀA + λ)v = dloss/dx."""
    error = x - clean()
    slope = error / error.square().mean((1, 2, 3), keepdim=True) / error[0].numel()
    v = posed.data.inverse(slope, posed.weight)
    return -(net.gradient(x, posed.level) * posed.weight * v).sum() / len(x)


def half_log(net: Energy, posed: Restoration, x: Tensor) -> float:
    return float(0.5 * (shown(net, posed, x) - clean()).square().mean((1, 2, 3)).log().mean())


def derivatives(family: str, kind: str) -> tuple[float, float, float]:
    """Along a random direction of the weights: stated, with the identity, and by differences."""
    net, posed = energy(family).double(), problem(kind)
    x = converged(net, posed)
    weights = list(net.parameters())
    directions = [noise(p) * p.detach().abs().mean() for p in weights]

    def along(differentiated: Tensor) -> float:
        slopes = torch.autograd.grad(differentiated, weights, allow_unused=True)
        pairs = zip(slopes, directions, strict=True)
        return float(sum((s * d).sum() for s, d in pairs if s is not None))

    stated = along(loss_at(net, posed, x, clean(), 400, 1e-26)[0])
    wrong = along(identity_for_the_hessian(net, posed, x))
    values, size = [], 1e-5
    for sign in (1, -2):
        with torch.no_grad():
            for p, d in zip(weights, directions, strict=True):
                p += sign * size * d
        values.append(half_log(net, posed, converged(net, posed, x)))
    return stated, wrong, (values[0] - values[1]) / (2 * size)


@pytest.mark.parametrize("kind", ["blur", "missing"])
@pytest.mark.parametrize("family", ["gradient-step", "ridge"])
def test_the_derivative_at_a_critical_point_is_that_of_the_loss(family: str, kind: str) -> None:
    stated, wrong, found = derivatives(family, kind)
    # A ridge energy has kinks in its gradient, which a difference quotient may step over.
    assert stated == pytest.approx(found, rel=1e-6 if family == "gradient-step" else 1e-2)
    # The twin: with the identity in place of the Hessian it is not.
    assert wrong != pytest.approx(found, rel=0.1)


@pytest.mark.parametrize("kind", ["blur", "missing"])
@torch.no_grad()
def test_a_critical_point_is_one(kind: str) -> None:
    net, posed = energy("gradient-step").double(), problem(kind)
    x = converged(net, posed)
    slope = posed.data.gram(x) - posed.data.back + posed.weight * net.gradient(x, posed.level)
    assert float(slope.abs().max()) < 1e-9
    # The twin: the continuation alone is no critical point.
    x = continuation(net, posed)
    slope = posed.data.gram(x) - posed.data.back + posed.weight * net.gradient(x, posed.level)
    assert float(slope.abs().max()) > 1e-4


@pytest.mark.parametrize("kind", ["blur", "missing"])
def test_the_normal_operator_and_its_inverse_belong_together(kind: str) -> None:
    posed = problem(kind)
    x, y = noise(clean()), noise(clean(), 1)
    shift = torch.full((2, 1, 1, 1), 0.3, dtype=torch.float64)
    back = posed.data.inverse(posed.data.gram(x) + shift * x, shift)
    assert torch.allclose(back, x, atol=1e-12)
    assert torch.allclose(dots(posed.data.gram(x), y), dots(x, posed.data.gram(y)), atol=1e-12)


def test_a_picture_at_a_saddle_is_left_out() -> None:
    """Where the curvature is negative there is no implicit function to follow."""

    class Concave(Energy):
        def value(self, x: Tensor, sigma: Tensor | float) -> Tensor:
            return self.value_and_gradient(x, sigma)[0]

        def value_and_gradient(self, x: Tensor, sigma: Tensor | float) -> tuple[Tensor, Tensor]:
            return -5 * x.square().sum((1, 2, 3)), -10 * x

        def denoise(self, x: Tensor, sigma: Tensor | float) -> Tensor:
            return x - self.gradient(x, sigma)

    posed = problem("missing")
    found = adjoint(Concave(), posed, clean(), noise(clean()), 20)
    assert not found.solved.any()
    assert not found.solution.any()
    kept = adjoint(energy("gradient-step").double(), posed, clean(), noise(clean()), 60)
    assert kept.solved.all()


def test_the_coarse_beginning_leaves_no_trace() -> None:
    net, posed = energy("gradient-step"), problem("blur")
    posed = Restoration(
        Circular(blurred(clean().float(), [kernels.gaussian(0.8)], 0.05, torch.Generator())),
        posed.level.float(), posed.weight.float(),
    )  # fmt: skip
    fine = reached(net, posed, Effort(200, 1))
    coarse = reached(net, posed, Effort(200, 1, coarse=True))
    assert net.compute_dtype is None
    assert float((fine - coarse).abs().max()) < 2e-2
