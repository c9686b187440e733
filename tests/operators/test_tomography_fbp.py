"""Filtered back-projection has the right scale, in every geometry that is offered."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from operators import OperatorError, RayTransform, ScanGeometry, fan_beam, fbp, parallel_beam
from operators.filtered_back_projection import WINDOWS, filtered_back_projection
from support.tomography import (
    CONE,
    F64,
    FULL_SCANS,
    MU,
    PIXEL,
    SIZE,
    Disc,
    exact_sinogram,
    picture,
    well_inside,
)

DISC = Disc()
every_scan = pytest.mark.parametrize("label", FULL_SCANS)


def mean_inside(reconstruction: torch.Tensor) -> float:
    return float(reconstruction[well_inside(DISC, SIZE, PIXEL)].mean())


def error(scan: ScanGeometry, y: torch.Tensor, disc: Disc, *, edge: bool = False) -> float:
    """Root mean square error relative to MU, without the pixels near the disc's edge."""
    x = filtered_back_projection(scan, y, (SIZE, SIZE), "hann")
    off = (x - picture(disc, SIZE, PIXEL)) / MU
    if not edge:
        around = replace(disc, radius=1.2 * disc.radius)
        off = off[(picture(around, SIZE, PIXEL) == 0) | well_inside(disc, SIZE, PIXEL)]
    return float(off.square().mean().sqrt())


@every_scan
def test_exact_line_integrals_of_a_disc_come_back_as_its_attenuation(label: str) -> None:
    scan = FULL_SCANS[label]
    y = exact_sinogram(DISC, scan)
    for name in ("ramp", "hann"):
        x = filtered_back_projection(scan, y, (SIZE, SIZE), name)  # type: ignore[arg-type]
        assert mean_inside(x) == pytest.approx(MU, rel=3e-3)
    assert error(scan, y, DISC) < 8e-3


@every_scan
def test_the_operators_own_measurement_of_a_disc_comes_back(label: str) -> None:
    A = RayTransform(FULL_SCANS[label], (1, SIZE, SIZE))
    x = picture(DISC, SIZE, PIXEL).float()[None, None]
    assert mean_inside(A.fbp(A.A(x))[0, 0]) == pytest.approx(MU, rel=3e-3)


def test_a_wrong_geometry_is_caught() -> None:
    disc = Disc(4.0, 9.0, -6.0)
    scan = fan_beam(180, SIZE, 30, 20, pixel_mm=PIXEL)
    y = exact_sinogram(disc, scan)
    best = error(scan, y, disc, edge=True)
    assert error(scan, y, disc) < 1.2e-2
    for wrong in (
        replace(scan, detector_mm=1.05 * scan.detector_mm),
        replace(scan, source_radius=36.0),
        replace(scan, axis_offset=1.0),
        replace(scan, kind="fan_curved"),
        replace(scan, angles=tuple(-angle for angle in scan.angles)),
    ):
        assert error(wrong, y, disc, edge=True) > 1.25 * best


@pytest.mark.parametrize("name", WINDOWS)
def test_every_filter_keeps_the_mean_and_smooths_in_its_order(name: str) -> None:
    scan = FULL_SCANS["parallel"]
    y = exact_sinogram(DISC, scan)
    for cutoff in (1.0, 0.5):
        x = filtered_back_projection(scan, y, (SIZE, SIZE), name, cutoff)  # type: ignore[arg-type]
        assert mean_inside(x) == pytest.approx(MU, rel=2e-2)
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=F64)
    grain = [
        float(filtered_back_projection(scan, noise, (SIZE, SIZE), n).std())  # type: ignore[arg-type]
        for n in ("ramp", "shepp-logan", "cosine", "hamming", "hann")
    ]
    assert grain == sorted(grain, reverse=True)


def test_limited_angles_keep_the_mean_brightness() -> None:
    for degrees in (150, 120, 90):
        scan = parallel_beam(degrees, SIZE, pixel_mm=PIXEL, span=math.radians(degrees))
        x = filtered_back_projection(scan, exact_sinogram(DISC, scan), (SIZE, SIZE))
        assert mean_inside(x) == pytest.approx(MU, rel=2e-2)


@pytest.mark.parametrize("height", [0.0, 3.0])
def test_cone_beam_of_a_ball(height: float) -> None:
    ball = Disc(5.0, 2.0, -1.5, height)
    x = filtered_back_projection(CONE, exact_sinogram(ball, CONE), (20, 24, 24), "ramp")
    z, row, column = torch.meshgrid(
        *(torch.arange(n, dtype=F64) - (n - 1) / 2 for n in (20, 24, 24)), indexing="ij"
    )
    apart = (column - ball.x) ** 2 + (-row - ball.y) ** 2 + (z - ball.z) ** 2
    inside = x[apart < 3.5**2]
    assert float(inside.mean()) == pytest.approx(MU, rel=1.5e-2)
    assert float(inside.std()) < 0.03 * MU
    assert float(x[apart > 7**2].abs().mean()) < 0.02 * MU


def test_is_linear_differentiable_and_blind_to_the_batch() -> None:
    A = RayTransform(parallel_beam(6, 5), (2, 5, 5))
    y = torch.rand(2, *A.measurement_shape, dtype=F64, requires_grad=True)
    x = fbp(A, y, "ramp", 0.8)
    assert x.shape == (2, 2, 5, 5)
    assert torch.allclose(x[1:2, :], fbp(A, y[1:2], "ramp", 0.8))
    assert torch.allclose(fbp(A, 2 * y, "ramp", 0.8), 2 * x)
    assert torch.autograd.gradcheck(lambda t: A.fbp(t), y, fast_mode=True)
    assert torch.equal(A.initial_guess(y), A.fbp(y, "hann"))


def test_bad_arguments_are_refused() -> None:
    A = RayTransform(parallel_beam(6, 5), (1, 5, 5))
    y = torch.rand(1, *A.measurement_shape)
    with pytest.raises(OperatorError, match="choose one of ramp"):
        A.fbp(y, "gauss")  # type: ignore[arg-type]
    for cutoff in (0.0, 1.1, math.nan):
        with pytest.raises(OperatorError, match="cutoff"):
            A.fbp(y, cutoff=cutoff)
    with pytest.raises(OperatorError, match=r"the sinogram has shape \(1, 1, 6, 9\); .*expects"):
        A.fbp(y[..., 1:].repeat(1, 1, 1, 2)[..., :9])
    with pytest.raises(OperatorError, match="the sinogram has shape"):
        filtered_back_projection(A.geometry, y[..., :-1], (5, 5))
