"""No route through data, arithmetic, settings or the end of a run leads to a false certificate."""

from __future__ import annotations

from unittest import mock

import pytest
import torch

from laws.adversary.judge import (
    ALONE,
    RUNNERS,
    SIZE,
    WITH_DENOISER,
    Route,
    Runner,
    ending,
    false_claim,
)
from laws.adversary.runs import BYTES, CHANGES, ENDS, HARMLESS, INTERCEPTED, NUMBERS, RANGES
from laws.solvers import random_kernel
from operators import Convolution
from pnp_recon.solvers import SOLVERS, Solution, Status, Stopping

runners = pytest.mark.parametrize("runner", RUNNERS, ids=str)
# What a knob of a solver is, so that its steps are short; from the solver's own choice otherwise.
TINY_STEPS = {"step": 1e-4, "relaxation": 1e-3}
TOL = 1e-4
# Their fixed points depend on step and relaxation.
MOVED = ("pnp-pgd", "pnp-hqs", "pnp-fista", "red")


@runners
def test_honest_runs_are_certified(runner: Runner) -> None:
    solution = ending(runner.rig()).solution
    assert solution is not None
    if not SOLVERS[runner.solver].proven:
        assert solution.certificate.verdict.startswith("no guarantee: ")
        assert not solution.certificate.holds
        return
    assert solution.certificate.verdict == f"certified: {solution.certificate.theorem.statement}"


def claims(route: Route, **settings: object) -> dict[str, str]:
    """What solvers claim after a route, by name; most refuse it at once, in no time."""
    found = {}
    for runner in ALONE:
        rig = runner.rig()
        rig.settings |= settings
        if claim := false_claim(ending(rig, route.spoil)):
            found[str(runner)] = claim
    return found


@pytest.mark.parametrize("route", NUMBERS, ids=str)
def test_numbers_that_are_none_are_refused(route: Route) -> None:
    assert claims(route) == {}


@pytest.mark.parametrize("runner", WITH_DENOISER, ids=str)
def test_bytes_are_refused(runner: Runner) -> None:
    assert "divide them" in ending(runner.rig(), BYTES.spoil).refusal


@pytest.mark.parametrize("route", RANGES, ids=str)
@pytest.mark.parametrize("allowed", [False, True])
def test_settings_outside_their_range(allowed: bool, route: Route) -> None:
    assert claims(route, allow_uncertified=allowed) == {}


@runners
@pytest.mark.parametrize("route", CHANGES, ids=str)
def test_what_changes_while_it_runs(route: Route, runner: Runner) -> None:
    assert false_claim(ending(runner.rig(), route.spoil)) == ""


@runners
@pytest.mark.parametrize("route", HARMLESS, ids=str)
def test_settings_of_the_caller_change_nothing(route: Route, runner: Runner) -> None:
    found, honest = (ending(runner.rig(), spoil).solution for spoil in (route.spoil, None))
    assert found is not None
    assert honest is not None
    if found.certificate.holds:
        assert torch.equal(found.image, honest.image)


@runners
@pytest.mark.parametrize("route", INTERCEPTED, ids=str)
def test_operations_that_are_not_torchs_own(route: Route, runner: Runner) -> None:
    assert false_claim(ending(runner.rig(), route.spoil)) == ""


def test_operations_that_nobody_looks_at_are_caught() -> None:
    with mock.patch("pnp_recon.solvers.core.loop.intercepted", return_value=""):
        found = [false_claim(ending(Runner("pnp-hqs").rig(), r.spoil)) for r in INTERCEPTED]
    assert any(found)


@pytest.mark.parametrize("route", HARMLESS, ids=str)
def test_nor_do_they_in_single_precision(route: Route) -> None:
    """Where half of the products would be another's."""
    images = []
    for spoil in (route.spoil, None):
        rig = Runner("pnp-hqs").rig(Convolution(random_kernel(0), SIZE, "reflect", method="direct"))
        rig.A, rig.y, rig.prior = rig.A.float(), rig.y.float(), rig.prior.float()
        solution = ending(rig, spoil).solution
        assert solution is not None
        images.append(solution.image)
        if not solution.certificate.holds:
            return
    assert torch.equal(*images)


def compared(solution: Solution) -> bool:
    """Was one side of a law held against another, so that it could have failed?"""
    return any(item.worst != 0 for item in solution.certificate.observed)


@runners
@pytest.mark.parametrize("route", ENDS, ids=str)
def test_a_run_in_which_nothing_was_compared(route: Route, runner: Runner) -> None:
    solution = ending(runner.rig(), route.spoil).solution
    assert solution is not None
    assert compared(solution) or not solution.certificate.holds, solution.certificate.lines()


@runners
@pytest.mark.parametrize("at", [0, 1])
def test_interrupted_inside_a_step(at: int, runner: Runner) -> None:
    kind = SOLVERS[runner.solver].load()
    step, calls = kind.step, []

    def interrupted(self, state, iteration):
        calls.append(iteration)
        if len(calls) > at:
            raise KeyboardInterrupt
        return step(self, state, iteration)

    rig = runner.rig()
    with mock.patch.object(kind, "step", interrupted):
        solution = ending(rig).solution
    assert solution is not None
    if len(calls) <= at:  # it had converged before
        assert solution.status is Status.CONVERGED
        return
    assert solution.status is Status.INTERRUPTED
    assert compared(solution) or not solution.certificate.holds
    assert at or not solution.certificate.holds


SHORT = [
    (runner, name)
    for runner in ALONE
    for name in TINY_STEPS
    if name in SOLVERS[runner.solver].takes and runner.solver != "sirt"
]


@pytest.mark.parametrize(("runner", "name"), SHORT, ids=str)
def test_converged_is_near_the_fixed_point(runner: Runner, name: str) -> None:
    """With steps as short as that; the end is that of a longer run from there.

    Where steps leave the fixed point as it is, the longer run takes those of the solver's choice.
    """
    rig, honest = runner.rig(), runner.rig()
    rig.settings |= {"stopping": Stopping(TOL, 300, check_every=1), name: TINY_STEPS[name]}
    solution = ending(rig).solution
    assert solution is not None
    if solution.status is not Status.CONVERGED:
        return
    honest.settings |= {"stopping": Stopping(1e-10, 20000, check_every=100)}
    if runner.solver in MOVED:
        honest.settings |= {name: TINY_STEPS[name], "start": solution.image}
    end = ending(honest).solution
    assert end is not None
    assert float((solution.image - end.image).norm()) <= 100 * TOL * float(end.image.norm())
