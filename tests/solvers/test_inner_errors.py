"""What is said of inner solves: sums, floors, horizons; and whose solver it is."""

from __future__ import annotations

import math
from itertools import accumulate

import pytest
import torch

from laws.networks import picture
from laws.solvers import LEVEL, TINY, blur, make, measurements, random_kernel, tiny_denoiser
from pnp_recon.fidelity import LeastSquares
from pnp_recon.solvers import PnPHQS, Solution, Status, Stopping, iterate
from pnp_recon.solvers.core.inner import inner_tolerance, relative_tolerance
from pnp_recon.solvers.core.inner_errors import first_at_floor, horizon_bound, inner_remarks
from pnp_recon.solvers.core.laws import averaged_laws
from pnp_recon.solvers.core.solution import History
from pnp_recon.solvers.core.solver import Step
from pnp_recon.solvers.pnp.base import Warm
from pnp_recon.solvers.pnp.plugged import Plugged


def reflected(dtype: torch.dtype = torch.float64, tol: float = 1e-6) -> Solution:
    A = blur(random_kernel(0, taps=5), "reflect")
    y = measurements(A).to(dtype)
    start = picture(1, *A.image_shape, seed=5).to(dtype)
    denoiser = tiny_denoiser().to(dtype)
    return iterate(make("pnp-hqs", A, y, denoiser, start=start, gamma=50.0), Stopping(tol, 400))


def test_errors_are_summed_and_said() -> None:
    solution = reflected()
    assert solution.status is Status.CONVERGED
    (remark,) = (line for line in solution.certificate.remarks if "inner solves" in line)
    total = math.fsum(row[0] for row in solution.history.errors)
    assert f"{total:.2e}" in remark
    assert "ended before" not in remark
    asked = solution.history.tolerances
    assert len(asked) == solution.iterations
    assert all(
        e[0] <= t[0] * (1 + 1e-6) for e, t in zip(solution.history.errors, asked, strict=True)
    )


def test_tolerances_are_summable_and_never_below_the_floor() -> None:
    z = torch.zeros(1, 1, 20, 20)
    least = [inner_tolerance(z, k) for k in range(3000)]
    assert min(least) == least[-1] > 0
    assert first_at_floor(lambda k: inner_tolerance(z, k), 3000) == least.index(min(least))
    assert first_at_floor(lambda k: inner_tolerance(z.double(), k), 3000) is None
    # Relative to residuals that do not fall: the sum stays below 0.1 ζ(1.1) of them.
    sums = list(accumulate(float(relative_tolerance(torch.ones(1), k)) for k in range(3000)))
    assert sums[-1] < 1.06
    assert sums[-1] - sums[-2] < 1e-4


def test_a_run_in_single_precision_says_where_it_reached_its_floor() -> None:
    solution = reflected(torch.float32, tol=1e-12)
    assert solution.status in (Status.INNER_LIMIT, Status.STAGNATED)
    assert not solution.status.succeeded
    assert solution.certificate.holds  # the theorem is not to blame
    assert any("as exact as the arithmetic allows" in r for r in solution.certificate.remarks)


def history(residual: float, error: float, steps: int) -> History:
    return History(
        [[residual]] * steps,
        [[1.0]] * steps,
        [[error]] * steps,
        tolerances=[[error]] * steps if error else [],
        floor=0,
    )


def test_the_horizon_is_told_where_it_says_something() -> None:
    laws = averaged_laws(0.5)
    assert laws.rate is not None
    told = inner_remarks(history(1e-3, 1e-6, 400), laws, [1.0])
    bound = horizon_bound(laws.rate(399), 1.0, 400e-6)
    assert bound == pytest.approx((1 + 8e-4) / 20 + 1.2e-3)
    assert f"{bound:.2e}" in told[1]
    assert len(inner_remarks(history(1e-3, 1e-6, 400), laws, [1e3])) == 1
    weak = averaged_laws(1.0)  # without a rate there is none
    assert len(inner_remarks(history(1e-3, 1e-6, 400), weak, [1.0])) == 1
    assert inner_remarks(history(1e-3, 0.0, 4), laws, [1.0]) == ()


class Shrinking(PnPHQS):
    """Somebody's solver, whatever its parent proves."""

    def step(self, state: Warm, iteration: int) -> Step[Warm]:
        found = super().step(state, iteration)
        return Step(Warm(0.9 * found.z), found.error)


def test_somebodys_own_solver_is_a_premise() -> None:
    A = blur(random_kernel(0))
    options = {
        "fidelity": LeastSquares(A, measurements(A)),
        "denoiser": Plugged(TINY, LEVEL),
        "relaxation": 1.0,
        "start": picture(1, *A.image_shape, seed=5),
        "gamma": 5.0,
    }
    own, ours = (iterate(kind(**options), Stopping(1e-4, 20)) for kind in (Shrinking, PnPHQS))
    assert "solver pnp-hqs makes the steps" in own.certificate.verdict
    assert own.certificate.conditions
    assert ours.certificate.verdict.startswith("certified: ")
