"""DPIR's schedule: the published steps, no guarantee, and as many steps as it has."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from laws.solvers import TINY, blur, measurements, random_kernel
from operators import LinearOperator, RayTransform, parallel_beam
from pnp_recon import reconstruct
from pnp_recon.errors import CertificateError, InputError
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.solvers import Status, Stopping
from pnp_recon.solvers.core.loop import iterate
from pnp_recon.solvers.pnp.schedule import DPIR, STEPS, levels

NOISE = 5 / 255


def smooth(x: Tensor, sigma: float) -> Tensor:
    """A denoiser in float64 that knows its level: a mean of neighbours, the more the noisier."""
    near = sum(x.roll(shift, axis) for shift in (1, -1) for axis in (-1, -2)) / 4
    weight = sigma / (sigma + 0.1)
    return (1 - weight) * x + weight * near


def by_hand(y: Tensor, A: LinearOperator, denoise: Callable[[Tensor, float], Tensor],
            weight: float = 0.23, first: float = 49 / 255) -> Tensor:  # fmt: skip
    """The published loop with dense matrices: (AᵀA + ρ I) x = Aᵀy + ρ z, ρ = λσ²/s²."""
    count = math.prod(A.image_shape)
    basis = torch.eye(count, dtype=y.dtype).reshape(count, *A.image_shape)
    matrix = A.A(basis).flatten(1).T
    z = A.initial_guess(y)
    for k in range(8):
        s = math.exp(math.log(first) + k / 7 * (math.log(NOISE) - math.log(first)))
        rho = weight * NOISE**2 / s**2
        right = matrix.T @ y.flatten() + rho * z.flatten()
        left = matrix.T @ matrix + rho * torch.eye(count, dtype=y.dtype)
        z = denoise(torch.linalg.solve(left, right).reshape(z.shape), s)
    return z


def solved(**settings: object) -> Tensor:
    A = blur(random_kernel(0))
    denoiser = Denoiser(smooth, "smooth")
    y = measurements(A)[:1]
    found = reconstruct(y, A, denoiser, solver="dpir", noise_level=NOISE, **settings)  # type: ignore[arg-type]
    return found.image


def test_it_is_the_published_loop() -> None:
    A = blur(random_kernel(0))
    y = measurements(A)[:1]
    torch.testing.assert_close(solved(), by_hand(y, A, smooth), rtol=0, atol=1e-10)


@pytest.mark.parametrize("change", [{"weight": 0.25}, {"first": 50 / 255}])
def test_another_loop_is_told_apart(change: dict[str, float]) -> None:
    A = blur(random_kernel(0))
    other = by_hand(measurements(A)[:1], A, smooth, **change)  # type: ignore[arg-type]
    assert float((solved() - other).abs().max()) > 1e-6


def test_strength_multiplies_the_weight_of_the_prior() -> None:
    A = blur(random_kernel(0))
    other = by_hand(measurements(A)[:1], A, smooth, weight=2 * 0.23)
    torch.testing.assert_close(solved(strength=2.0), other, rtol=0, atol=1e-10)


def test_levels_fall_evenly_in_the_logarithm_and_stay_within_the_denoiser() -> None:
    found = levels(NOISE)
    assert len(found) == STEPS
    assert found[0] == pytest.approx(49 / 255)
    assert found[-1] == pytest.approx(NOISE)
    ratios = [b / a for a, b in itertools.pairwise(found)]
    assert ratios == pytest.approx([ratios[0]] * 7)
    assert levels(NOISE, (10 / 255, 20 / 255))[0] == 20 / 255
    assert levels(NOISE, (10 / 255, 20 / 255))[-1] == 10 / 255
    assert levels(0.3) == pytest.approx((0.3,) * STEPS)
    assert min(levels(0.0)) > 0


def test_it_has_no_guarantee_even_with_a_certified_denoiser() -> None:
    A = blur(random_kernel(0))
    y = measurements(A)
    assert TINY.guarantee.is_averaged
    found = reconstruct(y, A, TINY, solver="dpir", noise_level=NOISE)
    assert found.certificate.label == "no guarantee"
    assert "schedule of 8 changing maps" in found.certificate.verdict
    certified = reconstruct(y, A, TINY, noise_level=NOISE, denoiser_level=0.1)
    assert certified.certificate.proven
    with pytest.raises(CertificateError, match="changing maps"):
        reconstruct(y, A, TINY, solver="dpir", noise_level=NOISE, require_certificate=True)


def test_it_ends_with_its_schedule_and_not_before() -> None:
    A = blur(random_kernel(0))
    still = Denoiser(lambda x, sigma: torch.zeros_like(x), "black")  # moves once
    run = {"solver": "dpir", "noise_level": NOISE}
    y = measurements(A)
    found = reconstruct(y, A, still, **run, stopping=Stopping(tol=0.5))  # type: ignore[arg-type]
    assert (found.status, found.iterations) == (Status.FIXED_DEPTH, STEPS)
    cut = reconstruct(y, A, still, **run, stopping=Stopping(max_iter=3))  # type: ignore[arg-type]
    assert (cut.status, cut.iterations) == (Status.ITERATION_LIMIT, 3)
    # An iteration with the same steps converges.
    other = reconstruct(y, A, still, noise_level=NOISE, stopping=Stopping(tol=0.5, check_every=1))
    assert other.status is Status.CONVERGED


def test_no_acceleration_goes_around_it() -> None:
    A = blur(random_kernel(0))
    with pytest.raises(InputError, match="of one map"):
        reconstruct(
            measurements(A), A, TINY, solver="dpir", acceleration="anderson", noise_level=NOISE
        )


def test_inner_solves_follow_the_scale_of_the_operator() -> None:
    A = RayTransform(parallel_beam(7, 12), (1, 12, 12))
    x = torch.rand(1, 1, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    level, y = NOISE * A.norm_bound, A.A(x)
    found = reconstruct(y, A, Denoiser(smooth, "smooth"), solver="dpir", noise_level=level)
    assert found.parameters["last_level"] == pytest.approx(NOISE)
    assert found.history.errors[0][0] > 0  # conjugate gradients, with their bound
    assert all(
        error <= asked
        for errors, tolerances in zip(found.history.errors, found.history.tolerances, strict=True)
        for error, asked in zip(errors, tolerances, strict=True)
    )


def test_a_schedule_without_steps_is_refused() -> None:
    A = blur(random_kernel(0))
    from pnp_recon.fidelity import LeastSquares

    y = measurements(A)
    with pytest.raises(InputError, match="at least one step"):
        iterate(DPIR(LeastSquares(A, y), (), (), y))
