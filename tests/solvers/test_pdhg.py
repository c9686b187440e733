"""PDHG is right on problems with a known solution, in every physics and precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from laws.networks import picture, random_tensor
from laws.solvers import blur, invertible_kernel, random_kernel
from operators import (
    Convolution,
    Identity,
)
from pnp_recon.fidelity import Fidelity, Huber, KullbackLeibler, LeastSquares, WeightedLeastSquares
from pnp_recon.proximal import L1, Box
from pnp_recon.proximal.coupling import COUPLINGS, GradientNorm, pixel_norms
from pnp_recon.proximal.total_variation import TotalVariation
from pnp_recon.solvers import (
    PDHG,
    State,
    Status,
    Stopping,
    iterate,
    total_variation_solver,
)
from pnp_recon.solvers.convex.blocks import box_block, composite_block, data_block
from pnp_recon.solvers.convex.steps import balanced_steps
from pnp_recon.solvers.convex.terms import dual_radius
from support.saddle_points import SIZE, problem, run
from support.variational_problems import total_variation_on_a_line


def objective(fidelity: Fidelity, weight: float, x: Tensor) -> Tensor:
    return fidelity.value(x) + TotalVariation(weight).value(x)


def bound(solver: PDHG, state: State) -> float:
    """Of F(x) − min F."""
    found = solver.gap(state)
    assert found is not None
    assert not found.faulty.any()
    return float(found.value)


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
    first = bound(solver, solver.init())
    solution = iterate(watched, Stopping(1e-10, 500, check_every=50))
    assert solution.certificate.holds, solution.certificate.lines()
    assert len(solution.certificate.observed) == 3  # monotone, below the rate, within the norms
    last = bound(solver, State(states[0]))
    assert 0 <= last < 1e-3 * first
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
        assert -1e-12 <= excess <= bound(solver, state) + 1e-12
    unboxed = total_variation_solver(fidelity, 0.05, fidelity.y, box=None)
    assert unboxed.gap(unboxed.init()) is None


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
