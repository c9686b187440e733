"""`reconstruct(ridge=)`: any problem becomes a contraction, and what has no use for it says so."""

from __future__ import annotations

import pytest
import torch

from laws.networks import picture
from laws.solvers import SIZE, TINY, blur, random_kernel
from operators import Identity
from pnp_recon import reconstruct
from pnp_recon.errors import InputError
from pnp_recon.fidelity import Huber, LeastSquares, Ridged
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import TotalVariation
from pnp_recon.solvers import Contraction, Stopping

SIGMA = 0.02


def posed() -> tuple[torch.Tensor, object]:
    A = blur(random_kernel(0), "reflect")
    x = picture(1, *SIZE, seed=3)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    return A.A(x) + SIGMA * noise, A


@pytest.mark.parametrize("solver", ["auto", "pnp-pgd", "pnp-hqs", "pnp-drs", "red", "pnp-fista"])
@pytest.mark.parametrize("acceleration", ["auto", "none", "halpern"])
def test_every_iteration_with_a_denoiser_has_one_fixed_point(
    solver: str, acceleration: str
) -> None:
    y, A = posed()
    if (solver, acceleration) == ("pnp-fista", "halpern"):
        return  # an acceleration itself
    solution = reconstruct(
        y,
        A,  # type: ignore[arg-type]
        TINY,
        noise_level=SIGMA,
        solver=solver,
        acceleration=acceleration,
        ridge=0.05,
        denoiser_level=0.1,
        stopping=Stopping(1e-4, 20),
    )
    theorem = solution.certificate.theorem
    assert solution.certificate.holds, solution.certificate.lines()
    assert theorem.error_bar is not None
    assert theorem.error_bar.constant < 1
    assert "its fixed point is the only one" in solution.certificate.verdict
    assert "m" in {constant.name for constant in solution.certificate.constants}


def test_total_variation_takes_it_by_douglas_rachford() -> None:
    y, A = posed()
    prior = TotalVariation(0.02, box=(0.0, 1.0))
    solution = reconstruct(y, A, prior, ridge=0.05, stopping=Stopping(1e-3, 30))  # type: ignore[arg-type]
    assert solution.solver == "drs"
    assert isinstance(solution.certificate.theorem, Contraction)
    assert solution.certificate.holds, solution.certificate.lines()
    with pytest.raises(InputError, match="take drs, or leave the ridge out"):
        reconstruct(y, A, prior, ridge=0.05, solver="pdhg")  # type: ignore[arg-type]


@pytest.mark.parametrize("solver", ["landweber", "sirt", "cgls"])
def test_plain_least_squares_takes_none(solver: str) -> None:
    y, A = posed()
    with pytest.raises(InputError, match=r"plain least squares, not least-squares \+ ridge"):
        reconstruct(y, A, solver=solver, ridge=0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("ridge", [0.0, -1.0, float("nan"), float("inf"), True])
def test_a_ridge_is_a_positive_number(ridge: float) -> None:
    y, A = posed()
    with pytest.raises(InputError, match="weight of the ridge is"):
        reconstruct(y, A, TINY, ridge=ridge)  # type: ignore[arg-type]


def test_a_problem_keeps_its_noise_and_its_own_fidelity() -> None:
    A = Identity(SIZE)
    y = picture(1, *SIZE)
    plain = Problem(A, y, SIGMA, ridge=0.1)
    assert plain.noise() == SIGMA
    assert isinstance(plain.data_term, Ridged)
    assert isinstance(plain.data_term.fidelity, LeastSquares)
    assert plain.data_term.center == 0.5
    own = Problem(A, y, SIGMA, fidelity=Huber(A, y, 0.1), ridge=0.1)
    assert isinstance(own.data_term, Ridged)
    assert isinstance(own.data_term.fidelity, Huber)
    assert own.noise() == 1.0
    assert isinstance(Problem(A, y, SIGMA).data_term, LeastSquares)
