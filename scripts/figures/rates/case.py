"""A solver on a problem with a known solution, and the rate that its theorem claims.

The same case is a test (`tests/solvers/test_rates.py`) and a curve of the gallery
(`scripts/figures/convergence_gallery.py`): the rate claimed is the rate tested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RateCase:
    """One solver against its theory.

    Attributes:
        solver: its name in the registry.
        quantity: what is measured, in words ("‖z_k − z*‖", "F(x_k) − F(x*)", ...).
        measure: n -> that quantity after k = 1 ... n iterations (float64).
        bound: k -> the theorem's bound on it, k = 1, 2, ...; its constants come from the solution.
        claim: the bound in words ("2L‖x₀−x*‖²/(k+1)²").
        source: author, year, theorem.
        iterations: how many the test and the figure run.
    """

    solver: str
    quantity: str
    measure: Callable[[int], list[float]]
    bound: Callable[[int], float]
    claim: str
    source: str
    iterations: int = 200
