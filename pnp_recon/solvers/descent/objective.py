"""E(x) = f(x) + λR_σ(x) + (c/2) dist²(x, [0, 1]ⁿ): what it is, and the number that H1 asks about.

Candidates are found in the precision of the pictures; whether E fell, and how large its gradient
is, is computed in float64. It knows no iteration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from pnp_recon.fidelity import Fidelity, LeastSquares, Ridged, WeightedLeastSquares
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.solvers.core.solver import norms
from pnp_recon.solvers.descent.plane import Plane

# Steps of an inner solve of the metric, at most.
METRIC_STEPS = 200


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of a picture, in float64.

    Attributes:
        energy: E(x), (B,).
        slope: gradient of λR_σ + (c/2) dist², (B, C, H, W): what a forward step follows.
        stationarity: ‖∇E(x)‖, (B,), of its part along the plane where there is one.
    """

    energy: Tensor
    slope: Tensor
    stationarity: Tensor


@dataclass(frozen=True, eq=False)
class Objective:
    """E for the pictures of a batch.

    Attributes:
        fidelity: f, convex with a Lipschitz gradient.
        prior: R, in the precision of the pictures; `exact` is the same in float64.
        level: σ, [0, 1] scale.
        weight: λ > 0.
        split: the picture is x with prox_{f/λ}(x) = z, not z itself.
        penalty: c > 0. It makes the level sets bounded, whatever f and R are.
        plane: where the points lie; None: anywhere. ∇E is then its part along the plane.
    """

    fidelity: Fidelity
    prior: LearnedEnergy
    exact: LearnedEnergy
    level: float
    weight: float
    penalty: float
    split: bool
    plane: Plane | None = None

    def slope(self, x: Tensor) -> Tensor:
        """∇(λR_σ + (c/2) dist²)(x), in the precision of x."""
        outside = x - x.clamp(0, 1)
        return self.weight * self.prior.gradient(x, self.level) + self.penalty * outside

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """E(x) and ∇E(x) in the precision of x: what a search goes by, and proves nothing."""
        outside = x - x.clamp(0, 1)
        value, gradient = self.prior.value_and_gradient(x, self.level)
        image = self.fidelity.A.A(x)
        data = self.fidelity.value_at(x, image)
        pull = self.fidelity.gradient_at(x, image)
        beyond = 0.5 * self.penalty * outside.square().flatten(1).sum(1)
        energy = data + self.weight * value + beyond
        return energy, self.along(pull + self.weight * gradient + self.penalty * outside)

    def value(self, x: Tensor) -> Tensor:
        """E(x) of every picture in float64, (B,)."""
        wide = x.double()
        outside = (wide - wide.clamp(0, 1)).square().flatten(1).sum(1)
        prior = self.weight * self.exact.value(wide, self.level)
        return self.fidelity.value(wide).double() + prior + 0.5 * self.penalty * outside

    def facts(self, x: Tensor) -> Facts:
        """E and its gradient in float64."""
        wide = x.double()
        outside = wide - wide.clamp(0, 1)
        value, gradient = self.exact.value_and_gradient(wide, self.level)
        slope = self.weight * gradient + self.penalty * outside
        image = self.fidelity.A.A(wide)
        data = self.fidelity.value_at(wide, image).double()
        pull = self.fidelity.gradient_at(wide, image).double()
        beyond = 0.5 * self.penalty * outside.square().flatten(1).sum(1)
        return Facts(data + self.weight * value + beyond, slope, norms(self.along(slope + pull)))

    def backward(self, z: Tensor, step: float, start: Tensor, tol: float | Tensor) -> Tensor:
        """prox of step·f at z. How exact it is decides how far E falls, never what is proven."""
        found = self.fidelity.prox(z, step, start=start, tol=tol)[0]
        if self.plane is None:
            return found
        # Of a quadratic f it is a point of the line along (I + step·∇²f)⁻¹ row.
        flat, rows = without_data(self.fidelity), self.plane.pictures(found)
        moves = [flat.prox(row, step, start=row, tol=tol)[0] for row in rows]
        return self.plane.reached(found, moves)

    def along(self, gradient: Tensor) -> Tensor:
        """What of a gradient the points can follow."""
        return gradient if self.plane is None else self.plane.tangent(gradient)

    def metric_solve(self, q: Tensor, relative: float) -> Tensor:
        """About (∇²f + λ)⁻¹ q, along the plane where there is one.

        Args:
            relative: error that is allowed, relative to q/λ.
        """
        return self.along(self._metric_solve(q, relative))

    def _metric_solve(self, q: Tensor, relative: float) -> Tensor:
        """About (∇²f + λ)⁻¹ q, from the proximal map of f, which is affine for a quadratic f."""
        held = self.metric
        if held is None:
            return q / (self.fidelity.lipschitz + self.weight)
        step = 1 / self.weight
        moved = step * q
        tol = relative * norms(moved)
        if isinstance(held, LeastSquares) and not held.exact_prox:
            # Without the bound of its error, which takes longer than the few steps.
            factor = moved.new_full((1, 1, 1, 1), step)
            found = held.A._iterated_prox(moved, self.origin, factor, tol, METRIC_STEPS)
            return found.to(q)
        return held.prox(moved, step, start=self.origin, tol=tol)[0]

    @cached_property
    def metric(self) -> Fidelity | None:
        """A quadratic without a linear part that bends as f does: its proximal map is linear, and
        an error relative to what it is given costs the same few steps however near the end is.

        f itself without its data where it is quadratic; squares with the weights that the data
        have where there are any, as counts do; None for others.
        """
        if self.quadratic:
            return without_data(self.fidelity)
        white = self.fidelity.whitening
        if not isinstance(white, Tensor):
            return None
        zero = torch.zeros_like(self.fidelity.y)
        return WeightedLeastSquares(self.fidelity.A, zero, white.square().expand_as(zero))

    @cached_property
    def origin(self) -> Tensor:
        """A picture of zeros."""
        shape = (len(self.fidelity.y), *self.fidelity.A.image_shape)
        return self.fidelity.y.new_zeros(shape)

    @property
    def quadratic(self) -> bool:
        """Is f a quadratic function?"""
        held = self.fidelity
        while isinstance(held, Ridged):
            held = held.fidelity
        return isinstance(held, LeastSquares | WeightedLeastSquares)

    def picture(self, z: Tensor) -> Tensor:
        """x with prox_{f/λ}(x) = z, which is z + ∇f(z)/λ; see `solver`."""
        return z + self.fidelity.gradient(z) / self.weight


def without_data(fidelity: Fidelity) -> Fidelity:
    """A quadratic f without its linear part, ½⟨x, ∇²f x⟩."""
    zero = torch.zeros_like(fidelity.y)
    if isinstance(fidelity, Ridged):
        return replace(fidelity, fidelity=without_data(fidelity.fidelity), center=0.0)
    return replace(fidelity, y=zero)


def merged(chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """`one` for the pictures where `chosen` (B,) is true, else `other`."""
    return torch.where(chosen.view(-1, *[1] * (one.ndim - 1)), one, other)
