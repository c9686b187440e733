"""PDHG: firmly nonexpansive in its own norm, right on problems with a known solution."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from laws.networks import picture, random_tensor
from laws.solvers import FOREVER, blur, invertible_kernel, random_kernel
from operators import (
    Convolution,
    Identity,
    Inpainting,
    LinearOperator,
    RayTransform,
    parallel_beam,
    to_matrix,
)
from operators.norms import NormBound
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.fidelity import Fidelity, Huber, KullbackLeibler, LeastSquares, WeightedLeastSquares
from pnp_recon.proximal import L1, Box, Ridge
from pnp_recon.proximal.coupling import COUPLINGS, GradientNorm, pixel_norms
from pnp_recon.proximal.total_variation import TotalVariation
from pnp_recon.solvers import (
    PDHG,
    Solution,
    State,
    Status,
    Stopping,
    iterate,
    total_variation_solver,
)
from pnp_recon.solvers.convex.blocks import box_block, composite_block, data_block
from pnp_recon.solvers.convex.steps import absolute_sums, balanced_steps, diagonal_steps
from pnp_recon.solvers.convex.terms import dual_radius
from support.variational_problems import Boundless, Unmatched, total_variation_on_a_line

SIZE = (2, 7, 8)


def physics(name: str) -> LinearOperator:
    if name == "scan":
        return RayTransform(parallel_beam(9, 8), (1, 8, 8))
    if name == "missing":
        return Inpainting(picture(*SIZE, seed=2) > 0.5)
    return Convolution(random_kernel(0), SIZE, "circular" if name == "blur" else "reflect")


def problem(name: str, batch: int = 1) -> tuple[LeastSquares, Tensor]:
    A = physics(name)
    y = A.A(picture(batch, *A.image_shape, seed=3))
    return LeastSquares(A, y), A.initial_guess(y)


def objective(fidelity: Fidelity, weight: float, x: Tensor) -> Tensor:
    return fidelity.value(x) + TotalVariation(weight).value(x)


# ---- the right solution ------------------------------------------------------------------------


@pytest.mark.parametrize("box", [(0.0, 1.0), None])
@pytest.mark.parametrize("relaxation", [1.0, 1.9])
def test_known_solution(box: tuple[float, float] | None, relaxation: float) -> None:
    fidelity, expected = total_variation_on_a_line()
    solver = total_variation_solver(fidelity, 0.05, fidelity.y, box=box, relaxation=relaxation)
    solution = iterate(solver, Stopping(1e-12, 3000, check_every=50))
    assert solution.certificate.holds
    torch.testing.assert_close(solution.image, expected, rtol=0, atol=1e-8)


PHYSICS = ["blur", "reflecting-blur", "missing", "scan"]


@pytest.mark.parametrize("rule", ["norms", "diagonal"])
@pytest.mark.parametrize("name", PHYSICS)
def test_gap_proves_the_solution_of_every_physics(name: str, rule: str) -> None:
    fidelity, start = problem(name)
    solver = total_variation_solver(fidelity, 0.02, start, step_rule=rule)  # type: ignore[arg-type]
    states: list[Tensor] = []

    class Watched(PDHG):
        def image(self, state: State) -> Tensor:
            states[:] = [state.z]
            return super().image(state)

    watched = Watched(*(getattr(solver, field) for field in solver.__dataclass_fields__))
    first = float(solver.primal_dual_gap(solver.init().z))
    solution = iterate(watched, Stopping(1e-10, 500, check_every=50))
    assert solution.certificate.holds, solution.certificate.lines()
    assert len(solution.certificate.observed) == 3  # monotone, below the rate, within the norms
    last = float(solver.primal_dual_gap(states[0]))
    assert -1e-10 < last < 1e-3 * first
    value = float(objective(fidelity, 0.02, solution.image))
    for seed in range(5):  # no point near it is better by more than the gap
        other = (solution.image + 0.01 * random_tensor(*start.shape, seed=seed)).clamp(0, 1)
        assert float(objective(fidelity, 0.02, other)) >= value - last - 1e-12


def test_gap_bounds_the_distance_from_the_minimum_all_along() -> None:
    fidelity, expected = total_variation_on_a_line()
    solver = total_variation_solver(fidelity, 0.05, fidelity.y)
    best = float(objective(fidelity, 0.05, expected))
    state = solver.init()
    for k in range(40):
        state = solver.step(state, k).state
        excess = float(objective(fidelity, 0.05, solver.image(state))) - best
        assert -1e-12 <= excess <= float(solver.primal_dual_gap(state.z)) + 1e-12
    unboxed = total_variation_solver(fidelity, 0.05, fidelity.y, box=None)
    assert math.isinf(float(unboxed.primal_dual_gap(unboxed.init().z)))


@pytest.mark.parametrize("kind", ["weighted", "huber", "kullback-leibler", "counts"])
def test_other_fidelities(kind: str) -> None:
    A = Convolution(random_kernel(0), SIZE, "constant")
    y = A.A(picture(1, *SIZE, seed=3))
    fidelity: Fidelity
    if kind == "weighted":
        fidelity = WeightedLeastSquares(A, y, picture(1, *SIZE, seed=4))
    elif kind == "huber":
        fidelity = Huber(A, y, 0.05)
    else:
        fidelity = KullbackLeibler(A, y, 0.1 if kind == "kullback-leibler" else 0.0)
    solver = total_variation_solver(fidelity, 0.02, y)
    solution = iterate(solver, Stopping(1e-5, 1000, check_every=20))
    assert solution.certificate.holds, solution.certificate.lines()
    assert solution.status is Status.CONVERGED
    value = float(objective(fidelity, 0.02, solution.image))
    for seed in range(5):
        step = 1e-2 * random_tensor(1, *SIZE, seed=seed)
        other = (solution.image + step).clamp(0, 1)
        assert float(objective(fidelity, 0.02, other)) >= value - 1e-5


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_dual_radius(coupling: str) -> None:
    shape = (3, 4, 5)
    outer = GradientNorm(0.7, coupling)  # type: ignore[arg-type]
    radius = dual_radius(coupling, 0.7, shape)  # type: ignore[arg-type]
    far = outer.conjugate_prox(1e6 * random_tensor(1, 2, *shape), 1.0)
    assert 0.9 * radius < float(far.norm()) <= radius
    assert bool((pixel_norms(far, "isotropic") <= 0.7 + 1e-12).all())


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


def run(solver: PDHG, iterations: int = 60) -> Solution:
    return iterate(solver, Stopping(FOREVER, iterations))


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


# ---- runs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("box", [True, False])
def test_box_as_a_block_and_closed_form_data(box: bool) -> None:
    A = Convolution(invertible_kernel(), SIZE)
    start = A.A(picture(1, *SIZE, seed=3))
    fidelity = LeastSquares(A, start)
    slopes = composite_block(TotalVariation(0.02), (SIZE[0], SIZE[1], SIZE[2]))
    blocks = (slopes, box_block(Box(0.2, 0.7), slopes.operator.image_shape)) if box else (slopes,)
    bounds = tuple(block.operator.norm_bound for block in blocks)
    sigmas = balanced_steps(bounds, (0.9, 0.1)[: len(blocks)] if box else (1.0,), 2.0)
    picture_box = Box(0.2, 0.7) if box else None
    split = PDHG(fidelity, blocks, 2.0, sigmas, start, 1.5, picture=picture_box)
    limits = (0.2, 0.7) if box else None
    plain = total_variation_solver(fidelity, 0.02, start, box=limits)
    stopping = Stopping(1e-9, 1500, check_every=50)
    first, second = iterate(split, stopping), iterate(plain, stopping)
    assert first.certificate.holds
    torch.testing.assert_close(first.image, second.image, rtol=0, atol=1e-5)


@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
def test_an_operator_that_returns_its_argument(box: tuple[float, float] | None) -> None:
    """Total variation denoising: the data block must not write into the point of the others."""
    y = picture(1, 1, 9, 8)
    prior = TotalVariation(0.1, box=box)
    solver = total_variation_solver(LeastSquares(Identity((1, 9, 8)), y), 0.1, y, box=box)
    solution = iterate(solver, Stopping(tol=1e-8, max_iter=5000))
    assert solution.status is Status.CONVERGED
    assert solution.certificate.holds
    expected, error = prior.prox(y, 1.0, tol=1e-8)
    assert float((solution.image - expected).norm()) < 1e-4 + float(error)


def test_sparse_pictures() -> None:
    # g = ‖·‖₁ as primal term against its soft threshold.
    y = random_tensor(1, 1, 4, 5)
    blocks = (data_block(LeastSquares(Identity((1, 4, 5)), y)),)
    solution = iterate(PDHG(L1(0.3), blocks, 0.9, (1.0,), torch.zeros_like(y)), Stopping(1e-12))
    expected = y.sign() * (y.abs() - 0.3).clamp_min(0)
    torch.testing.assert_close(solution.image, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rule", ["norms", "diagonal"])
def test_batches_and_precision(dtype: torch.dtype, rule: str) -> None:
    A = blur(random_kernel(1), "reflect")
    y = A.A(picture(3, *A.image_shape, seed=3)).to(dtype)
    together = run(total_variation_solver(LeastSquares(A, y), 0.02, y, step_rule=rule), 60)  # type: ignore[arg-type]
    assert together.certificate.holds, together.certificate.lines()
    assert together.image.dtype == dtype
    for i in range(3):
        one = y[i : i + 1]
        alone = run(total_variation_solver(LeastSquares(A, one), 0.02, one, step_rule=rule), 60)  # type: ignore[arg-type]
        torch.testing.assert_close(together.image[i : i + 1], alone.image, rtol=0, atol=1e-5)
    parameters = together.parameters
    assert set(parameters) == {"tau", "sigma_1", "sigma_2", "relaxation"}
