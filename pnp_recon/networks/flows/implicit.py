"""Implicit Runge–Kutta steps: stages by Newton's method, with a proven error of what it left.

The stages solve A⁻¹(Y − 1⊗x) = h f(Y). For a field with ⟨Δf, Δx⟩ ≤ ν‖Δx‖², ν ≤ 0, and a diagonal
D > 0 with DA⁻¹ + (DA⁻¹)ᵀ ⪰ 2α₀D, any Y with the residual R = A⁻¹(Y − 1⊗x) − h f(Y) lies within
‖R‖_D/(α₀ − hν) of the stages in the norm of D (the argument of B-convergence: Frank, Schneid &
Ueberhuber 1985; D = diag(b(1/c − 1)) for Gauss methods: Dekker & Verwer 1984). So the residual,
which is computed, bounds the error of the step, however the stages were found.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.facts import Facts
from pnp_recon.networks.flows.integrators import RungeKutta, Step, VectorField
from pnp_recon.networks.flows.tableaux import Tableau

# Newton steps before a step is given up, and halvings of each.
NEWTON = 60
HALVINGS = 30
# Residual, against 1 + ‖x‖, at which stages are taken; square roots of rounding for float32.
TOLERANCE = {torch.float32: 3e-6, torch.float64: 1e-13}
# Unknowns of one point (stages × dimension) beyond which a dense Jacobian is refused.
LARGEST = 1024


class ImplicitRungeKutta(RungeKutta):
    """Any tableau with an invertible matrix, on vectors (…, d).

    Raises:
        InputError: the matrix is singular, or no D was found for it.
    """

    def __init__(self, tableau: Tableau) -> None:
        super().__init__(tableau)
        a = torch.tensor(tableau.a, dtype=torch.float64)
        if float(torch.linalg.matrix_rank(a)) < tableau.stages:
            raise InputError(f"the matrix of {tableau.name} is singular; its stages need another")
        self.inverse = torch.linalg.inv(a)
        self.weights = torch.tensor(tableau.b, dtype=torch.float64) @ self.inverse
        self.scales, self.monotonicity = _coercivity(tableau, self.inverse)

    def step(self, field: VectorField, x: Tensor, h: Step) -> Tensor:
        """One step; its derivatives are those of the exact step, by the implicit function theorem.

        Raises:
            InputError: Newton's method did not reach the tolerance, or the point is too large.
        """
        stages = self._stages(field, x, h)
        return self._combine(x, stages)

    def stages(self, field: VectorField, x: Tensor, h: float) -> list[Tensor]:
        with torch.no_grad():
            return list(self._stages(field, x, h).unbind(-2))

    def error(self, field: VectorField, facts: Facts, x: Tensor, h: float) -> tuple[Tensor, Tensor]:
        """The step (…, d) and a proven bound (…) of its distance from the exact one.

        Up to the rounding of the residual itself. One solve; no derivatives.

        Raises:
            InputError: the field is not proven monotone (ν ≤ 0), or as `step`.
        """
        if facts.one_sided is None or facts.one_sided > 0:
            raise InputError(
                f"no error is proven: the field has the one-sided constant {facts.one_sided}, "
                "expected one of at most 0"
            )
        with torch.no_grad():
            stages = self._stages(field, x, h)
            scales = self.scales.to(x)
            residual = self._residual(field, x, stages, h)
            left = (scales * residual.square().sum(-1)).sum(-1).sqrt()
            gain = float((self.weights.square() / self.scales).sum().sqrt())
            bound = left * gain / (self.monotonicity - h * facts.one_sided)
            return self._combine(x, stages), bound * (1 + 1e-6)

    def _combine(self, x: Tensor, stages: Tensor) -> Tensor:
        weights = self.weights.to(x)
        return x + (weights[:, None] * (stages - x[..., None, :])).sum(-2)

    def _residual(self, field: VectorField, x: Tensor, stages: Tensor, h: Step) -> Tensor:
        inverse = self.inverse.to(x)
        return torch.einsum("ij,...jd->...id", inverse, stages - x[..., None, :]) - h * field(
            stages
        )

    def _stages(self, field: VectorField, x: Tensor, h: Step) -> Tensor:
        """Stages Y (…, s, d), found without a graph; their derivatives are the exact ones'."""
        count, dimension = self.tableau.stages, x.shape[-1]
        if count * dimension > LARGEST:
            raise InputError(
                f"an implicit step of {count} stages in {dimension} dimensions has a Jacobian of "
                f"{count * dimension} rows; expected at most {LARGEST}"
            )
        with torch.no_grad():
            stages = self._newton(field, x.detach(), float(h))
        if not torch.is_grad_enabled():
            return stages
        with torch.no_grad():
            jacobian = self._jacobian(field, stages, float(h))
        # Y − J⁻¹R(Y): R is zero to rounding, its derivatives are not.
        left = self._residual(field, x, stages, h).flatten(-2)
        return stages - torch.linalg.solve(jacobian, left[..., None]).view_as(stages)

    def _newton(self, field: VectorField, x: Tensor, h: float) -> Tensor:
        stages = x[..., None, :].expand(*x.shape[:-1], self.tableau.stages, x.shape[-1]).clone()
        goal = TOLERANCE.get(x.dtype, 3e-6) * (1 + x.norm(dim=-1)) * (1 + abs(h))
        best = residual = self._residual(field, x, stages, h)
        for _ in range(NEWTON):
            size = residual.flatten(-2).norm(dim=-1)
            if bool((size <= goal).all()):
                return stages
            jacobian = self._jacobian(field, stages, h)
            move = torch.linalg.solve(jacobian, residual.flatten(-2)[..., None]).view_as(stages)
            share = torch.ones_like(size)
            for _ in range(HALVINGS):
                trial = stages - share[..., None, None] * move
                best = self._residual(field, x, trial, h)
                worse = best.flatten(-2).norm(dim=-1) > size * (1 - 1e-4 * share)
                if not bool((worse & (size > goal)).any()):
                    break
                share = torch.where(worse, share / 2, share)
            stages, residual = trial, best
        size = residual.flatten(-2).norm(dim=-1)
        # At large steps rounding is all that is left: the caller's error bound says how much.
        if bool((size <= 100 * goal).all()):
            return stages
        raise InputError(
            f"the stages of {self.name} are solved to {float((size / (1 + abs(h))).max()):.1e} "
            f"after {NEWTON} Newton steps; take a smaller step, or float64"
        )

    def _jacobian(self, field: VectorField, stages: Tensor, h: float) -> Tensor:
        """The residual's in the stages: A⁻¹ ⊗ I − h diag(f'(Yᵢ)), (…, sd, sd)."""
        count, dimension = stages.shape[-2:]
        flat = stages.reshape(-1, dimension)
        slopes = torch.func.vmap(torch.func.jacrev(field))(flat)
        slopes = slopes.view(*stages.shape[:-1], dimension, dimension)
        eye = torch.eye(dimension, dtype=stages.dtype, device=stages.device)
        whole = torch.einsum("ij,de->idje", self.inverse.to(stages), eye)
        whole = whole.expand(*stages.shape[:-2], *whole.shape).clone()
        for i in range(count):
            whole[..., i, :, i, :] -= h * slopes[..., i, :, :]
        return whole.flatten(-4, -3).flatten(-2, -1)


def _coercivity(tableau: Tableau, inverse: Tensor) -> tuple[Tensor, float]:
    """A diagonal D > 0 and α₀ > 0 with sym(DA⁻¹) ⪰ α₀D, α₀ rounded down."""
    b = torch.tensor(tableau.b, dtype=torch.float64)
    c = torch.tensor(tableau.a, dtype=torch.float64).sum(1)
    best: tuple[Tensor, float] | None = None
    for scales in (torch.ones_like(b), b, b * (1 / c - 1)):
        if not bool((scales > 0).all()) or not bool(torch.isfinite(scales).all()):
            continue
        half = scales.sqrt()
        form = half[:, None] * inverse / half[None, :]
        lowest = float(torch.linalg.eigvalsh((form + form.T) / 2)[0])
        lowest -= 1e-12 * (1 + float(form.norm()))
        if lowest > 0 and (best is None or lowest > best[1]):
            best = scales, lowest
    if best is None:
        raise InputError(f"no error of the stages of {tableau.name} is proven: no such D was found")
    assert math.isfinite(best[1])
    return best
