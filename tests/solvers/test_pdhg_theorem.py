"""PDHG is firmly nonexpansive in its own norm; what the theorem does not cover is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from laws.networks import picture, random_tensor
from laws.solvers import invertible_kernel, random_kernel
from operators import (
    Convolution,
    Identity,
    to_matrix,
)
from operators.norms import NormBound
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.proximal import Box, Ridge
from pnp_recon.proximal.total_variation import TotalVariation
from pnp_recon.solvers import (
    PDHG,
    State,
    Status,
    total_variation_solver,
)
from pnp_recon.solvers.convex.blocks import composite_block, data_block
from pnp_recon.solvers.convex.steps import absolute_sums, balanced_steps, diagonal_steps
from support.saddle_points import SIZE, problem, run
from support.variational_problems import Boundless, Unmatched

# ---- the theorem -------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["norms", "diagonal"])
@pytest.mark.parametrize("relaxation", [1.0, 1.9])
def test_one_step_is_averaged_in_its_norm(rule: str, relaxation: float) -> None:
    fidelity, start = problem("reflecting-blur", batch=6)
    solver = total_variation_solver(
        fidelity,
        0.02,
        start,
        step_rule=rule,  # type: ignore[arg-type]
        relaxation=relaxation,
    )
    a, b = (consistent(solver, seed) for seed in (0, 1))
    Ta, Tb = (solver.step(State(z), 0).z for z in (a, b))
    alpha = relaxation / 2
    left = solver.norm(Ta - Tb) ** 2
    left += (1 - alpha) / alpha * solver.norm((a - Ta) - (b - Tb)) ** 2
    right = solver.norm(a - b) ** 2
    assert bool((left <= right * (1 + 1e-12)).all())
    # In the plain norm of (x, u) it is not even nonexpansive: from a = b in u, say.
    assert bool((solver.norm(a) > 0).all())


def consistent(solver: PDHG, seed: int) -> Tensor:
    """A random state whose v is Kᵀu."""
    x, v, *duals = solver.split(solver.init().z)
    duals = [0.05 * random_tensor(*u.shape, seed=seed + 10 * i) for i, u in enumerate(duals)]
    v = torch.stack(
        [block.operator.A_adjoint(u) for block, u in zip(solver.blocks, duals, strict=True)]
    ).sum(0)
    parts = [random_tensor(*x.shape, seed=seed), v, *duals]
    return torch.cat([part.flatten(1) for part in parts], 1)


def test_norm_is_that_of_the_matrix() -> None:
    fidelity, start = problem("blur", batch=2)
    solver = total_variation_solver(fidelity, 0.02, start)
    z = consistent(solver, 0)
    x, _, *duals = solver.split(z)
    pairs = list(zip(solver.blocks, solver.sigmas, duals, strict=True))
    for i in range(2):
        total = float(x[i].square().sum() / solver.tau)
        for block, sigma, u in pairs:
            image = block.operator.A(x)[i]
            total += float(u[i].square().sum() / sigma - 2 * (image * u[i]).sum())
        assert float(solver.norm(z)[i]) == pytest.approx(math.sqrt(total), rel=1e-12)


@pytest.mark.parametrize("name", ["blur", "missing", "scan"])
def test_diagonal_steps_are_proven(name: str) -> None:
    fidelity, start = problem(name)
    A = fidelity.A
    rows, columns = absolute_sums(A)
    matrix = to_matrix(A)
    assert bool((rows.flatten() >= matrix.abs().sum(1)).all())
    assert bool((columns.flatten() >= matrix.abs().sum(0)).all())
    solver = total_variation_solver(fidelity, 0.02, start, step_rule="diagonal")
    D = to_matrix(solver.blocks[1].operator)
    assert isinstance(solver.tau, Tensor)
    assert isinstance(solver.sigmas[0], Tensor)
    scaled = [
        solver.sigmas[0].flatten().double().sqrt()[:, None] * matrix,
        math.sqrt(float(solver.sigmas[1])) * D,
    ]
    K = torch.cat(scaled) * solver.tau.flatten().double().sqrt()
    true = float(torch.linalg.matrix_norm(K, 2)) ** 2
    assert true <= solver.step_product() < 1
    doubled = replace(solver, tau=3 * solver.tau)
    assert doubled.step_product() > 1
    with pytest.raises(StepSizeError):
        doubled.theorem()


# ---- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1.02, 100.0, 0.0, -1.0, math.nan])
def test_steps_outside_their_range(factor: float) -> None:
    fidelity, start = problem("blur")
    solver = total_variation_solver(fidelity, 0.02, start)
    assert isinstance(solver.tau, float)
    large = replace(solver, tau=factor * solver.tau)
    with pytest.raises(StepSizeError, match=r"proven range \(0, 1\)"):
        large.theorem()
    allowed = run(replace(large, allow_uncertified=True), 5)
    assert not allowed.certificate.proven
    assert allowed.certificate.verdict.startswith("no guarantee: τ Σ")


def test_too_large_steps_do_diverge() -> None:
    A = Identity((1, 1, 9))
    y = picture(1, 1, 1, 9)
    blocks = (data_block(LeastSquares(A, y)), composite_block(TotalVariation(10.0), (1, 1, 9)))
    solver = PDHG(None, blocks, 1.0, (20.0, 0.1), y, allow_uncertified=True)
    solution = run(solver, 2000)
    assert not solution.certificate.proven
    assert solution.status is Status.NON_FINITE
    certified = replace(solver, sigmas=balanced_steps((1.0, 2.0), (0.5, 0.5), 1.0))
    assert run(certified, 300).history.residuals[-1][0] < 1e-3


@pytest.mark.parametrize("relaxation", [0.0, 2.0, -1.0, math.nan])
def test_relaxation_outside_its_range(relaxation: float) -> None:
    fidelity, start = problem("blur")
    with pytest.raises(StepSizeError, match=r"relaxation .* proven range \(0, 2\)"):
        run(total_variation_solver(fidelity, 0.02, start, relaxation=relaxation))
    solver = total_variation_solver(
        fidelity, 0.02, start, relaxation=relaxation, allow_uncertified=True
    )
    assert not run(solver, 5).certificate.proven


class Lying(Convolution):
    """An eighth of its true norm."""

    def _prove_norm(self) -> NormBound:
        held = super()._prove_norm()
        return NormBound(held.value / 8, 0.0, "declared in a test", "nobody")


@pytest.mark.usefixtures("unprobed")
def test_false_norm_is_contradicted() -> None:
    A = Lying(invertible_kernel(), (1, 12, 13))
    y = A.A(picture(1, 1, 12, 13, seed=3))
    blocks = (data_block(LeastSquares(A, y)),)
    sigmas = balanced_steps((A.norm_bound,), (1.0,), 5.0)
    solution = run(PDHG(Box(), blocks, 5.0, sigmas, torch.zeros_like(y)), 100)
    assert solution.certificate.proven
    assert solution.certificate.contradicted
    assert "2⟨KΔx, Δu⟩" in solution.certificate.verdict


@pytest.mark.parametrize(
    ("kind", "words"), [(Unmatched, "is not the transpose"), (Boundless, "no proven bound")]
)
def test_operator_without_the_facts_that_the_theorem_needs(
    kind: type[Convolution], words: str
) -> None:
    A = kind(random_kernel(0), (1, 12, 13))
    y = picture(1, 1, 12, 13)
    solution = run(total_variation_solver(LeastSquares(A, y), 0.02, y), 5)
    assert words in solution.certificate.verdict
    assert not solution.certificate.proven


def test_terms_that_do_not_fit() -> None:
    fidelity, start = problem("reflecting-blur")
    shape = (SIZE[0], SIZE[1], SIZE[2])
    slopes = composite_block(TotalVariation(0.1), shape)
    inexact = PDHG(fidelity, (slopes,), 1.0, (0.1,), start)
    assert "no closed form" in inexact.theorem().why_not
    inexact = PDHG(TotalVariation(0.1), (data_block(fidelity),), 1.0, (0.1,), start)
    assert "no closed form" in inexact.theorem().why_not
    taus, sigma, _ = diagonal_steps(fidelity.A, 0.5, 1.0)
    ridge = PDHG(Ridge(1.0), (data_block(fidelity),), taus, (sigma,), start)
    assert "need a box" in ridge.theorem().why_not
    signed = Convolution(-random_kernel(0), SIZE)
    wrong = PDHG(None, (data_block(LeastSquares(signed, start)),), taus, (sigma,), start)
    assert "to be >= 0" in wrong.theorem().why_not
    for options in ({"weight": 0.0}, {"balance": 0.0}, {"step_rule": "none"}):
        with pytest.raises(InputError):
            total_variation_solver(fidelity, **{"weight": 0.1, "start": start, **options})  # type: ignore[arg-type]
