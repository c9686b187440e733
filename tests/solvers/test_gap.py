"""The duality gap: a bound of the objective, of a distance only with strong convexity; and lies."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from laws.networks import picture
from operators import Identity
from pnp_recon.errors import InputError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.proximal import Box
from pnp_recon.proximal.total_variation import TotalVariation
from pnp_recon.solvers import PDHG, Status, Stopping, iterate, total_variation_solver
from pnp_recon.solvers.convex.blocks import Block
from pnp_recon.solvers.convex.gap import ROUNDING, duality_gap
from pnp_recon.solvers.core.gap import FAULT
from support.saddle_points import problem

WEIGHT = 0.05


def denoising() -> tuple[PDHG, Tensor]:
    """min ½‖x − y‖² + weight·TV(x), which is 1-strongly convex, and its solution."""
    y = picture(1, 1, 6, 7, seed=0)
    solver = total_variation_solver(LeastSquares(Identity((1, 6, 7)), y), WEIGHT, y)
    return solver, iterate(solver, Stopping(1e-13, 5000, check_every=100)).image


# ---- what it bounds --------------------------------------------------------------------------


def test_a_distance_follows_from_strong_convexity_alone() -> None:
    solver, expected = denoising()
    state, twin = solver.init(), False
    for k in range(60):
        state = solver.step(state, k).state
        gap = solver.gap(state)
        assert gap is not None
        away = float((solver.image(state) - expected).norm())
        assert away <= float(gap.distance(1.0))
        twin |= away > float(gap.distance(1e3))  # twin: a modulus that is not proven
    assert twin
    assert gap is not None
    for none in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(InputError, match="bounds the objective, and no distance"):
            gap.distance(none)


def test_two_minimisers_have_no_gap_between_them() -> None:
    """Without strong convexity: no gap, and as far apart as the box is wide."""
    A = Identity((1, 4, 4))
    data = LeastSquares(A, torch.full((1, 1, 4, 4), 0.5, dtype=torch.float64))
    slopes = total_variation_solver(data, 1.0, data.y).blocks[1]
    dual = torch.zeros(1, *slopes.operator.measurement_shape, dtype=torch.float64)
    ends = [torch.full((1, 1, 4, 4), value, dtype=torch.float64) for value in (0.0, 1.0)]
    for x in ends:  # of the total variation alone
        gap = duality_gap(Box(0, 1), [slopes], [0.1], x, [dual])
        assert float(gap.value) < 1e-12
        assert not gap.faulty.any()


# ---- a stop ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["blur", "missing", "scan"])
def test_a_run_stops_by_its_gap(name: str) -> None:
    fidelity, start = problem(name)
    solver = total_variation_solver(fidelity, 0.02, start)
    stopping = Stopping(1e-12, 3000, gap=1e-2)
    solution = iterate(solver, stopping)
    assert solution.status is Status.GAP
    assert solution.status.succeeded
    assert solution.gap is not None
    assert solution.gap.relative <= 1e-2
    assert solution.certificate.holds
    best = iterate(solver, Stopping(1e-12, 3000, check_every=50)).image
    functional = TotalVariation(0.02)
    least = float(fidelity.value(best) + functional.value(best))
    value = float(fidelity.value(solution.image) + functional.value(solution.image))
    assert float(solution.gap.objective) == pytest.approx(value)
    assert value - least <= float(solution.gap.value)
    assert value - least <= 1e-2 * value
    # The residual ends a run as well, and nothing is computed that was not asked for.
    assert iterate(solver, replace(stopping, tol=0.1)).status is Status.CONVERGED
    assert iterate(solver, Stopping(1e-3, 50)).gap is None


@pytest.mark.parametrize("tol", [3e-2, 1e-30])
def test_the_gap_of_a_solution_is_that_of_its_picture(tol: float) -> None:
    """However the run ends: by its residual, or at the limit."""
    fidelity, start = problem("blur")
    solver = total_variation_solver(fidelity, 0.02, start)
    solution = iterate(solver, Stopping(tol, 60, gap=1e-30, check_every=10))
    assert solution.status in (Status.CONVERGED, Status.ITERATION_LIMIT)
    assert solution.gap is not None
    value = float(fidelity.value(solution.image) + TotalVariation(0.02).value(solution.image))
    assert float(solution.gap.objective) == pytest.approx(value, rel=1e-12)
    earlier = iterate(solver, Stopping(1e-30, solution.iterations - 10, gap=1e-30)).gap  # twin
    assert earlier is not None
    assert float(earlier.objective) != pytest.approx(value, rel=1e-12)


def test_an_operator_in_float32_has_no_gap() -> None:
    """Its rounding is above what the bound allows for."""
    solver, _ = denoising()
    assert solver.gap(solver.init()) is not None
    data = replace(solver.blocks[0], operator=Single((1, 6, 7)))
    assert replace(solver, blocks=(data, solver.blocks[1])).gap(solver.init()) is None


def test_a_solver_without_a_gap_goes_by_its_residual() -> None:
    fidelity, start = problem("missing")
    solver = total_variation_solver(fidelity, 0.02, start, box=None)
    solution = iterate(solver, Stopping(1e-3, 500, gap=1e9))
    assert solution.status is Status.CONVERGED
    assert solution.gap is None


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan])
def test_a_tolerance_is_positive(wrong: float) -> None:
    with pytest.raises(InputError):
        Stopping(gap=wrong)


# ---- lies ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wrong:
    """F whose conjugate's proximal map is off: its dual points are multiples of true ones."""

    outer: Any
    factor: float

    def value(self, v: Tensor) -> Tensor:
        return self.outer.value(v)

    def conjugate_prox(self, u: Tensor, step: float) -> Tensor:
        return self.factor * self.outer.conjugate_prox(u, step)


class Flipped(Identity):
    """With a transpose of the wrong sign."""

    def A_adjoint(self, y: Tensor) -> Tensor:
        return -y


class Single(Identity):
    """One that computes in float32."""

    certificate_dtype = torch.float32


def with_a_lie(solver: PDHG, factor: float) -> PDHG:
    data, slopes = solver.blocks
    return replace(solver, blocks=(data, replace(slopes, outer=Wrong(slopes.outer, factor))))


def test_a_dual_point_that_is_not_feasible_is_caught() -> None:
    solver, _ = denoising()
    state = solver.init()
    for k in range(20):
        state = solver.step(state, k).state
    honest = solver.gap(state)
    assert honest is not None
    assert not honest.faulty.any()
    assert math.isfinite(honest.relative)
    for factor in (1.001, 1.2, 3.0):
        found = with_a_lie(solver, factor).gap(state)
        assert found is not None
        assert bool(found.faulty.all())
        assert math.isinf(found.relative)


def test_a_run_with_a_lie_is_no_success_and_not_certified() -> None:
    solver, _ = denoising()
    solution = iterate(with_a_lie(solver, 1.05), Stopping(1e-9, 40, gap=1e9))
    assert solution.status is not Status.GAP
    assert not solution.certificate.holds
    assert FAULT in solution.certificate.verdict
    assert iterate(solver, Stopping(1e-9, 40, gap=1e9)).status is Status.GAP


def test_a_gap_below_zero_is_caught() -> None:
    """A transpose that is none: weak duality fails."""
    solver, x = denoising()
    data, sigmas, duals = solver.blocks[0], solver.sigmas[:1], [torch.full_like(x, -0.3)]
    honest = duality_gap(Box(0.0, 1.0), [data], sigmas, x, duals)
    assert not honest.faulty.any()
    assert float(honest.value) > 1
    flipped = replace(data, operator=Flipped((1, 6, 7)))
    twin = duality_gap(Box(0.0, 1.0), [flipped], sigmas, x, duals)
    assert bool(twin.faulty.all())
    assert bool(torch.isinf(twin.value).all())


@dataclass(frozen=True)
class Linear:
    """F = ⟨c, ·⟩, whose conjugate is zero at c and infinite elsewhere."""

    c: Tensor

    def value(self, v: Tensor) -> Tensor:
        return (self.c * v).flatten(1).sum(1)

    def conjugate_prox(self, u: Tensor, step: float) -> Tensor:
        return self.c.expand_as(u)


def test_the_margin_is_relative_to_absolute_sums() -> None:
    """Terms that cancel are rounded all the same: of their sum, zero, there would be no margin."""
    x = torch.full((1, 1, 8, 8), 0.5, dtype=torch.float64)
    c = torch.ones_like(x)
    c[..., ::2] = -1.0
    blocks = [Block(Identity((1, 8, 8)), Linear(sign * c)) for sign in (1.0, -1.0)]
    gap = duality_gap(Box(0.0, 1.0), blocks, [0.1, 0.1], x, [c, -c])
    assert float((c * x).sum()) == 0  # the twin: what the margin may not be relative to
    assert float(gap.value) >= 2 * ROUNDING * float((c * x).abs().sum())
    assert not gap.faulty.any()
