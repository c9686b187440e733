"""Symplectic Euler and Störmer–Verlet: steps of separable fields as shears of their halves.

A shear (q, p) ↦ (q + h·v(p), p) has the determinant 1 and the inverse (q − h·v(p), p), for every
step size of either sign; where v is a gradient it is symplectic. What composition keeps, the steps
keep (Hairer, Lubich & Wanner 2006, VI.3).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.guarantees import SYMPLECTIC, Guarantee, compose, none, structured
from pnp_recon.networks.flows.facts import Facts
from pnp_recon.networks.flows.integrators import Step, StructuredIntegrator, VectorField
from pnp_recon.networks.flows.separable import SeparableField, halves
from pnp_recon.networks.invertible.coupling import shear


class Splitting(StructuredIntegrator):
    """Parts of a step, in their order: of q, and of p."""

    order: int

    @abstractmethod
    def parts(self) -> tuple[tuple[str, float], ...]:
        """("q" or "p", share of the step) of each shear."""

    def step(self, field: VectorField, x: Tensor, h: Step) -> Tensor:
        """One step; h may be negative.

        Raises:
            InputError: the field has no separate halves.
        """
        return self._run(field, x, h, self.parts())

    def back(self, field: VectorField, y: Tensor, h: Step) -> Tensor:
        """The x whose step is y, to rounding."""
        return self._run(field, y, -h, self.parts()[::-1])

    def _run(
        self, field: VectorField, x: Tensor, h: Step, parts: tuple[tuple[str, float], ...]
    ) -> Tensor:
        if not isinstance(field, SeparableField):
            raise InputError(
                f"{self.name} moves the halves of a separable field in turn; "
                f"{type(field).__name__} is none, take implicit_midpoint"
            )
        q, p = halves(x)
        for half, share in parts:
            if half == "q":
                q = q + (h * share) * field.velocity(p)
            else:
                p = p + (h * share) * field.force(q)
        return torch.cat([q, p], -1)

    def moving(self, facts: Facts, h: float) -> Guarantee:
        if facts.halves is None:
            return none(f"{self.name} needs a field of separate halves: {facts.source}")
        constants = dict(zip("qp", facts.halves, strict=True))
        shears = [shear(abs(h) * share * constants[half]) for half, share in self.parts()]
        held = compose(*shears)
        if held.holds:
            held = replace(held, source=f"{self.name} step, h = {h:.6g}: {len(shears)} shears")
        return structured(held, *([SYMPLECTIC] if facts.hamiltonian else []))


class SymplecticEuler(Splitting):
    """q⁺ = q + h·v(p), then p⁺ = p + h·g(q⁺); order 1."""

    name, order = "symplectic_euler", 1

    def parts(self) -> tuple[tuple[str, float], ...]:
        return (("q", 1.0), ("p", 1.0))


class StormerVerlet(Splitting):
    """Half a step of p, one of q, half of p; order 2, and its inverse is the step with −h."""

    name, order = "stormer_verlet", 2

    def parts(self) -> tuple[tuple[str, float], ...]:
        return (("p", 0.5), ("q", 1.0), ("p", 0.5))
