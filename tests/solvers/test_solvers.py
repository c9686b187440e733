"""Plug-and-play solvers: what the certificate says, and what the run then shows."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from laws.networks import picture, random_tensor
from laws.solvers import (
    PLUG_AND_PLAY,
    SIZE,
    TINY,
    blur,
    declared,
    invertible_kernel,
    lossy_kernel,
    make,
    measurements,
    random_kernel,
    run,
)
from operators import BOUNDARIES, Boundary, Convolution, LinearOperator
from pnp_recon.fidelity import LeastSquares
from pnp_recon.solvers import Status, Stopping, iterate
from pnp_recon.solvers.core.laws import averaged_laws
from pnp_recon.solvers.core.observing import observe

# ---- the laws of averaged maps -----------------------------------------------------------------


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("name", PLUG_AND_PLAY)
def test_residuals_obey_the_certificate(name: str, boundary: Boundary) -> None:
    for seed in (0, 1):
        A = blur(random_kernel(seed, taps=3 + 2 * seed), boundary)
        solution = run(name, A=A)
        certificate, history = solution.certificate, solution.history
        assert certificate.proven
        assert not certificate.contradicted
        assert certificate.holds
        assert certificate.verdict.startswith("certified: PnP-")
        inexact = name != "pnp-pgd" and boundary != "circular"
        assert len(certificate.observed) == 2
        assert any("inner solves" in remark for remark in certificate.remarks) == inexact
        assert solution.status is Status.ITERATION_LIMIT
        assert solution.iterations == 15 == len(history.bounds)
        rows = zip(history.residuals, history.errors, strict=True)
        residuals = [(row[0], error[0]) for row, error in rows]
        for (before, early), (after, late) in pairwise(residuals):
            assert after <= before * (1 + 1e-9) + early + late + 1e-12
        for (residual, _), (bound,) in zip(residuals, history.bounds, strict=True):
            assert residual <= bound
        assert residuals[-1][0] < 0.2 * residuals[0][0]
        assert float(solution.image.min()) >= 0
        assert float(solution.image.max()) <= 1


@pytest.mark.parametrize("name", PLUG_AND_PLAY)
def test_certified_knobs_keep_the_laws(name: str) -> None:
    solution = run(name, scaling=0.5, relaxation=0.2)
    assert solution.certificate.holds
    assert solution.parameters["denoiser_scaling"] == 0.5
    assert solution.parameters["relaxation"] == 0.2


@pytest.mark.parametrize("name", PLUG_AND_PLAY)
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
    # The blur can be inverted, so that T would contract.
    assert solution.certificate.verdict.startswith("CERTIFICATE FAILED: ‖z_{k+1}−z_k‖ at most q")
    assert any("BROKEN" in line for line in solution.certificate.lines())


def test_false_averagedness_is_contradicted_by_the_rate() -> None:
    # The negative is 1-Lipschitz, not averaged: residuals do not grow, and do not fall either.
    solution = run("pnp-pgd", denoiser=declared(lambda x: 1 - x), step_size=1e-9)
    monotone, rate, challenge, steady = solution.certificate.observed
    assert monotone.passed
    assert not rate.passed
    assert not challenge.passed
    assert steady.passed
    assert solution.certificate.contradicted
    A = blur(lossy_kernel())  # one that cannot be inverted, so that nothing contracts
    honest = run("pnp-pgd", A=A, denoiser=declared(lambda x: 1 - x, 1.0), step_size=1e-9)
    assert not honest.certificate.proven
    assert "only 1-Lipschitz" in honest.certificate.verdict


@pytest.mark.parametrize("name", PLUG_AND_PLAY)
def test_no_declared_guarantee_means_none(name: str) -> None:
    solution = run(name, denoiser=declared(lambda x: x, None))
    assert not solution.certificate.proven
    assert not solution.certificate.contradicted
    assert not solution.certificate.observed
    assert not solution.history.bounds
    assert (
        solution.certificate.verdict == "no guarantee: denoiser test declares no Lipschitz constant"
    )


@pytest.mark.parametrize("name", ["pnp-hqs", "pnp-drs"])
def test_inner_solves_that_end_too_early_keep_a_run_from_converging(name: str) -> None:
    A = blur(random_kernel(0, taps=5), "reflect")
    good = run(name, A=A, gamma=100.0)
    assert good.certificate.holds
    assert "ended before" not in good.certificate.remarks[0]
    solve = A.prox_l2_with_error
    A.prox_l2_with_error = lambda *args, **options: solve(  # type: ignore[method-assign]
        *args, **{**options, "max_iter": 1}
    )
    solution = run(name, A=A, gamma=100.0)
    # The theorem is not to blame, and the run does not count as converged.
    assert not solution.certificate.contradicted
    assert "15 of 15 ended before their tolerance" in solution.certificate.remarks[0]
    assert not solution.status.succeeded
    longer = iterate(make(name, A, measurements(A), TINY, gamma=100.0), Stopping(1e-3, 500))
    assert longer.status is Status.INNER_LIMIT
    assert longer.iterations < 500


# ---- unique fixed points -----------------------------------------------------------------------


@pytest.mark.parametrize("boundary", ["circular", "reflect"])
@pytest.mark.parametrize("name", PLUG_AND_PLAY)
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
    for name in PLUG_AND_PLAY:
        identity = declared(lambda x: x)
        ends = [
            iterate(make(name, A, A.A(grey), identity, start=start), Stopping(1e-9, 2000))
            for start in (grey, stripes)
        ]
        assert all(end.certificate.holds for end in ends)
        assert float((ends[0].image - ends[1].image).abs().max()) > 0.1


# ---- batches -----------------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", ["circular", "replicate"])
@pytest.mark.parametrize("name", PLUG_AND_PLAY)
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
    exact, rounding = LeastSquares(A, y).prox(z, gamma)
    assert float(rounding.max()) <= 1e-14 * (1 + gamma)  # measured, no longer taken for nothing
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
    exact = run(name, 60, A=blur(invertible_kernel()))
    inexact = run(name, 60, A=ByConjugateGradients(invertible_kernel()))
    torch.testing.assert_close(inexact.image, exact.image, rtol=0, atol=1e-5)
    assert inexact.certificate.holds
    assert max(row[0] for row in inexact.history.errors) > 1e-12
    assert max(row[0] for row in exact.history.errors) < 1e-12  # rounding, measured


def test_errors_of_the_inner_solve_are_counted() -> None:
    # Without its declared errors an inexact run would look like a broken certificate.
    exact = run("pnp-pgd")
    doctored = replace(exact.history, residuals=[[1.0], [1.5]], norms=[[1.0]] * 2, bounds=[])
    for errors, passed in (([[0.0]] * 2, False), ([[0.3]] * 2, True)):
        history = replace(doctored, errors=errors, bounds=[])
        assert observe(history, averaged_laws(0.5), None)[0].passed == passed
