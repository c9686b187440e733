"""Solvers of min f + g: laws that hold on every run, and what contradicts them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from laws.networks import picture, random_tensor
from laws.solvers import blur, invertible_kernel
from operators import Convolution
from operators.norms import NormBound
from pnp_recon.errors import InputError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.proximal import L1, Box, ElasticNet, L2Ball, Regulariser, Ridge
from pnp_recon.proximal.total_variation import TotalVariation
from pnp_recon.solvers import (
    SOLVERS,
    variational_solver,
)
from pnp_recon.solvers.convex.objective import Objective, at_most
from support.variational_problems import (
    GRADIENT,
    SPLITTING,
    problem,
    run,
    solve,
)

# ---- laws --------------------------------------------------------------------------------------

REGULARISERS: dict[str, Regulariser] = {
    "l1": L1(0.05),
    "elastic-net": ElasticNet(0.05, 0.1),
    "box": Box(),
    "ridge": Ridge(0.1),
    "ball": L2Ball(1.0),
}


VARIATIONAL = {
    name: entry.load() for name, entry in SOLVERS.items() if "functional" in entry.prior_kinds
}


@pytest.mark.parametrize("kind", REGULARISERS)
@pytest.mark.parametrize("name", [name for name in VARIATIONAL if name != "pdhg"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_laws_hold(name: str, kind: str, dtype: torch.dtype) -> None:
    fidelity = problem(batch=2)
    fidelity = LeastSquares(fidelity.A, fidelity.y.to(dtype))
    regulariser = REGULARISERS[kind]
    try:
        solver = variational_solver(name, fidelity, regulariser, fidelity.y)
    except InputError:
        assert name in ("gradient-descent", "ista")
        return
    solution = run(solver, 25)
    assert solution.certificate.holds, solution.certificate.lines()
    assert solution.image.dtype == dtype
    laws = [item.law for item in solution.certificate.observed]
    if name != "fista":
        shrinks = kind in ("ridge", "elastic-net") and name not in ("drs", "admm")
        words = "at most q‖z_k−z_{k−1}‖" if shrinks else "never increases"
        assert laws[0].startswith(f"‖z_{{k+1}}−z_k‖ {words}")
        assert any("bound" in law for law in laws) == (kind != "ball")
    if name in (*GRADIENT, "gradient-descent"):
        assert any("≤" in law for law in laws)
    for i in range(2 if kind == "l1" else 0):  # a batch is two runs
        one = LeastSquares(fidelity.A, fidelity.y[i : i + 1])
        alone = run(variational_solver(name, one, regulariser, one.y), 25)
        torch.testing.assert_close(solution.image[i : i + 1], alone.image, rtol=0, atol=2e-4)


class Lying(Convolution):
    """A third of its true norm."""

    def _prove_norm(self) -> NormBound:
        held = super()._prove_norm()
        return NormBound(held.value / 3, 0.0, "declared in a test", "nobody")


def test_false_norm_is_refuted_before_the_run() -> None:
    A = Lying(invertible_kernel(), (1, 12, 13))
    fidelity = LeastSquares(A, A.A(picture(1, 1, 12, 13, seed=3)))
    with pytest.raises(InputError, match=r"was declared to be at most .* is attained"):
        run(variational_solver("ista", fidelity, L1(1e-3), fidelity.y))


@pytest.mark.usefixtures("unprobed")
@pytest.mark.parametrize("name", [*GRADIENT, "gradient-descent"])
def test_false_lipschitz_constant_is_contradicted(name: str) -> None:
    A = Lying(invertible_kernel(), (1, 12, 13))
    fidelity = LeastSquares(A, A.A(picture(1, 1, 12, 13, seed=3)))
    regulariser = Ridge(1e-3) if name == "gradient-descent" else L1(1e-3)
    solution = run(variational_solver(name, fidelity, regulariser, random_tensor(1, 1, 12, 13)))
    assert solution.certificate.proven
    assert solution.certificate.contradicted
    broken = [item.law for item in solution.certificate.observed if not item.passed]
    assert any("≤" in law for law in broken)


@pytest.mark.parametrize("name", SPLITTING)
def test_false_proximal_map_is_contradicted(name: str) -> None:
    class Expansive(L1):
        def prox(self, x: Tensor, step: float, **_: Any) -> tuple[Tensor, Tensor]:
            return 0.5 + 9 * (x - 0.5), torch.zeros_like(x[:, 0, 0, 0])

    A = blur(invertible_kernel())
    grey = torch.full((1, 1, 12, 13), 0.5, dtype=torch.float64)
    start = grey + 1e-6 * random_tensor(1, 1, 12, 13)
    solution = run(
        variational_solver(name, LeastSquares(A, A.A(grey)), Expansive(0.1), start, gamma=0.5)
    )
    assert solution.certificate.proven
    assert solution.certificate.contradicted


@pytest.mark.parametrize("name", ["proximal-gradient", "drs", "admm"])
def test_inner_loops_that_end_too_early_keep_a_run_from_converging(name: str) -> None:
    fidelity = problem()
    good, poor = TotalVariation(0.05), TotalVariation(0.05, max_iter=1)
    exact = run(variational_solver(name, fidelity, good, fidelity.y), 10)
    assert exact.certificate.holds
    assert "ended before" not in exact.certificate.remarks[0]
    solution = run(variational_solver(name, fidelity, poor, fidelity.y), 10)
    assert not solution.certificate.contradicted
    assert "ended before their tolerance" in solution.certificate.remarks[0]
    assert not solution.status.succeeded


def test_ratio_of_an_inequality() -> None:
    left = torch.tensor([1.0, 1.0, 1.0, 0.0, -1.0])
    right = torch.tensor([2.0, 0.5, -1.0, 0.0, 1.0])
    assert (at_most(left, right) <= 1).tolist() == [True, False, False, True, True]


@pytest.mark.parametrize("kind", ["l1", "elastic-net", "box", "ridge"])
def test_radius_bounds_the_distance_of_the_minimiser(kind: str) -> None:
    fidelity = problem()
    objective = Objective(fidelity, REGULARISERS[kind])
    found = solve(variational_solver("fista", fidelity, REGULARISERS[kind], fidelity.y), 1e-6)
    for start in (fidelity.y, torch.zeros_like(fidelity.y)):
        radius = objective.radius(start)
        assert radius is not None
        assert float((start - found.image).norm()) <= float(radius)
    assert Objective(fidelity, L2Ball(1.0)).radius(fidelity.y) is None
