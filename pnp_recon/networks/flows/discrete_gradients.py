"""Discrete gradients: steps that keep the energy of ẋ = S∇H(x), or let it fall, for every h.

∇̄H(x, y) is a discrete gradient if ⟨∇̄H(x, y), y − x⟩ = H(y) − H(x) and ∇̄H(x, x) = ∇H(x). The step
x⁺ = x + hS∇̄H(x, x⁺) with a skew S has H(x⁺) − H(x) = h⟨∇̄H, S∇̄H⟩ = 0 (McLachlan, Quispel &
Robidoux 1999). S is taken at (x + x⁺)/2, by which quadratic Casimir functions stay as well: with
∇Q(x) = Cx and S(x)Cx = 0, Q(x⁺) − Q(x) = ⟨C(x + x⁺)/2, x⁺ − x⟩ = 0. The equation is solved by
Newton's method; what its residual leaves, and rounding, is all that the energy moves. An equation
that is not solved is refused.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee, none, structured
from pnp_recon.networks.flows.conserving import EnergyField
from pnp_recon.networks.flows.facts import ENERGY, Facts
from pnp_recon.networks.flows.integrators import Step, StructuredIntegrator, VectorField

NEWTON, HALVINGS = 50, 20
# Residual, against 1 + ‖x‖, at which a step is taken, and the least difference of two entries that
# a quotient is taken of; below it a derivative stands in, which the energy feels by the third power
# of the difference: less than rounding.
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-13}
LEAST = {torch.float32: 1e-4, torch.float64: 1e-9}


class DiscreteGradient(StructuredIntegrator):
    """x⁺ = x + hS∇̄H(x, x⁺), on vectors (…, d).

    Attributes:
        premise: what the energy is kept on the word of, for the guarantee; may be empty.
    """

    premise = ""

    @abstractmethod
    def gradient(self, field: EnergyField, x: Tensor, y: Tensor) -> Tensor:
        """∇̄H(x, y) of two vectors (d,)."""

    def proves(self, facts: Facts) -> str:
        """Why the energy is not kept; empty where it is."""
        return "" if facts.energy else f"the field declares no energy: {facts.source}"

    def step(self, field: VectorField, x: Tensor, h: Step) -> Tensor:
        """One step; its derivatives are those of the exact step, by the implicit function theorem.

        Raises:
            InputError: the field has no energy, or Newton's method did not reach the tolerance.
        """
        if not isinstance(field, EnergyField):
            raise InputError(
                f"{self.name} needs a field S∇H that offers its energy; "
                f"{type(field).__name__} is none, take implicit_midpoint"
            )
        flat = x.reshape(-1, x.shape[-1])
        with torch.no_grad():
            found = self._solve(field, flat.detach(), float(h))
        if not torch.is_grad_enabled():
            return found.view_as(x)
        with torch.no_grad():
            slopes = self._jacobian(field, flat.detach(), found, float(h))
        # y − J⁻¹R(y): R is zero to rounding, its derivatives are not.
        left = self.residual(field, flat, found, h)
        return (found - torch.linalg.solve(slopes, left[..., None])[..., 0]).view_as(x)

    def moving(self, facts: Facts, h: float) -> Guarantee:
        if reason := self.proves(facts):
            return none(reason)
        held = none(f"{self.name} step: nothing is proven of distances{self.premise}")
        return structured(held, ENERGY, *facts.casimirs)

    def residual(self, field: EnergyField, x: Tensor, y: Tensor, h: Step) -> Tensor:
        """y − x − hS∇̄H(x, y) of pairs (n, d): zero for steps, and what to make small for data."""

        def one(a: Tensor, b: Tensor) -> Tensor:
            return b - a - h * field.structure((a + b) / 2) @ self.gradient(field, a, b)

        return torch.func.vmap(one)(x, y)

    def _jacobian(self, field: EnergyField, x: Tensor, y: Tensor, h: float) -> Tensor:
        def one(b: Tensor, a: Tensor) -> Tensor:
            return self.residual(field, a[None], b[None], h)[0]

        return torch.func.vmap(torch.func.jacrev(one))(y, x)

    def _solve(self, field: EnergyField, x: Tensor, h: float) -> Tensor:
        y = x + h * field(x)
        goal = TOLERANCE.get(x.dtype, 1e-5) * (1 + x.norm(dim=-1))
        left = self.residual(field, x, y, h)
        for _ in range(NEWTON):
            size = left.norm(dim=-1)
            if bool((size <= goal).all()):
                # One more, without a look: the last digits are what the energy is kept by.
                return y - self._move(field, x, y, h, left)
            move = self._move(field, x, y, h, left)
            share = torch.ones_like(size)
            for _ in range(HALVINGS):
                trial = y - share[:, None] * move
                left = self.residual(field, x, trial, h)
                worse = ~(left.norm(dim=-1) <= size) & (size > goal)
                if not bool(worse.any()):
                    break
                share = torch.where(worse, share / 2, share)
            y = trial
        raise InputError(
            f"the step of {self.name} is solved to {float(left.norm(dim=-1).max()):.1e} after "
            f"{NEWTON} Newton steps; take a smaller step, or float64"
        )

    def _move(self, field: EnergyField, x: Tensor, y: Tensor, h: float, left: Tensor) -> Tensor:
        return torch.linalg.solve(self._jacobian(field, x, y, h), left[..., None])[..., 0]


class Gonzalez(DiscreteGradient):
    """∇H at the midpoint, corrected along y − x (Gonzalez 1996); order 2."""

    name, order = "gonzalez", 2

    def gradient(self, field: EnergyField, x: Tensor, y: Tensor) -> Tensor:
        slope, d = torch.func.grad(field.energy)((x + y) / 2), y - x
        lack = field.energy(y) - field.energy(x) - slope @ d
        return slope + lack / d.square().sum().clamp_min(LEAST.get(x.dtype, 1e-4) ** 2) * d


class MeanValue(DiscreteGradient):
    """∫₀¹ ∇H(x + s(y − x)) ds by Gauss' five nodes (Harten, Lax & van Leer 1983); order 2.

    The rule is exact for polynomials H of degree 10. For others the energy is kept up to its
    error, and nothing is proven.
    """

    name, order = "mean_value", 2
    premise = "; the energy is kept if it has the degree that was declared"
    nodes = 5

    def gradient(self, field: EnergyField, x: Tensor, y: Tensor) -> Tensor:
        places, weights = np.polynomial.legendre.leggauss(self.nodes)
        slope = torch.func.grad(field.energy)
        parts = [
            weight / 2 * slope(x + (place + 1) / 2 * (y - x))
            for place, weight in zip(places.tolist(), weights.tolist(), strict=True)
        ]
        return torch.stack(parts).sum(0)

    def proves(self, facts: Facts) -> str:
        if reason := super().proves(facts):
            return reason
        if facts.degree is None or facts.degree > 2 * self.nodes:
            return (
                f"{self.name} is exact for polynomials of degree {2 * self.nodes}, and the energy "
                f"is known to be none; take gonzalez"
            )
        return ""


class ItohAbe(DiscreteGradient):
    """Quotients entry by entry, (H(y₁…yᵢ, x_{i+1}…) − H(y₁…y_{i−1}, xᵢ…))/(yᵢ − xᵢ); order 1.

    No derivative of H is needed (Itoh & Abe 1988).
    """

    name, order = "itoh_abe", 1

    def gradient(self, field: EnergyField, x: Tensor, y: Tensor) -> Tensor:
        eye = torch.eye(len(x), dtype=x.dtype, device=x.device)
        least = LEAST.get(x.dtype, 1e-4)
        found = []
        for i, unit in enumerate(eye):
            done = eye[:i].sum(0)
            here = done * y + (1 - done) * x
            d = (y - x) @ unit
            close = d.abs() < least
            apart = torch.where(close, torch.ones_like(d), d)
            quotient = (field.energy(here + d * unit) - field.energy(here)) / apart
            slope = torch.func.grad(field.energy)(here + d / 2 * unit) @ unit
            found.append(torch.where(close, slope, quotient))
        return torch.stack(found)
