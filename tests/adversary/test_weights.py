"""No route through a network's weights, parts or calls leads to a false certificate."""

from __future__ import annotations

import pytest

from laws.adversary.judge import PROVEN, WITH_DENOISER, Route, Runner, ending, falsely_certified
from laws.adversary.weights import ROUTES, RUNNING

# A plain iteration, one with momentum, one inside an acceleration: it is the loop that compares.
KINDS = ("pnp-drs", "pnp-fista", "pnp-hqs+anderson")
SOME = [item for item in WITH_DENOISER if str(item) in KINDS]
runners = pytest.mark.parametrize("runner", WITH_DENOISER, ids=str)


@pytest.mark.parametrize("runner", [item for item in WITH_DENOISER if item in PROVEN], ids=str)
def test_honest_runs_are_certified(runner: Runner) -> None:
    solution = ending(runner.rig()).solution
    assert solution is not None
    assert solution.certificate.holds
    assert not solution.certificate.conditions


@runners
@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_no_false_certificate(route: Route, runner: Runner) -> None:
    assert falsely_certified(runner.rig, route) == ""


@pytest.mark.parametrize("runner", SOME, ids=str)
@pytest.mark.parametrize("route", RUNNING, ids=str)
def test_none_of_a_change_while_it_runs(route: Route, runner: Runner) -> None:
    assert falsely_certified(runner.rig, route) == ""
