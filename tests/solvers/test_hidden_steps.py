"""What rounding hides is no convergence, and what rounding does is no fault of a theorem."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from laws.networks import picture
from laws.solvers import SIZE, blur, measurements, random_kernel
from operators import LinearOperator, Stacked
from operators.checks import probe
from pnp_recon import load_denoiser, reconstruct
from pnp_recon.solvers import Solution, Status, Stopping
from pnp_recon.solvers.core.premises import bounded_below
from pnp_recon.solvers.core.theorem import Basis


def run(**settings: Any) -> Solution:
    A = blur(random_kernel(0).float())
    y = measurements(A).float()
    stopping = settings.pop("stopping", Stopping(1e-4, 60))
    return reconstruct(y, A, load_denoiser("euler_grey"), noise_level=0.02, stopping=stopping,
                       **settings)  # fmt: skip


@pytest.mark.parametrize("acceleration", ["none", "auto"])
@pytest.mark.parametrize(
    "settings",
    [{"solver": "red", "step": 1e-8}, {"solver": "pnp-drs", "relaxation": 1e-8}],
    ids=["red", "pnp-drs"],
)
def test_a_step_that_rounding_swallows_has_not_converged(
    settings: dict[str, Any], acceleration: str
) -> None:
    solution = run(acceleration=acceleration, **settings)
    assert solution.status in (Status.STAGNATED, Status.ITERATION_LIMIT)
    assert not solution.status.succeeded
    # The twin: usual steps come to rest.
    enough = Stopping(1e-3, 300)
    usual = run(acceleration=acceleration, solver=settings["solver"], stopping=enough)
    assert usual.status is Status.CONVERGED


@pytest.mark.parametrize("solver", ["pnp-hqs", "pnp-drs", "pnp-pgd"])
@pytest.mark.parametrize("acceleration", ["none", "auto"])
def test_a_small_scaling_breaks_no_law(solver: str, acceleration: str) -> None:
    """D(cx)/c multiplies the network's rounding by 1/c."""
    for scaling in (3e-3, 1e-4):
        solution = run(
            solver=solver,
            acceleration=acceleration,
            denoiser_scaling=scaling,
            stopping=Stopping(1e-5, 60),
        )
        assert not solution.certificate.contradicted, solution.certificate.verdict


class Own(LinearOperator):
    """A user's mask: the left half is seen."""

    def __init__(self) -> None:
        super().__init__("half", SIZE, SIZE, nonnegative=True)
        self.weights = np.ones(SIZE[2])

    def _forward_map(self, x: Tensor) -> Tensor:
        seen = torch.arange(SIZE[2]) < SIZE[2] // 2
        return x * (seen * torch.from_numpy(self.weights)).to(x)

    _transpose_map = _forward_map


class Claiming(Own):
    gram_lower_bound = 0.01  # which is false: it sees half


def test_what_a_part_does_not_see_is_no_negative_entry() -> None:
    A = blur(random_kernel(0, taps=5))
    for composed in (A @ Own(), Own() @ A, A @ A @ Own(), 100.0 * (Own() @ A)):
        assert probe(composed, norm=True).refuted is None, composed.name
        y = composed.A(picture(1, *SIZE))
        found = reconstruct(y, composed, "tv", noise_level=0.01, stopping=Stopping(1e-3, 5))
        assert found.certificate.verdict.startswith("certified if")


def test_the_weakest_part_says_how_a_lower_bound_is_known() -> None:
    for operator in (Claiming(), 1.0 * Claiming(), Stacked([Claiming(), Claiming()])):
        found = bounded_below(operator)
        assert [premise.basis for premise in found] in ([], [Basis.DECLARED])
    (proven,) = bounded_below(blur(torch.eye(1, dtype=torch.float64)))
    assert proven.basis is Basis.PROVEN


def test_numpy_arrays_are_seen() -> None:
    operator = Own()
    mark = operator.fingerprint()
    assert operator.fingerprint() == mark
    operator.weights *= 0.5
    assert operator.fingerprint() != mark
