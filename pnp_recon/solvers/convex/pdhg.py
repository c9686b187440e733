"""PDHG: min over x of g(x) + Σ Fᵢ(Kᵢ x) by alternating proximal maps of g and of the conjugates.

One step (Chambolle & Pock 2011, Algorithm 1, θ = 1) with dual variables uᵢ and v = Σ Kᵢᵀuᵢ:

    x⁺ = prox_{τg}(x − τv),   uᵢ⁺ = prox_{σᵢFᵢ*}(uᵢ + σᵢKᵢ(2x⁺ − x)),   v⁺ = Σ Kᵢᵀuᵢ⁺.

It is the proximal point method in the norm ‖(x, u)‖²_M = ‖x‖²/τ + Σ‖uᵢ‖²/σᵢ − 2⟨Kx, u⟩, a norm
where τ Σ σᵢ‖Kᵢ‖² < 1 (He & Yuan 2012), so that the map is firmly nonexpansive in it. The state
keeps v: ⟨Kx, u⟩ = ⟨x, v⟩ makes the norm cost no operator, and a step costs one K and one Kᵀ.
Every step also measures 2⟨KΔx, Δu⟩, which a bound of the norms that is none would let grow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.errors import StepSizeError
from pnp_recon.fidelity import Fidelity
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import Box, Regulariser
from pnp_recon.proximal.total_variation import TotalVariation
from pnp_recon.solvers.convex.blocks import Block, Steps
from pnp_recon.solvers.convex.coverage import uncovered
from pnp_recon.solvers.convex.existence import Existence, of_saddle_point
from pnp_recon.solvers.convex.gap import duality_gap
from pnp_recon.solvers.convex.steps import BUDGET, largest, smallest, step_product, weighted
from pnp_recon.solvers.convex.terms import RELAXATION, plain_terms, total_variation_terms
from pnp_recon.solvers.core.gap import Gap
from pnp_recon.solvers.core.laws import ROUNDING_UNITS
from pnp_recon.solvers.core.premises import basis_of, bounded, signed, transposed
from pnp_recon.solvers.core.solver import Solver, State, Step, share
from pnp_recon.solvers.core.theorem import (
    Basis,
    Constant,
    Premise,
    SaddlePoint,
    Theorem,
    unproven,
)
from pnp_recon.solvers.knobs import Knobs


@dataclass(frozen=True)
class PDHG(Solver[State]):
    """Primal-dual hybrid gradient, z = (x, v, u₁, u₂, …) flattened to (B, n); see the module.

    Attributes:
        primal: g, with a proximal map in closed form; None: zero.
        blocks: the terms Fᵢ(Kᵢx).
        tau: τ > 0; a tensor (1 or B, C, H, W) where `primal` is a box or None (diagonal steps).
        sigmas: σᵢ > 0, one for each block; tensors for data blocks only.
        relaxation: ρ in (0, 2): z ← z + ρ(Tz − z) (Condat 2013, Thm 3.3).
        start: x₀ (B, C, H, W); dual variables start at zero.
        picture: a constraint that the returned picture is projected onto, such as the box where
            it is a block of its own; None: what `primal` says.
    """

    primal: Regulariser | Fidelity | None
    blocks: tuple[Block, ...]
    tau: Steps
    sigmas: tuple[Steps, ...]
    start: Tensor
    relaxation: float = 1.0
    allow_uncertified: bool = False
    picture: Box | None = None
    name = "pdhg"

    @classmethod
    def configure(cls, problem: Problem, prior: Any, knobs: Knobs) -> Self:
        """Total variation in balance with the data; other functionals as they come."""
        weight = RELAXATION if knobs.relaxation is None else knobs.relaxation
        if isinstance(prior, TotalVariation):
            terms = total_variation_terms(
                problem.data_term,
                prior.weight,
                problem.first_guess(),
                coupling=prior.coupling,
                box=prior.box,
                slice_spacing=prior.slice_spacing,
            )
        else:
            terms = plain_terms(problem.data_term, prior)
        steps = (terms.primal, terms.blocks, terms.tau, terms.sigmas)
        return cls(*steps, problem.first_guess(), weight, knobs.allow_uncertified)

    # ---- what is proven ---------------------------------------------------------------------

    def theorem(self) -> Theorem:
        """See `Solver`; refuses an objective that is +∞ for every picture (InputError)."""
        reason = uncovered(self.primal, self.blocks, self.tau, self.sigmas)
        if reason is not None:
            return unproven(reason)
        product = self._product
        constants = [
            Constant("τ", largest(self.tau), "largest primal step"),
            *(
                Constant(
                    f"‖{block.operator.name}‖",
                    block.operator.norm_bound,
                    block.operator.norm_certificate.method,
                )
                for block, sigma in zip(self.blocks, self.sigmas, strict=True)
                if not isinstance(sigma, Tensor)
            ),
            *(
                Constant(f"σ of {block.operator.name}", largest(sigma), "largest dual step")
                for block, sigma in zip(self.blocks, self.sigmas, strict=True)
            ),
            Constant("τ Σ σᵢ‖Kᵢ‖²", product, f"{self._product_words()}; covered below 1"),
            Constant("relaxation ρ", self.relaxation, "covered range (0, 2)"),
        ]
        if not product < 1:
            reason = f"τ Σ σᵢ‖Kᵢ‖² = {product:.6g} lies outside the proven range (0, 1) of PDHG"
        elif not 0 < self.relaxation < 2:
            reason = f"relaxation {self.relaxation:.6g} lies outside the proven range (0, 2)"
        if reason is not None:
            if not self.allow_uncertified:
                raise StepSizeError(f"{reason}; take smaller steps or allow an uncertified run")
            return unproven(reason, tuple(constants))
        source = (
            "proximal point method in the norm M of the step sizes (He & Yuan 2012, Lemma 2.1 and "
            "3.1), relaxed by ρ (Bauschke & Combettes 2017, Prop. 4.40)"
        )
        existence = self._existence
        terms = [self.primal, *(block.term for block in self.blocks)]
        known = basis_of(*(term for term in terms if term is not None))
        return SaddlePoint(
            "PDHG: the iterates converge to a saddle point (Chambolle & Pock 2011, Thm 1; Condat "
            f"2013, Thm 3.3){existence.words}; the gap of their means falls like O(1/k)",
            guarantees.averaged(self.relaxation / 2, source),
            tuple(constants),
            (
                *(transposed(block.operator) for block in self.blocks),
                *(
                    (signed if isinstance(sigma, Tensor) else bounded)(block.operator)
                    for block, sigma in zip(self.blocks, self.sigmas, strict=True)
                ),
                Premise("g and the Fᵢ are convex, with exact proximal maps", known),
                *existence.premises,
                Premise("2⟨KΔx, Δu⟩ stays within what the norms allow", Basis.CHECKED),
            ),
            "2⟨KΔx, Δu⟩ within what the norms allow (ratio)",
        )

    def step_product(self) -> float:
        """See `steps.step_product`."""
        return step_product(self.blocks, self.tau, self.sigmas)

    @cached_property
    def _product(self) -> float:
        """`step_product`, or NaN where nothing is known of the blocks."""
        known = uncovered(self.primal, self.blocks, self.tau, self.sigmas) is None
        return self.step_product() if known else math.nan

    def _product_words(self) -> str:
        diagonal = any(isinstance(sigma, Tensor) for sigma in self.sigmas)
        return "from row and column sums" if diagonal else "from the norms above"

    @property
    def _boxed(self) -> bool:
        return isinstance(self.primal, Box)

    @cached_property
    def _existence(self) -> Existence:
        return of_saddle_point(self.primal, self.blocks, self.start)

    # ---- the iteration ----------------------------------------------------------------------

    def init(self) -> State:
        x = self.start
        if isinstance(self.primal, Box):
            x = self.primal.prox(x, 1.0)[0]
        sizes = (math.prod(block.operator.measurement_shape) for block in self.blocks)
        batch, pixels = x.shape[0], x[0].numel()
        return State(torch.cat([x.flatten(1), x.new_zeros(batch, pixels + sum(sizes))], 1))

    def step(self, state: State, iteration: int) -> Step[State]:
        z = state.z
        x, v, *duals = self.split(z)
        point = x - self.tau * v
        if self.primal is not None:
            # A box pays no heed to its step, which may be a tensor then.
            point = self.primal.prox(point, 1.0 if self._boxed else float(self.tau))[0]
        ahead = 2 * point - x
        fresh = [point, torch.zeros_like(x)]
        for block, sigma, u in zip(self.blocks, self.sigmas, duals, strict=True):
            # Not in place: the identity returns `ahead` itself.
            moved = u + sigma * block.operator.A(ahead)
            fresh.append(block.outer.conjugate_prox(moved, sigma))  # type: ignore[arg-type]
            fresh[1] = fresh[1] + block.operator.A_adjoint(fresh[-1])
        result = torch.cat([part.flatten(1) for part in fresh], 1)
        if self.relaxation != 1:
            result = torch.lerp(z, result, self.relaxation)
        change = result - z
        plain, mixed = self._squares(change)
        residual = self._root(plain, mixed)
        # v = Kᵀu is rounded by some ε of what enters it.
        size = (plain * self._squares(z)[0]).sqrt()
        slack = 2 * ROUNDING_UNITS * torch.finfo(z.dtype).eps * size
        limit = math.sqrt(self._product) * plain + slack
        ratio = mixed.abs() / limit.clamp_min(torch.finfo(z.dtype).tiny)
        return Step(State(result), z.new_zeros(z.shape[0]), residual, ratio)

    def split(self, z: Tensor) -> list[Tensor]:
        """x, v = Σ Kᵢᵀuᵢ, and the dual variables uᵢ, in their own shapes."""
        shapes = [self.start.shape[1:]] * 2
        shapes += [torch.Size(block.operator.measurement_shape) for block in self.blocks]
        parts = z.split([math.prod(shape) for shape in shapes], 1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)]

    def image(self, state: State) -> Tensor:
        x = self.split(state.z)[0]
        # Over-relaxation may leave the constraint by little.
        box = self.primal if isinstance(self.primal, Box) else self.picture
        return x if box is None else box.prox(x, 1.0)[0]

    def norm(self, z: Tensor) -> Tensor:
        """‖z‖_M."""
        return self._root(*self._squares(z))

    def _root(self, plain: Tensor, mixed: Tensor) -> Tensor:
        """(plain − mixed)^½, which the step product bounds from below; plain^½ where it is ≥ 1.

        A false product must not let M lose its sign and a divergent run seem at rest.
        """
        if not self._product < 1:
            return plain.sqrt()
        least = (1 - math.sqrt(self._product)) * plain
        return torch.maximum(plain - mixed, least).sqrt()

    def _squares(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """‖x‖²/τ + Σ‖uᵢ‖²/σᵢ and 2⟨Kx, u⟩ of each picture, (B,)."""
        x, v, *duals = self.split(z)
        plain = weighted(x, self.tau)
        for sigma, u in zip(self.sigmas, duals, strict=True):
            plain = plain + weighted(u, sigma)
        return plain, 2 * (x * v).flatten(1).sum(1)

    def distance_bound(self, z: Tensor) -> Tensor | None:
        """‖z₀ − z*‖_M² ≤ (1 + θ^½)(‖x₀ − x*‖²/τ + Σ‖u₀ − uᵢ*‖²/σᵢ), θ the step product."""
        if not isinstance(self.primal, Box):
            return None
        x, _, *duals = self.split(z)
        reach = torch.maximum((x - self.primal.low).abs(), (self.primal.high - x).abs())
        total = weighted(reach, self.tau)
        images = [block.operator.A(x) for block in self.blocks]
        # Every Fᵢ(Kᵢx*) lies at most so far above its infimum.
        excess = torch.zeros_like(x[:, 0, 0, 0])
        for block, image in zip(self.blocks, images, strict=True):
            excess = excess + block.outer.value(image) - block.least
        for block, sigma, u in zip(self.blocks, self.sigmas, duals, strict=True):
            radius = block.dual_radius(excess) + u.flatten(1).norm(dim=1)
            total = total + radius.square() / smallest(sigma)
        bound = ((1 + math.sqrt(self._product)) * total).sqrt() * (1 + 1e-5)
        return bound if bool(torch.isfinite(bound).all()) else None

    def gap(self, state: State) -> Gap | None:
        """The duality gap at `image(state)`.

        None where `primal` is no bounded box, or an operator computes in less than float64: the
        margin for rounding is then too small.
        """
        if not (isinstance(self.primal, Box) and self.primal.bounded):
            return None
        if any(block.operator.certificate_dtype != torch.float64 for block in self.blocks):
            return None
        duals = self.split(state.z)[2:]
        return duality_gap(self.primal, self.blocks, self.sigmas, self.image(state), duals)

    @property
    def stride(self) -> float:
        """min(1, ρ) times the root of what the steps use of their budget: in the norm of the
        steps a residual relative to ‖z‖_M falls like (τσ)^½."""
        used = self._product / BUDGET if self._product > 0 else 1.0
        return share(self.relaxation, math.sqrt(used))

    def parameters(self, state: State | None = None) -> dict[str, float]:
        sigmas = {f"sigma_{i}": largest(s) for i, s in enumerate(self.sigmas, 1)}
        return {"tau": largest(self.tau), **sigmas, "relaxation": self.relaxation}
