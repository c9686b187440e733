"""No route through somebody's denoiser, functional or fidelity leads to a false certificate."""

from __future__ import annotations

from unittest import mock

import pytest
import torch

from laws.adversary.judge import (
    PROVEN,
    WITH_DENOISER,
    WITHOUT,
    Route,
    Runner,
    ending,
    falsely_certified,
)
from laws.adversary.priors import (
    DENOISERS,
    FIDELITIES,
    FUNCTIONALS,
    TAMPERED_FIDELITIES,
    TAMPERED_FUNCTIONALS,
    TRUE,
    declared,
    plain,
    same_memory,
    unreachable,
    written_into,
)
from pnp_recon.solvers.catalogue import solvers_for

functional = [runner for runner in WITHOUT if runner.solver in solvers_for("functional")]
every = [*WITH_DENOISER, *functional]


@pytest.mark.parametrize("runner", WITH_DENOISER, ids=str)
@pytest.mark.parametrize("route", DENOISERS, ids=str)
def test_no_false_certificate_of_a_denoiser(route: Route, runner: Runner) -> None:
    assert falsely_certified(runner.rig, route) == ""


@pytest.mark.parametrize("runner", [r for r in WITH_DENOISER if r in PROVEN], ids=str)
def test_what_is_declared_and_true_is_a_condition(runner: Runner) -> None:
    solution = ending(runner.rig(), declared(plain, TRUE)).solution
    assert solution is not None
    assert solution.certificate.holds, solution.certificate.lines()
    assert any("constant" in condition for condition in solution.certificate.conditions)


@pytest.mark.parametrize("runner", WITH_DENOISER, ids=str)
@pytest.mark.parametrize("name", ["written_into", "same_memory"])
def test_the_memory_that_a_denoiser_uses_changes_nothing(name: str, runner: Runner) -> None:
    function = written_into if name == "written_into" else same_memory()
    solutions = [ending(runner.rig(), declared(f, TRUE)).solution for f in (plain, function)]
    assert solutions[0] is not None
    assert solutions[1] is not None
    assert torch.equal(solutions[0].image, solutions[1].image)
    assert solutions[0].certificate.holds == solutions[1].certificate.holds


@pytest.mark.parametrize("runner", every, ids=str)
@pytest.mark.parametrize("route", FIDELITIES, ids=str)
def test_no_false_certificate_of_a_fidelity(route: Route, runner: Runner) -> None:
    assert falsely_certified(runner.rig, route) == ""


@pytest.mark.parametrize("runner", functional, ids=str)
@pytest.mark.parametrize("route", FUNCTIONALS, ids=str)
def test_no_false_certificate_of_a_functional(route: Route, runner: Runner) -> None:
    assert falsely_certified(runner.rig, route) == ""


@pytest.mark.parametrize("runner", every, ids=str)
@pytest.mark.parametrize("route", TAMPERED_FIDELITIES, ids=str)
def test_none_of_a_fidelity_with_a_method_of_somebody(route: Route, runner: Runner) -> None:
    assert falsely_certified(runner.rig, route) == ""


@pytest.mark.parametrize("runner", functional, ids=str)
@pytest.mark.parametrize("route", TAMPERED_FUNCTIONALS, ids=str)
def test_none_of_a_functional_with_one(route: Route, runner: Runner) -> None:
    assert falsely_certified(runner.rig, route) == ""


def test_methods_that_nobody_looks_for_are_caught() -> None:
    route, runner = TAMPERED_FUNCTIONALS[0], Runner("fista")
    with mock.patch("pnp_recon.solvers.core.premises.tampered", return_value=[]):
        assert falsely_certified(runner.rig, route) != ""


@pytest.mark.parametrize("runner", every, ids=str)
def test_counts_that_no_picture_gives_have_no_minimiser(runner: Runner) -> None:
    """A solver that confines pictures refuses them; others claim nothing exists."""
    solution = ending(runner.rig(), unreachable).solution
    if solution is not None and solution.certificate.holds:
        assert "where there is one" in solution.certificate.theorem.statement
