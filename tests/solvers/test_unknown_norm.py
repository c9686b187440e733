"""Where nothing is known of an operator's norm, what rests on it is refused, with the remedy."""

from __future__ import annotations

from typing import Any

import pytest
import scipy.sparse
import torch
from scipy.sparse.linalg import aslinearoperator
from torch import Tensor

from operators import Convolution, LinearOperator, from_callable, from_matrix, kernels
from operators.checks import norm_or_attained, to_matrix
from pnp_recon import reconstruct
from pnp_recon.errors import CertificateError, InputError, StepSizeError
from pnp_recon.fidelity import KullbackLeibler
from pnp_recon.priors.denoiser import wrap
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import Box
from pnp_recon.solvers import Stopping

SHAPE = (1, 12, 12)
GAIN = 40.0
FEW = Stopping(max_iter=40)


def known() -> LinearOperator:
    return GAIN * Convolution(kernels.gaussian(0.8, 5, dtype=torch.float64), SHAPE)


def unknown(**options: Any) -> LinearOperator:
    """The same maps, of which nothing is known but what is declared."""
    inner = known()
    return from_callable(inner.A, inner.A_adjoint, SHAPE, SHAPE, **options)


@pytest.fixture
def x() -> Tensor:
    picture = torch.full((1, *SHAPE), 0.3, dtype=torch.float64)
    picture[..., 3:8, 4:9] = 0.8
    return picture


@pytest.fixture
def y(x: Tensor) -> Tensor:
    return known().A(x)


def far(solution: Any, x: Tensor) -> float:
    return far_from(solution.image, x)


def far_from(image: Tensor, x: Tensor) -> float:
    return float((image - x).abs().mean())


@pytest.mark.parametrize(
    ("prior", "solver", "instead"),
    [
        ("tv", "auto", "hqs or drs or admm"),
        ("tv", "fista", "hqs or drs or admm"),
        ("nlm", "pnp-pgd", "pnp-hqs or pnp-drs"),
        ("auto", "landweber", "cgls"),
    ],
)
def test_steps_from_an_unknown_norm_are_refused(
    y: Tensor, prior: str, solver: str, instead: str
) -> None:
    settings: dict[str, Any] = {"solver": solver, "noise_level": 0.1, "strength": 1.0}
    with pytest.raises(StepSizeError, match=rf"declare norm_bound=.*{instead}.*allow_uncertified"):
        reconstruct(y, unknown(), prior, **settings)
    with pytest.raises(CertificateError):
        reconstruct(y, unknown(), prior, require_certificate=True, **settings)


def test_a_declared_norm_gives_a_conditional_certificate(y: Tensor, x: Tensor) -> None:
    A = unknown(norm_bound=1.001 * GAIN)
    solution = reconstruct(y, A, "tv", noise_level=0.1, stopping=FEW)
    assert solution.certificate.label == "certified if"
    assert any("norm" in one for one in solution.certificate.conditions)
    assert far(solution, x) < 0.05


def test_what_needs_no_norm_runs(y: Tensor, x: Tensor) -> None:
    for prior, solver in (("tv", "drs"), (wrap(lambda v, sigma: v), "pnp-hqs")):
        solution = reconstruct(
            y, unknown(), prior, solver=solver, noise_level=0.1, strength=1.0, stopping=FEW
        )
        assert far(solution, x) < 0.1


def test_an_estimate_is_taken_on_request_and_nothing_is_certified(
    y: Tensor, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> Any:
        return reconstruct(
            y, unknown(), "tv", noise_level=0.1, allow_uncertified=True, stopping=FEW
        )

    solution = run()
    assert not solution.certificate.holds
    assert far(solution, x) < 0.05
    # The twin: as if the norm were 1, which is what nothing is known of.
    for home in ("pnp_recon.fidelity.base", "pnp_recon.solvers.convex.terms"):
        monkeypatch.setattr(f"{home}.norm_or_attained", lambda A: 1.0)
    assert not far(run(), x) < 0.1


def test_units_of_an_unknown_operator_do_not_count(
    x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coupling is in units of 1/‖A‖²: as if the norm were 1, a small A left everything grey."""

    def error(gain: float) -> float:
        inner = gain / GAIN * known()
        A = from_callable(inner.A, inner.A_adjoint, SHAPE, SHAPE)
        start = torch.zeros_like(x)
        return far(
            reconstruct(inner.A(x), A, Box(0, 1), solver="drs", start=start, stopping=FEW), x
        )

    small = error(0.01)
    assert error(100.0) == pytest.approx(small, rel=0.01)
    monkeypatch.setattr("pnp_recon.fidelity.base.norm_or_attained", lambda A: 1.0)
    assert error(0.01) > 10 * small


def test_a_first_guess_has_the_size_that_explains_the_data(x: Tensor) -> None:
    inner = known()
    mixed = from_callable(
        lambda v: -inner.A(v), lambda v: -inner.A_adjoint(v), SHAPE, SHAPE, name="mixed"
    )
    y = torch.cat([mixed.A(x), 0 * mixed.A(x)])
    guess = mixed.initial_guess(y)
    assert far_from(guess[:1], x) < 0.1
    assert not guess[1:].any()
    assert far_from(mixed.A_adjoint(y)[:1], x) > GAIN  # which it was


def test_the_scale_is_what_is_attained(y: Tensor) -> None:
    assert Problem(unknown(), y).scale == pytest.approx(GAIN, rel=1e-3)
    count = KullbackLeibler(unknown(), y + 5, background=5.0)
    exact = KullbackLeibler(known(), y + 5, background=5.0)
    attained = Problem(count.A, count.y, fidelity=count).scale
    assert attained == pytest.approx(Problem(exact.A, exact.y, fidelity=exact).scale, rel=1e-3)
    assert norm_or_attained(known()) == known().norm_bound
    nothing = from_callable(lambda v: 0 * v, lambda v: 0 * v, SHAPE, SHAPE)
    assert norm_or_attained(nothing) == 1.0


def test_what_is_no_operator_is_named_with_the_call_that_makes_one(y: Tensor) -> None:
    matrix = to_matrix(known()).numpy()
    cases: list[tuple[Any, str]] = [
        (matrix, r"from_matrix\(A, image_shape\)"),
        (scipy.sparse.csr_matrix(matrix), "from_matrix"),
        (torch.from_numpy(matrix), "from_matrix"),
        (aslinearoperator(matrix), r"from_scipy\(A, image_shape\)"),
        (lambda v: v, r"from_callable\(A, At"),
    ]
    for thing, words in cases:
        with pytest.raises(InputError, match=words):
            reconstruct(y, thing, "tv")


def test_a_matrix_is_certified_without_a_declaration(y: Tensor, x: Tensor) -> None:
    A = from_matrix(scipy.sparse.csr_matrix(to_matrix(known()).numpy()), SHAPE, SHAPE)
    solution = reconstruct(y, A, "tv", noise_level=0.1, stopping=FEW, require_certificate=True)
    assert solution.certificate.label == "certified"
    assert far(solution, x) < 0.05
