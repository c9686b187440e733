"""Plug-and-play solvers: what the certificate says, and what the run then shows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from net_laws import picture, random_tensor
from operators import BOUNDARIES, Boundary, Convolution, LinearOperator
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.solvers import SOLVERS, Look, Solution, Status, Stopping, iterate
from solver_laws import (
    SIZE,
    blur,
    declared,
    invertible_kernel,
    make,
    measurements,
    random_kernel,
    tiny_denoiser,
)

TINY = tiny_denoiser()
FOREVER = 1e-300  # a tolerance that is never reached


def run(name: str, iterations: int = 40, *, check_every: int = 5, **options: object) -> Solution:
    """A run of a registered solver on a circular blur, unless options say otherwise."""
    A = options.pop("A", None) or blur(random_kernel(0))
    assert isinstance(A, LinearOperator)
    y = options.pop("y", None)
    denoiser = options.pop("denoiser", TINY)
    solver = make(name, A, measurements(A) if y is None else y, denoiser, **options)  # type: ignore[arg-type]
    return iterate(solver, Stopping(FOREVER, iterations, check_every=check_every))


# ---- the laws of averaged maps -----------------------------------------------------------------


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("name", SOLVERS)
def test_residuals_obey_the_certificate(name: str, boundary: Boundary) -> None:
    for seed in (0, 1):
        A = blur(random_kernel(seed, taps=3 + 2 * seed), boundary)
        solution = run(name, A=A)
        certificate, history = solution.certificate, solution.history
        assert certificate.proven
        assert not certificate.contradicted
        assert certificate.holds
        assert certificate.verdict.startswith("certified: PnP-")
        assert len(certificate.observed) == 2
        assert solution.status is Status.ITERATION_LIMIT
        assert solution.iterations == 40 == len(history.bounds)
        rows = zip(history.residuals, history.errors, strict=True)
        residuals = [(row[0], error[0]) for row, error in rows]
        for (before, early), (after, late) in pairwise(residuals):
            assert after <= before * (1 + 1e-9) + early + late + 1e-12
        for (residual, _), (bound,) in zip(residuals, history.bounds, strict=True):
            assert residual <= bound
        assert residuals[-1][0] < 0.2 * residuals[0][0]
        assert float(solution.image.min()) >= 0
        assert float(solution.image.max()) <= 1


@pytest.mark.parametrize("name", SOLVERS)
def test_certified_knobs_keep_the_laws(name: str) -> None:
    solution = run(name, scaling=0.5, relaxation=0.2)
    assert solution.certificate.holds
    assert solution.parameters["denoiser_scaling"] == 0.5
    assert solution.parameters["relaxation"] == 0.2


@pytest.mark.parametrize("name", SOLVERS)
def test_false_guarantee_is_contradicted_by_growing_residuals(name: str) -> None:
    A = blur(invertible_kernel())
    grey = torch.full((1, *SIZE), 0.5, dtype=torch.float64)
    solution = run(
        name,
        A=A,
        y=A.A(grey),
        denoiser=declared(lambda x: 0.5 + 9 * (x - 0.5)),
        start=grey + 1e-6 * random_tensor(1, *SIZE),
    )
    assert solution.certificate.proven
    assert solution.certificate.contradicted
    assert not solution.certificate.holds
    assert solution.certificate.verdict.startswith("CERTIFICATE FAILED: ‖z_{k+1}−z_k‖ never")
    assert any("BROKEN" in line for line in solution.certificate.lines())


def test_false_averagedness_is_contradicted_by_the_rate() -> None:
    # The negative is 1-Lipschitz, not averaged: residuals do not grow, and do not fall either.
    solution = run("pnp-pgd", denoiser=declared(lambda x: 1 - x), step_size=1e-9)
    monotone, rate = solution.certificate.observed
    assert monotone.passed
    assert not rate.passed
    assert solution.certificate.contradicted
    honest = run("pnp-pgd", denoiser=declared(lambda x: 1 - x, 1.0), step_size=1e-9)
    assert not honest.certificate.proven
    assert "only 1-Lipschitz" in honest.certificate.verdict


@pytest.mark.parametrize("name", SOLVERS)
def test_no_declared_guarantee_means_none(name: str) -> None:
    solution = run(name, denoiser=declared(lambda x: x, None))
    assert not solution.certificate.proven
    assert not solution.certificate.contradicted
    assert not solution.certificate.observed
    assert not solution.history.bounds
    assert (
        solution.certificate.verdict == "no guarantee: denoiser test declares no Lipschitz constant"
    )


# ---- unique fixed points -----------------------------------------------------------------------


@pytest.mark.parametrize("boundary", ["circular", "reflect"])
@pytest.mark.parametrize("name", SOLVERS)
def test_strongly_convex_problems_have_one_fixed_point(name: str, boundary: Boundary) -> None:
    # ‖A x‖ ≥ (0.7 − 0.3‖K‖)‖x‖ makes f strongly convex, so that the data step (for DRS the
    # reflection) is a contraction; D is 1-Lipschitz, T contracts, and Banach gives uniqueness.
    A = blur(invertible_kernel(), boundary)
    y = measurements(A)
    starts = (torch.zeros(1, *SIZE).double(), picture(1, *SIZE, seed=9))
    stopping = Stopping(1e-9, 2000)
    first, second = (iterate(make(name, A, y, TINY, start=start), stopping) for start in starts)
    assert first.status is second.status is Status.CONVERGED
    assert first.status.succeeded
    assert first.certificate.holds
    torch.testing.assert_close(first.image, second.image, rtol=0, atol=1e-6)


def test_without_strong_convexity_fixed_points_may_differ() -> None:
    # The kernel annihilates vertical stripes; the identity leaves them where they were.
    kernel = torch.tensor([[0.25, 0.5, 0.25]], dtype=torch.float64)
    A = Convolution(kernel, (1, 12, 12))
    grey = torch.full((1, 1, 12, 12), 0.5, dtype=torch.float64)
    stripes = grey.clone()
    stripes[..., ::2] += 0.2
    stripes[..., 1::2] -= 0.2
    for name in SOLVERS:
        identity = declared(lambda x: x)
        ends = [
            iterate(make(name, A, A.A(grey), identity, start=start), Stopping(1e-9, 2000))
            for start in (grey, stripes)
        ]
        assert all(end.certificate.holds for end in ends)
        assert float((ends[0].image - ends[1].image).abs().max()) > 0.1


# ---- parameters outside the proven range -------------------------------------------------------


@pytest.mark.parametrize("factor", [1.0, 1.5, 0.0, -1.0, math.nan])
def test_step_outside_its_range(factor: float) -> None:
    A = blur(random_kernel(0))
    limit = 2 / A.norm_bound**2
    with pytest.raises(StepSizeError, match=rf"\(0, 2/L\) = \(0, {limit:.6g}\)"):
        run("pnp-pgd", A=A, step_size=factor * limit)
    allowed = run("pnp-pgd", 5, A=A, step_size=factor * limit, allow_uncertified=True)
    assert not allowed.certificate.proven
    assert allowed.certificate.verdict.startswith("no guarantee: step size")
    assert run("pnp-pgd", 5, A=A, step_size=0.999 * limit).certificate.proven


@pytest.mark.parametrize("relaxation", [0.0, 1.0, 1.5, -0.5, math.nan])
def test_relaxation_of_douglas_rachford(relaxation: float) -> None:
    with pytest.raises(StepSizeError, match=r"relaxation .* proven range \(0, 1\)"):
        run("pnp-drs", relaxation=relaxation)
    allowed = run("pnp-drs", 5, relaxation=relaxation, allow_uncertified=True)
    assert allowed.certificate.verdict.startswith("no guarantee: relaxation")


@pytest.mark.parametrize("name", ["pnp-pgd", "pnp-hqs"])
def test_relaxation_of_the_others(name: str) -> None:
    for relaxation in (0.0, -1.0, math.nan):
        with pytest.raises(StepSizeError, match=r"relaxation .* positive"):
            run(name, relaxation=relaxation)
    alpha = TINY.guarantee.averagedness
    assert alpha is not None
    assert run(name, relaxation=1.0 / alpha * 0.999).certificate.holds
    assert not run(name, 5, relaxation=1.5 / alpha).certificate.proven


@pytest.mark.parametrize("name", ["pnp-hqs", "pnp-drs"])
def test_coupling_must_be_positive(name: str) -> None:
    for gamma in (0.0, -2.0, math.inf, math.nan):
        with pytest.raises(StepSizeError, match=r"gamma .* positive"):
            run(name, gamma=gamma)
    for gamma in (1e-6, 1e6):  # any other is covered
        assert run(name, gamma=gamma).certificate.holds


class Unmatched(Convolution):
    """A broken twin: its transpose is shifted, and it says so."""

    adjoint_matched = False

    def _transpose_map(self, y: Tensor) -> Tensor:
        return super()._transpose_map(y).roll(1, -1)


class Boundless(Convolution):
    """An operator whose norm nobody knows."""

    @property
    def has_norm_bound(self) -> bool:
        return False


@pytest.mark.parametrize("name", SOLVERS)
def test_operator_without_the_facts_that_the_theorem_needs(name: str) -> None:
    options = {"step_size": 0.5} if name == "pnp-pgd" else {}
    unmatched = run(name, 5, A=Unmatched(random_kernel(0), SIZE), **options)
    assert "is not the transpose" in unmatched.certificate.verdict
    assert not unmatched.certificate.proven
    boundless = run(name, 5, A=Boundless(random_kernel(0), SIZE), **options)
    # Proximal maps need no norm, gradient steps do.
    assert boundless.certificate.proven == (name != "pnp-pgd")


# ---- how a run ends ----------------------------------------------------------------------------


class After:
    """The identity for some calls, then something else."""

    def __init__(self, calls: int, then: Callable[[Tensor], Tensor]) -> None:
        self.calls, self.then = calls, then

    def __call__(self, x: Tensor) -> Tensor:
        self.calls -= 1
        return x if self.calls >= 0 else self.then(x)


def interrupt(x: Tensor) -> Tensor:
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize(("good", "kept"), [(7, 5), (0, 0)])
def test_non_finite_values_keep_the_last_finite_picture(name: str, good: int, kept: int) -> None:
    broken = declared(After(good, lambda x: x * math.nan))
    solution = run(name, denoiser=broken)
    assert solution.status is Status.NON_FINITE
    assert not solution.status.succeeded
    assert solution.iterations == good
    assert bool(torch.isfinite(solution.image).all())
    if kept:
        expected = run(name, kept, denoiser=declared(lambda x: x)).image
        torch.testing.assert_close(solution.image, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("good", [7, 5, 0])
def test_interrupt_keeps_the_last_picture(name: str, good: int) -> None:
    solution = run(name, denoiser=declared(After(good, interrupt)))
    assert solution.status is Status.INTERRUPTED
    assert solution.iterations == good
    assert solution.history.checked == [k for k in (5, 7) if k <= good]
    assert not solution.certificate.contradicted
    if good:
        expected = run(name, good, denoiser=declared(lambda x: x)).image
        torch.testing.assert_close(solution.image, expected, rtol=0, atol=1e-12)
    else:
        assert solution.image.shape == (1, *SIZE)


def test_time_limit() -> None:
    def slow(x: Tensor) -> Tensor:
        time.sleep(0.02)
        return x

    A = blur(random_kernel(0))
    solver = make("pnp-pgd", A, measurements(A), declared(slow))
    solution = iterate(solver, Stopping(FOREVER, 1000, time_limit=0.1, check_every=1))
    assert solution.status is Status.TIME_LIMIT
    assert 1 <= solution.iterations <= 5
    assert solution.history.seconds[-1] > 0.1


@pytest.mark.parametrize(
    "options",
    [{"tol": 0.0}, {"tol": math.nan}, {"max_iter": 0}, {"check_every": 0}, {"time_limit": 0}],
)
def test_stopping_arguments(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="must be"):
        Stopping(**options)  # type: ignore[arg-type]


def test_looks_and_reference() -> None:
    looks: list[tuple[Look, Tensor]] = []
    A, clean = blur(invertible_kernel()), picture(1, *SIZE, seed=3)
    solver = make("pnp-hqs", A, A.A(clean), TINY)
    solution = iterate(
        solver,
        Stopping(1e-4, 500, check_every=7),
        reference=clean,
        callback=lambda look: looks.append((look, look.image())),
    )
    assert solution.status is Status.CONVERGED
    assert [look.iteration for look, _ in looks] == solution.history.checked
    assert solution.history.checked == list(range(7, solution.iterations + 1, 7))
    assert max(solution.history.relative(-1)) <= 1e-4 == solver_tolerance(solution)
    last, image = looks[-1]
    torch.testing.assert_close(image, solution.image)
    error = float((solution.image - clean).square().mean())
    assert last.psnr == pytest.approx(-10 * math.log10(error))
    assert solution.history.psnr[-1] == pytest.approx([last.psnr])


def solver_tolerance(solution: Solution) -> float:
    """The tolerance of `test_looks_and_reference`: only the last look was below it."""
    earlier = [max(solution.history.relative(k - 1)) for k in solution.history.checked[:-1]]
    assert min(earlier) > 1e-4
    return 1e-4


# ---- batches -----------------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", ["circular", "replicate"])
@pytest.mark.parametrize("name", SOLVERS)
def test_batch_equals_single_runs(name: str, boundary: Boundary) -> None:
    A = blur(random_kernel(1), boundary)
    y, start = measurements(A, batch=3), picture(3, *SIZE, seed=5)
    start[0] = 0.5
    together = run(name, 12, A=A, y=y, start=start)
    for i in range(3):
        alone = run(name, 12, A=A, y=y[i : i + 1], start=start[i : i + 1])
        torch.testing.assert_close(together.image[i : i + 1], alone.image, rtol=0, atol=1e-9)
        for key in ("residuals", "norms", "errors", "bounds"):
            column = [row[i] for row in getattr(together.history, key)]
            single = [row[0] for row in getattr(alone.history, key)]
            assert column == pytest.approx(single, rel=1e-6, abs=1e-9)
    first = together.history.residuals[0]
    assert len({round(value, 6) for value in first}) == 3  # no mean over the batch


# ---- the inner solve ---------------------------------------------------------------------------


class ByConjugateGradients(Convolution):
    """A circular blur that does not use its closed form."""

    def __init__(self, kernel: Tensor) -> None:
        super().__init__(kernel, SIZE)
        self.prox_closed_form = False

    prox_l2_with_error = LinearOperator.prox_l2_with_error


@pytest.mark.parametrize("gamma", [0.1, 10.0, 1000.0])
@pytest.mark.parametrize("tol", [1e-1, 1e-4, 1e-10])
def test_proven_error_of_the_inner_solve(gamma: float, tol: float) -> None:
    A, iterative = blur(random_kernel(0)), ByConjugateGradients(random_kernel(0))
    y, z = measurements(A, batch=2), random_tensor(2, *SIZE)
    exact, none = LeastSquares(A, y).prox(z, gamma)
    assert none.tolist() == [0, 0]
    found, bound = LeastSquares(iterative, y).prox(z, gamma, start=z, tol=tol)
    errors = (found - exact).flatten(1).norm(dim=1)
    assert bool((errors <= bound + 1e-12).all())
    assert bool((bound <= 1.01 * tol + 1e-12).all())


def test_proven_error_is_not_generous() -> None:
    # Where A annihilates the error, residual and error are equal: half the bound is violated.
    kernel = torch.tensor([[0.25, 0.5, 0.25]], dtype=torch.float64)
    A = Convolution(kernel, (1, 12, 12), "constant")
    y, z = torch.zeros(1, 1, 12, 12).double(), picture(1, 1, 12, 12)
    stripes = (-1.0) ** torch.arange(12) * torch.sin(math.pi * torch.arange(1, 13) / 13)
    exact, _ = A.prox_l2_with_error(z, y, 1.0, tol=1e-13)
    start = exact + stripes.double()
    found, bound = A.prox_l2_with_error(z, y, 1.0, start, tol=1e9)
    torch.testing.assert_close(found, start)
    error = float((found - exact).norm())
    assert 0.5 * float(bound) < error <= float(bound)


@pytest.mark.parametrize("name", ["pnp-hqs", "pnp-drs"])
def test_inexact_runs_end_where_exact_ones_do(name: str) -> None:
    exact = run(name, 300, A=blur(invertible_kernel()))
    inexact = run(name, 300, A=ByConjugateGradients(invertible_kernel()))
    torch.testing.assert_close(inexact.image, exact.image, rtol=0, atol=1e-5)
    assert inexact.certificate.holds
    assert max(row[0] for row in inexact.history.errors) > 0
    assert max(row[0] for row in exact.history.errors) == 0


def test_errors_of_the_inner_solve_are_counted() -> None:
    # Without its declared errors an inexact run would look like a broken certificate.
    exact = run("pnp-pgd")
    doctored = replace(exact.history, residuals=[[1.0], [1.5]], norms=[[1.0]] * 2, bounds=[])
    from pnp_recon.solvers.base import observe

    for errors, passed in (([[0.0]] * 2, False), ([[0.3]] * 2, True)):
        history = replace(doctored, errors=errors, bounds=[])
        assert observe(history, 0.5, None, 1e-16)[0].passed == passed
