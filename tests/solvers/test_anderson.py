"""Anderson acceleration, its safeguard, and the inequality that every accelerated run checks."""

from __future__ import annotations

import math

import pytest
import torch

from laws.networks import random_tensor
from laws.solvers import FOREVER, averaged_map
from pnp_recon import guarantees
from pnp_recon.solvers import Anderson, FixedPoint, Solution, Solver, Stopping, iterate
from pnp_recon.solvers.acceleration.safeguard import DEVIATION_EXPONENT, Pair, Safeguard
from pnp_recon.solvers.core.laws import UNCOMPARED


def run(solver: Solver, iterations: int) -> Solution:
    return iterate(solver, Stopping(FOREVER, iterations))


# ---- Anderson ----------------------------------------------------------------------------------


def test_linear_maps_end_after_as_many_steps_as_dimensions() -> None:
    # With a full memory type II is GMRES (Walker & Ni 2011, Thm 2.2).
    inner = averaged_map(size=6)
    plain, fast = run(inner, 10), run(Anderson(inner, memory=8), 10)
    assert fast.history.residuals[8][0] < 1e-6 * fast.history.residuals[0][0]
    assert plain.history.residuals[8][0] > 1e-3 * plain.history.residuals[0][0]
    assert fast.parameters["accelerated_steps"] == 9
    assert fast.certificate.holds


def test_without_a_budget_anderson_is_the_plain_iteration() -> None:
    inner = averaged_map()
    plain, guarded = run(inner, 10), run(Anderson(inner, factor=0.0), 10)
    assert guarded.history.residuals == plain.history.residuals
    assert guarded.parameters["accelerated_steps"] == 0
    assert guarded.parameters["refused_steps"] == 9


def test_safeguard_makes_deviations_summable() -> None:
    norm = torch.linalg.vector_norm
    first = torch.ones(2).double()
    guard = Safeguard.begin(first, lambda z: norm(z.flatten(1), dim=1), factor=3.0)
    offered, zero = torch.tensor([True, True]), torch.zeros(2, 1).double()
    total = torch.zeros(2).double()
    for n in range(200):
        limit = 3.0 / (n + 1) ** DEVIATION_EXPONENT
        # The first picture takes all that is allowed, the second asks for a little too much.
        candidate = torch.tensor([[limit * 0.999999], [3.000001]], dtype=torch.float64)
        taken, guard = guard.choose(candidate, zero, offered)
        total += taken[:, 0]
    assert guard.accepted.tolist() == [200, 0]
    assert guard.refused.tolist() == [0, 200]
    zeta = 10.5844484649508  # ζ(1.1)
    assert total[0] <= 3 * zeta
    assert total[1] == 0
    broken = torch.full((2, 1), math.nan, dtype=torch.float64)
    assert guard.choose(broken, zero, offered)[0].tolist() == [[0], [0]]
    assert guard.choose(zero + 1e-9, zero, ~offered)[0].tolist() == [[0], [0]]


def test_a_growing_residual_empties_the_memory() -> None:
    # Far from zero the residual hardly changes and promises a fixed point 500 away.
    inner = FixedPoint(
        lambda z: z - 0.5 * z.clamp(max=1) - 1e-3 * (z - 1).clamp(min=0),
        guarantees.firm("slopes between 1/2 and 1"),
        torch.full((1, 1), 5.0).double(),
    )
    solution = run(Anderson(inner, factor=1e4), 40)
    assert solution.parameters["memory_restarts"] >= 1
    assert solution.history.residuals[-1][0] < 1e-12


# ---- the inequality of pairs -------------------------------------------------------------------


def test_pair_is_one_for_the_extreme_map_and_above_for_a_false_constant() -> None:
    for alpha, expected in ((0.6, 1.0), (0.59, 1.0), (0.61, 1.0)):
        inner = averaged_map(alpha=0.6)
        pair = Pair(alpha, inner.norm)
        none = torch.zeros(1).double()
        ratios = []
        for seed in (1, 2, 3):
            z = random_tensor(1, 6, seed=seed)
            ratio, pair = pair.ratio(z, inner.function(z), none)
            ratios.append(float(ratio))
        assert ratios[0] == UNCOMPARED
        if alpha == 0.6:
            assert ratios[1:] == pytest.approx([expected] * 2, abs=1e-12)
            assert max(ratios) <= 1
        else:
            assert (min(ratios[1:]) > 1 + 1e-6) == (alpha < 0.6)


def test_pair_allows_for_errors_and_for_no_more() -> None:
    inner = averaged_map(alpha=0.6)
    z, other = random_tensor(1, 6, seed=1), random_tensor(1, 6, seed=2)
    off = 1e-3 * random_tensor(1, 6, seed=3)
    error = inner.norm(off)
    for claimed in (error, 0 * error):
        found = []
        for sign in (-1, 1):
            _, pair = Pair(0.6, inner.norm).ratio(z, inner.function(z), 0 * error)
            ratio, _ = pair.ratio(other, inner.function(other) + sign * off, claimed)
            found.append(float(ratio))
        assert (max(found) <= 1) == bool(claimed > 0)
