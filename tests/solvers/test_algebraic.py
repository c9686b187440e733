"""Landweber, SIRT and CGLS against dense solutions, and what each refuses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from laws.networks import picture, random_tensor
from laws.solvers import FOREVER, SIZE, blur, random_kernel
from operators import LinearOperator, to_matrix
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.fidelity import LeastSquares, WeightedLeastSquares
from pnp_recon.solvers import (
    CGLS,
    SIRT,
    SOLVERS,
    Anderson,
    Landweber,
    Solver,
    Status,
    Stopping,
    iterate,
)
from scripts.figures.rates.fixed_point import Matrix

ALGEBRAIC = {name: entry.load() for name, entry in SOLVERS.items() if "none" in entry.prior_kinds}


def system(
    rows: int = 9, columns: int = 6, batch: int = 1, empty: bool = False
) -> tuple[Matrix, LeastSquares, Tensor]:
    """A random non-negative matrix, noisy data, zeros; `empty`: without row 2 and column 3."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.rand(rows, columns, generator=generator, dtype=torch.float64)
    matrix *= matrix > 0.5
    matrix += 0.5 * torch.eye(rows, columns, dtype=torch.float64)
    if empty:
        matrix[2], matrix[:, 3] = 0, 0
    A = Matrix(matrix)
    y = A.A(picture(batch, 1, 1, columns)) + 0.1 * random_tensor(batch, 1, 1, rows)
    return A, LeastSquares(A, y), torch.zeros(batch, 1, 1, columns, dtype=torch.float64)


def solvers(fidelity: LeastSquares, start: Tensor) -> dict[str, Solver]:
    return {
        "landweber": Landweber(fidelity, start, step_size=1.9 / fidelity.lipschitz),
        "sirt": SIRT(fidelity, start, relaxation=1.5),
        "cgls": CGLS(fidelity, start),
    }


def least_squares(A: Matrix, y: Tensor, weights: Tensor | None = None) -> Tensor:
    root = torch.ones(A.matrix.shape[0]).double() if weights is None else weights.flatten().sqrt()
    return (torch.linalg.pinv(root[:, None] * A.matrix) @ (root * y).mT).mT


@pytest.mark.parametrize("name", ALGEBRAIC)
def test_solution_is_that_of_dense_least_squares(name: str) -> None:
    A, fidelity, start = system(batch=2)
    solution = iterate(solvers(fidelity, start)[name], Stopping(1e-12, 4000))
    assert solution.status is Status.CONVERGED
    assert solution.certificate.holds
    rows = A.A(torch.ones_like(start[:1]))
    expected = least_squares(A, fidelity.y, 1 / rows if name == "sirt" else None)
    torch.testing.assert_close(solution.image, expected, rtol=0, atol=1e-8)
    assert solution.solver == name


@pytest.mark.parametrize("name", ["landweber", "sirt"])
@pytest.mark.parametrize("box", [None, (0.0, 1.0), (0.2, math.inf)])
def test_laws_of_averaged_maps_hold(name: str, box: tuple[float, float] | None) -> None:
    _, fidelity, start = system(batch=2, empty=True)
    solver: Solver
    if name == "sirt":
        solver = SIRT(fidelity, start, box, relaxation=1.9)
    else:
        solver = Landweber(fidelity, start, box, step_size=1.9 / fidelity.lipschitz)
    solution = iterate(solver, Stopping(FOREVER, 60))
    assert solution.certificate.holds
    assert len(solution.certificate.observed) == (2 if box == (0.0, 1.0) else 1)
    if box is not None:
        assert float(solution.image.min()) >= box[0]
        assert float(solution.image.max()) <= box[1]
    fast = iterate(Anderson(solver), Stopping(FOREVER, 60))
    assert fast.certificate.holds
    assert max(fast.history.residuals[-1]) < max(solution.history.residuals[-1])


def test_the_box_gives_constrained_least_squares() -> None:
    # The gradient of the solution vanishes inside, and points outwards on the border.
    _, fidelity, start = system()
    box = (0.4, 0.7)
    x = iterate(
        Landweber(fidelity, start, box, 1 / fidelity.lipschitz), Stopping(1e-13, 9000)
    ).image
    gradient = fidelity.gradient(x)
    assert bool((gradient[x <= box[0]] >= -1e-9).all())
    assert bool((gradient[x >= box[1]] <= 1e-9).all())
    free = (x > box[0]) & (x < box[1])
    assert 0 < int(free.sum()) < x.numel()
    assert float(gradient[free].abs().max()) < 1e-9
    with pytest.raises(InputError, match="low < high"):
        Landweber(fidelity, start, (1.0, 0.0))


# ---- SIRT --------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [False, True])
def test_normalised_matrix_of_sirt_has_norm_at_most_one(empty: bool) -> None:
    A, fidelity, start = system(empty=empty)
    rows, columns, weights = (w.flatten() for w in SIRT(fidelity, start).weights)
    norm = float(torch.linalg.matrix_norm(rows.sqrt()[:, None] * A.matrix * columns.sqrt(), 2))
    assert 1 - 1e-12 <= norm <= 1 + 1e-12  # attained at the roots of the sums
    assert (float(rows[2]) == 0) == empty
    assert (float(columns[3]) == 0) == empty
    assert float(weights.min()) > 0
    lifted = 1.1 * float(rows.max())  # a wrong weight is seen
    assert float(torch.linalg.matrix_norm(A.matrix * columns.sqrt(), 2)) * lifted**0.5 > 1


def test_unseen_pixels_stay_and_empty_rows_count_for_nothing() -> None:
    _, fidelity, start = system(empty=True)
    start = start + 0.7
    found = iterate(SIRT(fidelity, start), Stopping(1e-12, 5000)).image
    assert float(found[..., 3]) == 0.7
    louder = LeastSquares(fidelity.A, fidelity.y.clone())
    louder.y[..., 2] += 100
    same = iterate(SIRT(louder, start), Stopping(1e-12, 5000)).image
    torch.testing.assert_close(found, same)
    clipped = iterate(SIRT(fidelity, start, (0.0, 0.5)), Stopping(1e-9, 50)).image
    assert float(clipped[..., 3]) == 0.5


def test_sirt_works_in_single_precision_on_blurs() -> None:
    A = blur(random_kernel(0), "constant")
    x = picture(1, *SIZE).float()
    solution = iterate(SIRT(LeastSquares(A, A.A(x)), torch.zeros_like(x)), Stopping(FOREVER, 60))
    assert solution.image.dtype is torch.float32
    assert solution.certificate.holds
    assert float((solution.image - x).norm()) < 0.6 * float(x.norm())


# ---- CGLS --------------------------------------------------------------------------------------


def test_cgls_ends_after_rank_many_steps_and_nothing_grows_on_the_way() -> None:
    A, fidelity, start = system()
    expected = least_squares(A, fidelity.y)
    solver = CGLS(fidelity, start)
    state = solver.init()
    z = state.z
    distances, misfits = [float((z - expected).norm())], [float((A.A(z) - fidelity.y).norm())]
    for k in range(6):
        state = solver.step(state, k).state
        z = state.z
        distances.append(float((z - expected).norm()))
        misfits.append(float((A.A(z) - fidelity.y).norm()))
    assert distances[-1] < 1e-9
    assert distances == sorted(distances, reverse=True)
    assert misfits == sorted(misfits, reverse=True)
    solution = iterate(solver, Stopping(1e-10, 50))
    assert solution.status is Status.CONVERGED
    gradient = A.A_adjoint(fidelity.y - A.A(solution.image)).norm() / A.A_adjoint(fidelity.y).norm()
    assert float(gradient) < 1e-9
    assert solution.history.relative(-1)[0] <= 1e-10


class Skewed(Matrix):
    """Its A_adjoint is not the transpose, whatever it declares."""

    def _transpose_map(self, y: Tensor) -> Tensor:
        return -super()._transpose_map(y).flip(-1) + 2 * super()._transpose_map(y)


def test_a_transpose_that_is_none_is_refuted_before_the_run() -> None:
    A, fidelity, start = system()
    with pytest.raises(InputError, match="is not the transpose of A"):
        iterate(CGLS(LeastSquares(Skewed(A.matrix), fidelity.y), start), Stopping(FOREVER, 8))


@pytest.mark.usefixtures("unprobed")
def test_a_transpose_that_is_none_breaks_the_law_of_cgls() -> None:
    A, fidelity, start = system()
    wrong = CGLS(LeastSquares(Skewed(A.matrix), fidelity.y), start)
    certificate = iterate(wrong, Stopping(FOREVER, 8)).certificate
    assert certificate.proven
    assert certificate.contradicted
    assert "‖A x_k − y‖ never increases" in certificate.verdict


def test_cgls_of_nothing_stays_where_it_is() -> None:
    A, fidelity, start = system()
    silent = LeastSquares(A, torch.zeros_like(fidelity.y))
    solution = iterate(CGLS(silent, start), Stopping(1e-6, 5))
    assert float(solution.image.abs().max()) == 0
    assert solution.certificate.holds


# ---- refusals ----------------------------------------------------------------------------------


class Signed(LinearOperator):
    """x ↦ −x, with nothing said about its norm."""

    def __init__(self) -> None:
        super().__init__("signed", (1, 1, 4), (1, 1, 4))

    def _forward_map(self, x: Tensor) -> Tensor:
        return -x

    def _transpose_map(self, y: Tensor) -> Tensor:
        return -y


def test_what_the_theorems_exclude_is_refused() -> None:
    _, fidelity, start = system()
    for step in (0.0, -1.0, 2 / fidelity.lipschitz, math.nan):
        with pytest.raises(StepSizeError, match="outside the proven range"):
            Landweber(fidelity, start, step_size=step).theorem()
    for relaxation in (0.0, 2.0):
        with pytest.raises(StepSizeError, match="outside the proven range"):
            SIRT(fidelity, start, relaxation=relaxation).theorem()
    signed = LeastSquares(Signed(), torch.ones(1, 1, 1, 4).double())
    zero = torch.zeros(1, 1, 1, 4).double()
    with pytest.raises(InputError, match="negative"):
        SIRT(signed, zero).theorem()
    assert "no proven bound" in Landweber(signed, zero).theorem().why_not
    with pytest.raises(InputError, match="of one map, and cgls is none"):
        Anderson(CGLS(fidelity, start)).theorem()


@pytest.mark.parametrize("name", ALGEBRAIC)
def test_an_unmatched_adjoint_means_no_guarantee(name: str) -> None:
    A, fidelity, start = system()
    fidelity.lipschitz  # noqa: B018  (the bound exists before the operator is declared unmatched)
    found = solvers(fidelity, start)[name]
    A.adjoint_matched = False
    verdict = found.theorem().why_not
    assert verdict == "no guarantee: A_adjoint of operator 'matrix' is not the transpose of A"


@pytest.mark.parametrize("name", ALGEBRAIC)
def test_batch_equals_single_runs(name: str) -> None:
    A, fidelity, start = system(batch=3)
    together = iterate(solvers(fidelity, start)[name], Stopping(FOREVER, 5)).image
    for i in range(3):
        alone = LeastSquares(A, fidelity.y[i : i + 1])
        single = iterate(solvers(alone, start[i : i + 1])[name], Stopping(FOREVER, 5)).image
        torch.testing.assert_close(together[i : i + 1], single, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_smoothness_of_sirt_bounds_the_weights_that_run(dtype: torch.dtype) -> None:
    A = blur(random_kernel(0), "constant")
    start = torch.zeros(1, *SIZE, dtype=dtype)
    solver = SIRT(LeastSquares(A, A.A(start)), start)
    rows, columns, _ = (w.double().flatten() for w in solver.weights)
    matrix = to_matrix(A)
    attained = torch.linalg.matrix_norm(rows.sqrt()[:, None] * matrix * columns.sqrt(), 2)
    claimed = solver.theorem().constants[0].value
    assert float(attained) ** 2 <= claimed < 1 + 1e4 * torch.finfo(dtype).eps
    # Heavier weights have a larger bound: it is computed from them.
    heavier = SIRT(LeastSquares(A, A.A(start)), start)
    heavier.__dict__["weights"] = (2 * rows.view_as(start), columns.view_as(start), columns)
    assert heavier._smoothness > 1.9


@pytest.mark.parametrize("kind", ALGEBRAIC.values())
def test_other_fidelities_are_refused(kind: type[Landweber | SIRT | CGLS]) -> None:
    A = blur(random_kernel(0))
    x = picture(1, *SIZE)
    weighted = WeightedLeastSquares(A, A.A(x), torch.ones_like(x))
    with pytest.raises(InputError, match="plain least squares"):
        kind(weighted, x)  # type: ignore[arg-type]
