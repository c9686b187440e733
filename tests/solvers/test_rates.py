"""The rates that the gallery claims, measured; and that the measurement can break them."""

from __future__ import annotations

import pytest

from scripts.figures.rates import fixed_point, variational
from scripts.figures.rates.case import RateCase

MODULES = (fixed_point, variational)
CASES: list[RateCase] = [case for module in MODULES for case in module.CASES]
BROKEN: list[RateCase] = [case for module in MODULES for case in getattr(module, "BROKEN", [])]


def ratios(case: RateCase) -> list[float]:
    measured = case.measure(case.iterations)
    assert len(measured) == case.iterations
    return [value / case.bound(k) for k, value in enumerate(measured, 1)]


@pytest.mark.parametrize("case", CASES, ids=[case.solver for case in CASES])
def test_measured_rate_stays_below_the_bound(case: RateCase) -> None:
    found = ratios(case)
    assert max(found) <= 1 + 1e-9
    assert max(found) > 1e-3  # a bound that says something
    assert case.claim
    assert case.source


@pytest.mark.parametrize("case", BROKEN, ids=[case.solver for case in BROKEN])
def test_an_expansive_map_or_too_long_a_step_breaks_the_bound(case: RateCase) -> None:
    assert not max(ratios(case)) <= 1 + 1e-6


@pytest.mark.parametrize(("solver", "at"), [("km", 30), ("halpern", 50)])
def test_tight_bounds_are_attained(solver: str, at: int) -> None:
    (case,) = (case for case in CASES if case.solver == solver)
    assert ratios(case)[at - 1] == pytest.approx(1, rel=1e-9)
