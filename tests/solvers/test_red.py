"""RED and PnP-FISTA: certificates, ranges, the same fixed points as plain iterations."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from laws.networks import picture, random_tensor
from laws.solvers import (
    FOREVER,
    LEVEL,
    SIZE,
    TINY,
    blur,
    declared,
    invertible_kernel,
    lossy_kernel,
    make,
    measurements,
    random_kernel,
)
from pnp_recon.errors import StepSizeError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.solvers import (
    RED,
    SOLVERS,
    Nesterov,
    Plugged,
    PnPFISTA,
    PnPPGD,
    Status,
    Stopping,
    iterate,
)
from pnp_recon.solvers.acceleration.safeguard import STEP_LAW


def red(denoiser: Denoiser = TINY, **changes: object) -> RED:
    """RED on a circular blur with norm 1; α of TINY is below 1, so that τ = 0.6 is covered."""
    A = blur(random_kernel(0))
    options: dict[str, object] = {
        "fidelity": LeastSquares(A, measurements(A)),
        "denoiser": Plugged(denoiser, LEVEL),
        "relaxation": 1.0,
        "start": picture(1, *SIZE, seed=5),
        "step_size": 0.6,
    }
    return RED(**(options | changes))  # type: ignore[arg-type]


def fista(guarded: bool = True, step_size: float = 0.9, **changes: object) -> PnPFISTA:
    A = blur(invertible_kernel())
    inner = make("pnp-pgd", A, measurements(A), TINY, step_size=step_size, **changes)
    assert isinstance(inner, PnPPGD)
    return PnPFISTA(inner, guarded)


def test_names_are_those_of_the_registry() -> None:
    assert RED.name == "red"
    assert fista().name == "pnp-fista" == PnPFISTA.name
    assert {"red", "pnp-fista"} <= set(SOLVERS)


# ---- RED ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.1, 1.0, 4.0])
def test_red_keeps_the_laws_of_averaged_maps(weight: float) -> None:
    solver = red(weight=weight, step_size=1.9 / (1 + 2 * weight))
    solution = iterate(solver, Stopping(FOREVER, 40))
    assert solution.certificate.holds
    assert len(solution.certificate.observed) == 2
    assert solution.certificate.verdict.startswith("certified: RED")
    assert "no gradient" not in solution.certificate.verdict
    assert solution.history.residuals[-1][0] < 0.1 * solution.history.residuals[0][0]
    assert solution.parameters["weight"] == weight
    assert 0 <= float(solution.image.min()) <= float(solution.image.max()) <= 1


def test_red_cocoercivity_is_attained() -> None:
    # D = −I + 1 is 1-Lipschitz and no better: I − D = 2I − 1 has slope 2 = 2α, α = 1. L = 1.
    A = blur(lossy_kernel())
    flip = declared(lambda x: 1 - x, alpha=1.0)
    options = {"fidelity": LeastSquares(A, A.A(picture(1, *SIZE))), "weight": 0.5}
    limit = 2 / (1 + 2 * 0.5)  # L = 1, and the field has slope 1 + 2w exactly
    inside = red(flip, **options, step_size=0.99 * limit)
    assert inside.theorem().guarantee.averagedness == pytest.approx(100 / 101)  # κ = 99, box: 1
    assert iterate(inside, Stopping(FOREVER, 30)).certificate.holds
    with pytest.raises(StepSizeError, match=r"\(0, 2/\(L \+ 2αw\)\)"):
        red(flip, **options, step_size=limit).theorem()
    near = torch.full((1, *SIZE), 0.5, dtype=torch.float64)
    grey = {**options, "fidelity": LeastSquares(A, near), "start": near + 1e-6}
    beyond = red(flip, **grey, step_size=1.2 * limit, allow_uncertified=True)
    assert not beyond.theorem().holds
    residuals = iterate(beyond, Stopping(FOREVER, 10)).history.residuals
    assert residuals[-1][0] > 2 * residuals[0][0]


def test_false_guarantee_of_the_denoiser_is_contradicted_in_red() -> None:
    grey = torch.full((1, *SIZE), 0.5, dtype=torch.float64)
    A = blur(invertible_kernel())
    steep = declared(lambda x: 0.5 - 9 * (x - 0.5))
    solver = red(
        steep, fidelity=LeastSquares(A, A.A(grey)), start=grey + 1e-6 * random_tensor(1, *SIZE)
    )
    assert iterate(solver, Stopping(FOREVER, 15)).certificate.contradicted


def test_red_says_what_is_missing() -> None:
    verdict = red(declared(lambda x: x, None)).theorem().why_not
    assert verdict == "no guarantee: denoiser test declares no Lipschitz constant"
    for weight in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(StepSizeError, match="weight"):
            red(weight=weight).theorem()
        assert not red(weight=weight, allow_uncertified=True).theorem().holds
    with pytest.raises(StepSizeError, match="relaxation"):
        red(relaxation=0.0).theorem()
    matched = red()
    matched.fidelity.A.adjoint_matched = False
    assert "not the transpose" in matched.theorem().why_not


def test_red_and_its_accelerations_find_the_one_zero_of_the_field() -> None:
    A = blur(invertible_kernel())
    solver = red(fidelity=LeastSquares(A, measurements(A)))
    stopping = Stopping(1e-10, 1000, check_every=1)
    plain, fast = iterate(solver, stopping), iterate(Nesterov(solver), stopping)
    assert plain.status is fast.status is Status.CONVERGED
    torch.testing.assert_close(plain.image, fast.image, rtol=0, atol=1e-7)
    field = solver.fidelity.gradient(plain.image) + plain.image - solver.denoiser(plain.image)
    inside = (plain.image > 1e-6) & (plain.image < 1 - 1e-6)
    assert float(field.detach()[inside].abs().max()) < 1e-6


# ---- PnP-FISTA ---------------------------------------------------------------------------------


def test_safeguarded_momentum_is_certified_and_ends_where_the_plain_iteration_does() -> None:
    solver = fista()
    solution = iterate(solver, Stopping(1e-8, 300))
    plain = iterate(solver.inner, Stopping(1e-8, 300))
    assert solution.status is Status.CONVERGED
    assert solution.certificate.holds
    (law,) = (item.law for item in solution.certificate.observed)
    assert law.startswith(STEP_LAW)
    assert solution.parameters["accelerated_steps"] > 0
    torch.testing.assert_close(solution.image, plain.image, rtol=0, atol=1e-6)


def test_plain_momentum_has_no_theorem() -> None:
    solution = iterate(fista(guarded=False), Stopping(FOREVER, 20))
    assert not solution.certificate.proven
    assert solution.certificate.verdict.startswith("no guarantee: momentum without")
    assert not solution.certificate.observed
    assert "accelerated_steps" not in solution.parameters


def test_momentum_is_that_of_fista_until_a_residual_grows() -> None:
    solver = fista(guarded=False)
    state, last, t = solver.init(), None, 1.0
    mine = state.z
    for k in range(6):
        inner = solver.inner.init()
        image = solver.inner.step(solver.inner.at(inner, mine), k).z
        after = (1 + math.sqrt(1 + 4 * t * t)) / 2
        following = image if last is None else image + (t - 1) / after * (image - last)
        t = t if last is None else after
        state = solver.step(state, k).state
        mine, last = following, image
        torch.testing.assert_close(state.z, mine, rtol=0, atol=1e-12)


def test_long_steps_with_momentum_stay_within_the_safeguard() -> None:
    # τL = 1.9: the gradient step flips the fastest mode, which momentum alone would amplify.
    solver = fista(step_size=1.9)
    solution = iterate(solver, Stopping(1e-8, 300))
    assert solution.status is Status.CONVERGED
    assert solution.certificate.holds
    tight = replace(solver, factor=0.0)
    plain = iterate(solver.inner, Stopping(FOREVER, 10))
    assert iterate(tight, Stopping(FOREVER, 10)).history.residuals == plain.history.residuals
