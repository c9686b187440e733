"""Guarantees that say nothing, that cannot be, and how all of them read."""

from __future__ import annotations

import math

import pytest

from pnp_recon import guarantees
from pnp_recon.guarantees import Guarantee

# One point of (0, 1) where a single case will do.
A, SOURCE = 0.3, "test"


def averaged(alpha: float) -> Guarantee:
    return guarantees.averaged(alpha, SOURCE)


NOTHING = guarantees.none("nobody looked")


@pytest.mark.parametrize(
    "result",
    [
        guarantees.compose(averaged(A), NOTHING),
        guarantees.compose(NOTHING, averaged(A), averaged(A)),
        guarantees.relax(NOTHING, 0.5),
        guarantees.scale(NOTHING, 2.0),
        guarantees.isometric_lifting(NOTHING),
        guarantees.group_average(NOTHING),
        guarantees.convex_combination([averaged(A), NOTHING], [0.5, 0.5]),
    ],
)
def test_every_rule_passes_the_reason_on(result: Guarantee) -> None:
    assert not result.holds
    assert not result.is_nonexpansive
    assert not result.is_contraction
    assert str(result) == "no guarantee: nobody looked"


@pytest.mark.parametrize(
    ("constant", "alpha"),
    [(-1.0, None), (math.inf, None), (math.nan, None), (1.0, 0.0), (1.0, 1.1), (1.0, math.nan)],
)
def test_impossible_constants_are_refused(constant: float, alpha: float | None) -> None:
    with pytest.raises(ValueError, match="found"):
        Guarantee(constant, alpha, SOURCE)


@pytest.mark.parametrize("constant", [None, 1.5])
def test_an_averaged_map_is_one_lipschitz(constant: float | None) -> None:
    with pytest.raises(ValueError, match="1-Lipschitz"):
        Guarantee(constant, 0.5, SOURCE)


@pytest.mark.parametrize(
    ("guarantee", "words"),
    [
        (guarantees.firm("Moreau"), "firmly nonexpansive (α = 0.5) (Moreau)"),
        (averaged(0.75), "α-averaged with α = 0.75 (test)"),
        (averaged(1.0), "1-Lipschitz (test)"),
        (guarantees.lipschitz(3.0, SOURCE), "Lipschitz, constant 3 (test)"),
        (guarantees.lipschitz(0.6, SOURCE), "α-averaged with α = 0.8, constant 0.6 (test)"),
    ],
)
def test_words(guarantee: Guarantee, words: str) -> None:
    assert str(guarantee) == words
