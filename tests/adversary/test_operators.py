"""No route through an operator leads to a false certificate."""

from __future__ import annotations

import pytest
import torch

from laws.adversary.judge import ALONE, PROVEN, Rig, Route, Runner, ending, falsely_certified
from laws.adversary.operators import CHANGED, DECLARED, TAMPERED, Case, own, registered
from laws.adversary.weights import while_it_runs
from operators.checks import to_matrix
from operators.registry import OPERATORS

REGISTERED = registered()
runners = pytest.mark.parametrize("runner", ALONE, ids=str)
every_operator = pytest.mark.parametrize("case", REGISTERED, ids=str)
PLAIN = Runner("pnp-pgd")  # rests on norm and transpose


def owned(rig: Rig) -> Rig:
    """With the operator as somebody's own, of whom all is declared, and true."""
    own(rig)
    return rig


def test_every_registered_operator_has_a_case() -> None:
    assert {case.name for case in REGISTERED} == set(OPERATORS), (
        "what is new belongs into OPERATORS of tests/laws/operators.py"
    )


@pytest.mark.parametrize("runner", PROVEN, ids=str)
@pytest.mark.parametrize("nonnegative", [True, False])
def test_what_is_declared_and_true_is_a_condition(nonnegative: bool, runner: Runner) -> None:
    """The twin of all that follows: the same operator of one's own, with true words."""
    rig = runner.rig()
    if runner.solver == "sirt" and not nonnegative:
        return  # its weights rest on the sign
    if runner.solver == "joint-descent":
        return  # it takes blurs alone
    own(rig, nonnegative=nonnegative)
    solution = ending(rig).solution
    assert solution is not None
    assert solution.certificate.holds
    assert any("transpose" in condition for condition in solution.certificate.conditions)


@every_operator
def test_registered_operators_are_certified(case: Case) -> None:
    solution = ending(PLAIN.rig(case.build())).solution
    assert solution is not None
    assert solution.certificate.holds, solution.certificate.lines()


@runners
@pytest.mark.parametrize("route", DECLARED, ids=str)
def test_no_false_certificate_of_a_declaration(route: Route, runner: Runner) -> None:
    assert falsely_certified(lambda: owned(runner.rig()), route) == ""


@every_operator
@pytest.mark.parametrize("route", DECLARED, ids=str)
def test_none_around_any_registered_operator(route: Route, case: Case) -> None:
    assert falsely_certified(lambda: owned(PLAIN.rig(case.build())), route) == ""


@every_operator
@pytest.mark.parametrize("name", ["pnp-pgd", "pnp-hqs"])
@pytest.mark.parametrize("route", TAMPERED, ids=str)
def test_none_of_one_that_was_tampered_with(route: Route, name: str, case: Case) -> None:
    assert falsely_certified(lambda: Runner(name).rig(case.build()), route) == ""


@every_operator
@pytest.mark.parametrize("route", CHANGED, ids=str)
def test_a_changed_operator_is_certified_for_what_it_is(route: Route, case: Case) -> None:
    rig = PLAIN.rig(case.build())
    _ = rig.A.norm_bound  # what was proven before the change
    solution = ending(rig, route.spoil).solution
    if solution is not None and solution.certificate.holds:
        attained = float(torch.linalg.matrix_norm(to_matrix(rig.A), ord=2))
        (claimed,) = [c.value for c in solution.certificate.constants if c.name == "‖A‖"]
        assert attained <= claimed * (1 + 1e-10)


@every_operator
@pytest.mark.parametrize("name", ["pnp-hqs"])
@pytest.mark.parametrize("route", [*CHANGED, *TAMPERED], ids=str)
def test_none_of_a_change_while_it_runs(route: Route, name: str, case: Case) -> None:
    assert falsely_certified(lambda: Runner(name).rig(case.build()), while_it_runs(route)) == ""
