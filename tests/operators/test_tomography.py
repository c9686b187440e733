"""The ray transform: right line integrals, an exact transpose, a tight norm.

The laws of every operator (adjoint, prox, norm against the dense matrix) run in test_operators.py;
back ends, refusals and memory in test_tomography_backends.py.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from operators import (
    OperatorError,
    RayTransform,
    check_adjoint,
    fan_beam,
    parallel_beam,
    to_matrix,
)
from operators._projectors import apply_projector
from support.tomography import (
    FULL_SCANS,
    MU,
    PIXEL,
    SIZE,
    Disc,
    exact_sinogram,
    picture,
    rand,
    relative,
)

every_scan = pytest.mark.parametrize("label", FULL_SCANS)
TINY = {
    "parallel": parallel_beam(4, (5, 4), pixel_mm=0.5),
    "fan curved": fan_beam(4, (5, 4), 4, 2, pixel_mm=0.5, curved=True),
}
CALLED = {
    "parallel": parallel_beam(7, (9, 8), pixel_mm=0.5),
    "offset": parallel_beam(7, (9, 8), pixel_mm=0.5, axis_offset=0.8, detector_mm=0.7),
    "repeated": parallel_beam(5, (9, 8), pixel_mm=0.5, angles=[2.0, 0.3, 2.0, 1.0, 4.0]),
    "single view": parallel_beam(1, (9, 8), pixel_mm=0.5),
    "fan flat": fan_beam(7, (9, 8), 6, 5, pixel_mm=0.5, axis_offset=-0.4),
}


# ---- the right numbers ----


@every_scan
def test_line_integrals_of_a_disc_are_its_chords(label: str) -> None:
    scan, disc = FULL_SCANS[label], Disc()
    A = RayTransform(scan, (1, SIZE, SIZE))
    x = picture(disc, SIZE, PIXEL)[None, None]
    measured = A.A(x)[0, 0]
    assert relative(measured, exact_sinogram(disc, scan)) < 0.03
    assert float(measured.max()) == pytest.approx(2 * disc.radius * MU, rel=0.02)  # no unit
    mirrored = exact_sinogram(Disc(disc.radius, -disc.x, disc.y), scan)
    assert relative(measured, mirrored) > 0.3  # the comparison can fail


@pytest.mark.parametrize("label", CALLED)
def test_the_matrix_is_what_odl_computes(label: str) -> None:
    scan = CALLED[label]
    stored = RayTransform(scan, (2, 9, 8), storage="matrix")
    called = RayTransform(scan, (2, 9, 8), storage="on_the_fly")
    x = rand(3, 2, 9, 8, dtype=torch.float32)
    y = stored.A(x)
    assert relative(called.A(x), y) < 2e-6
    assert relative(called.A_adjoint(y), stored.A_adjoint(y)) < 2e-6
    assert check_adjoint(called) < 1e-6
    called._projector._unweight *= 1.001  # type: ignore[attr-defined]
    with pytest.raises(OperatorError, match="not the transpose"):
        check_adjoint(called)


@pytest.mark.parametrize("weighting", [None, 1.0])
def test_odls_weighted_adjoint_is_the_transpose_times_a_factor(weighting: float | None) -> None:
    """ODL's own operator, in weighted spaces and in plain ones, as the reference."""
    import odl

    from operators._odl import _odl_geometry, import_tomo

    scan = CALLED["parallel"]
    tomo = import_tomo("astra_cpu")
    space = odl.uniform_discr([-2.25, -2], [2.25, 2], (9, 8), dtype="float32", weighting=weighting)
    reference = tomo.RayTransform(space, _odl_geometry(tomo, scan, (9, 8)), impl="astra_cpu")
    weights = reference.range.weighting.const / reference.domain.weighting.const
    assert (weights == 1) == (weighting == 1)
    y = rand(1, *scan.measured_shape, dtype=torch.float32)
    exact = RayTransform(scan, (1, 9, 8)).A_adjoint(y[None])[0]
    theirs = torch.from_numpy(reference.adjoint(reference.range.element(y[0].numpy())).asarray())
    assert relative(theirs / weights, exact[0]) < 2e-6


def test_slices_and_batches_are_seen_one_by_one() -> None:
    volume = rand(2, 3, 7, 6)
    A = RayTransform(parallel_beam(5, (7, 6), slices=True), (3, 7, 6))
    B = RayTransform(parallel_beam(5, (7, 6)), (1, 7, 6))
    y = A.A(volume)
    assert y.shape == (2, 3, 5, A.geometry.detector_count)
    for i in range(3):
        assert torch.allclose(y[:, i : i + 1], B.A(volume[:, i : i + 1]), rtol=0, atol=1e-13)
    assert A.norm_bound == pytest.approx(B.norm_bound, rel=1e-12)
    assert A.A(volume.float()).dtype == torch.float32
    assert A._projector is not B._projector  # another geometry
    again = RayTransform(parallel_beam(5, (7, 6)), (4, 7, 6))
    assert again._projector is B._projector  # one matrix for one scan


def test_autocast_leaves_rays_alone() -> None:
    """For one picture and for several: torch has no sparse product in bfloat16."""
    A = RayTransform(parallel_beam(5, (7, 6)), (1, 7, 6))
    x = rand(2, 1, 7, 6).float()
    with torch.autocast("cpu", torch.bfloat16):
        found = [A.A(x), A.A_adjoint(A.A(x))]
    assert torch.equal(found[0], A.A(x))
    assert torch.equal(found[1], A.A_adjoint(A.A(x)))


# ---- differentiable, twice ----


class Unmatched:
    """A projector whose way back is a little too strong."""

    row_terms = column_terms = 1

    def run(self, t: Tensor, transposed: bool) -> Tensor:
        return (1.01 if transposed else 1.0) * t


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # torch's own forward AD
@pytest.mark.parametrize("label", TINY)
def test_derivatives_of_both_maps_and_their_derivatives(label: str) -> None:
    A = RayTransform(TINY[label], (1, 5, 4))
    x = rand(2, 1, 5, 4).requires_grad_()
    y = rand(2, *A.measurement_shape).requires_grad_()
    for operation, t in ((A.A, x), (A.A_adjoint, y)):
        assert torch.autograd.gradcheck(operation, t, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(lambda s, f=operation: f(s) ** 3, t)
    (slope,) = torch.autograd.grad((A.A(x) ** 2).sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad((slope**2).sum(), x)
    normal = A.normal(A.normal(x.detach()))
    assert torch.allclose(curvature, 8 * normal, rtol=1e-10)


def test_a_wrong_derivative_is_caught() -> None:
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(
            lambda t: apply_projector(Unmatched(), t), rand(2, 3).requires_grad_()
        )


# ---- the norm ----

BRACKETED = {
    **{label: (scan, SIZE) for label, scan in FULL_SCANS.items()},
    "limited": (parallel_beam(30, SIZE, span=math.pi / 3), SIZE),
    "single view": (parallel_beam(1, SIZE), SIZE),
    "narrow detector": (parallel_beam(30, SIZE, detector_count=20), SIZE),
    "wide detector": (parallel_beam(30, SIZE, detector_count=300), SIZE),
}


@pytest.mark.parametrize("label", BRACKETED)
def test_the_norm_is_bracketed_to_a_thousandth_and_kept(label: str) -> None:
    scan, size = BRACKETED[label]
    A = RayTransform(scan, (1, size, size))
    proven = A.norm_certificate
    assert 1 <= proven.looseness < 1.001
    assert RayTransform(scan, (3, size, size)).norm_certificate is proven
    x = A.certificate_start()
    for _ in range(30):  # from inside: no image may beat the bound
        x = A.normal(x)
        x = x / x.norm()
    attained = float(A.A(x).norm())
    assert 0.99 * proven.lower <= attained <= proven.value


def test_float32_bounds_hold_too() -> None:
    scan = CALLED["fan flat"]
    called = RayTransform(scan, (1, 9, 8), storage="on_the_fly")
    exact = float(torch.linalg.matrix_norm(to_matrix(RayTransform(scan, (1, 9, 8))), ord=2))
    assert called.certificate_dtype == torch.float32
    assert called.norm_certificate.looseness < 1.001
    assert called.norm_certificate.lower <= exact <= called.norm_bound


def test_a_scan_that_misses_the_picture_has_norm_zero() -> None:
    A = RayTransform(parallel_beam(3, 8, detector_count=4, axis_offset=50.0), (1, 8, 8))
    assert A.norm_bound <= 1e-12
    assert float(A.A(rand(1, 1, 8, 8)).abs().max()) == 0


def test_the_preconditioner_saves_iterations() -> None:
    A = RayTransform(parallel_beam(20, 32), (1, 32, 32))
    z, y = rand(1, 1, 32, 32), rand(1, *A.measurement_shape)
    gamma = 300 / A.norm_bound**2
    _, error = A.prox_l2_with_error(z, y, gamma, tol=0.0, max_iter=15)
    A._preconditioner = lambda step: None  # type: ignore[method-assign]
    _, plain = A.prox_l2_with_error(z, y, gamma, tol=0.0, max_iter=15)
    assert float(error) < 0.5 * float(plain)
