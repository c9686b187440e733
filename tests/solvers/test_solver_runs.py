"""How runs of the solvers begin and end: parameters refused, outcomes, what is kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from laws.networks import picture
from laws.solvers import (
    FOREVER,
    PLUG_AND_PLAY,
    SIZE,
    TINY,
    blur,
    declared,
    invertible_kernel,
    make,
    measurements,
    random_kernel,
    run,
)
from operators import Convolution
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.solvers import Look, Status, Stopping, iterate

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


@pytest.mark.parametrize("name", PLUG_AND_PLAY)
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


@pytest.mark.usefixtures("unexamined")
@pytest.mark.parametrize("name", PLUG_AND_PLAY)
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(("good", "kept"), [(7, 5), (0, 0)])
def test_non_finite_values_keep_the_last_finite_picture(
    name: str, good: int, kept: int, value: float
) -> None:
    broken = declared(After(good, lambda x: x + value))
    solution = run(name, denoiser=broken)
    assert solution.status is Status.NON_FINITE
    assert not solution.status.succeeded
    assert solution.iterations == good
    assert bool(torch.isfinite(solution.image).all())
    if kept:
        expected = run(name, kept, denoiser=declared(lambda x: x)).image
        torch.testing.assert_close(solution.image, expected, rtol=0, atol=1e-12)


@pytest.mark.usefixtures("unexamined")
@pytest.mark.parametrize("name", PLUG_AND_PLAY)
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
        Stopping(1e-7, 500, check_every=7),
        reference=clean,
        callback=lambda look: looks.append((look, look.image())),
    )
    assert solution.status is Status.CONVERGED
    assert [look.iteration for look, _ in looks] == solution.history.checked
    assert solution.history.checked == list(range(7, solution.iterations + 1, 7))
    assert max(solution.history.relative(-1)) <= 1e-7
    earlier = [max(solution.history.relative(k - 1)) for k in solution.history.checked[:-1]]
    assert min(earlier) > 1e-7
    last, image = looks[-1]
    torch.testing.assert_close(image, solution.image)
    error = float((solution.image - clean).square().mean())
    assert last.psnr == pytest.approx(-10 * math.log10(error))
    assert solution.history.psnr[-1] == pytest.approx([last.psnr])
