"""Filtered back-projection has the right scale, in every geometry that is offered."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from operators import OperatorError, RayTransform, ScanGeometry, fan_beam, fbp, parallel_beam
from operators._ray_weights import redundancy
from operators.filtered_back_projection import (
    WINDOWS,
    _interpolate,
    filtered_back_projection,
    mean_of_rays,
)
from operators.scan_geometry import even_angles
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


# ---- detectors that do not see everything from both sides ----------------------------------------


def offset_scan(kind: str) -> ScanGeometry:
    """A full turn of a detector that reaches 5 mm beyond the axis on one side, 17 on the other."""
    if kind == "parallel":
        return ScanGeometry(
            "parallel", even_angles(180, 2 * math.pi), 44, PIXEL, PIXEL, axis_offset=-6.0
        )
    full = fan_beam(180, SIZE, 60, 40, pixel_mm=PIXEL, curved=kind == "fan_curved")
    missing = round(0.3 * full.detector_count)  # at the low end, of the 0.5 on that side
    return replace(
        full,
        detector_count=full.detector_count - missing,
        axis_offset=-missing / 2 * full.detector_mm,
    )


@pytest.mark.parametrize("kind", ["parallel", "fan_flat", "fan_curved"])
def test_a_full_turn_of_an_offset_detector(kind: str) -> None:
    """The disc is never seen as a whole, but every line of it at least once."""
    scan = offset_scan(kind)
    y = exact_sinogram(DISC, scan)
    # Some views see nothing of the disc's far side: it is truncated.
    assert float(y[:, 0].max()) > 0.3 * float(y.max())
    x = filtered_back_projection(scan, y, (SIZE, SIZE), "hann")
    assert mean_inside(x) == pytest.approx(MU, rel=1e-2)
    assert error(scan, y, DISC) < 1.5e-2


def test_the_shares_of_the_two_rays_of_a_line_add_up_to_one() -> None:
    place = torch.linspace(-3, 9, 200, dtype=F64)
    share = redundancy(place, 0.06)
    both = place.abs() <= 3
    other = redundancy(torch.flip(-place, (0,)), 0.06).flip(0)  # mirrored: the long side is left
    assert torch.allclose(share, other)
    inside = place[both]
    again = torch.from_numpy(np.interp(-inside.numpy(), place.numpy(), share.numpy()))
    assert torch.allclose(share[both] + again, torch.ones_like(inside), atol=1e-4)
    assert bool((share[place > 3.1] == 1).all())
    assert torch.equal(redundancy(place - 3, 0.06), torch.full_like(place, 0.5))


def test_without_the_shares_the_slice_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    from operators import _ray_weights

    scan = offset_scan("parallel")
    y = exact_sinogram(DISC, scan)
    right = error(scan, y, DISC)
    monkeypatch.setattr(_ray_weights, "redundancy", lambda place, _: torch.full_like(place, 0.5))
    assert error(scan, y, DISC) > 5 * right


def test_an_object_wider_than_the_detector() -> None:
    """Continued by chords of about its width the bias is small, without them it is not."""
    disc = Disc(14.0, 1.0, 0.5)
    scan = ScanGeometry("parallel", even_angles(90, math.pi), 40, PIXEL, PIXEL)
    y = exact_sinogram(disc, scan)
    t = (torch.arange(SIZE, dtype=F64) - (SIZE - 1) / 2) * PIXEL
    seen = torch.hypot(t[:, None], t) < 9
    air = filtered_back_projection(scan, y, (SIZE, SIZE))[seen]
    more = filtered_back_projection(scan, y, (SIZE, SIZE), object_radius=14.0)[seen]
    assert float((air - MU).abs().mean()) > 0.15 * MU
    assert float((more - MU).abs().mean()) < 0.03 * MU
    assert torch.allclose(
        filtered_back_projection(scan, 2 * y, (SIZE, SIZE), object_radius=14.0)[seen], 2 * more
    )


def test_a_clockwise_turn_is_the_mirrored_object() -> None:
    mirrored = replace(DISC, y=-DISC.y)
    scan = FULL_SCANS["parallel"]
    back = replace(scan, angles=tuple(-angle for angle in scan.angles))
    here = filtered_back_projection(back, exact_sinogram(mirrored, back), (SIZE, SIZE))
    there = filtered_back_projection(scan, exact_sinogram(DISC, scan), (SIZE, SIZE))
    assert torch.allclose(here, there.flip(0), atol=1e-12)


@pytest.mark.parametrize(
    "scan", [parallel_beam(120, (20, 24)), fan_beam(240, (20, 24), 90.0, 40.0)]
)
def test_mean_of_rays(scan: ScanGeometry) -> None:
    """Constant rays give the constant; else about the transpose over the rays' number.

    The two interpolate differently, which is a ripple of 2 to 4 % for 12 views and of 0.5 to 1 %
    for these; a fan beam's also differ in their weights.
    """
    A = RayTransform(scan, (1, 20, 24))
    ones = torch.ones(2, *A.measurement_shape, dtype=F64)
    torch.testing.assert_close(
        mean_of_rays(scan, 3 * ones, (20, 24)), 3 * ones.new_ones(2, 1, 20, 24)
    )
    rows, columns = torch.arange(20, dtype=F64)[:, None], torch.arange(24, dtype=F64)
    blob = torch.exp(-((rows - 7) ** 2 + (columns - 14) ** 2) / 18)
    y = A.A(torch.stack([blob, blob.flip(0)])[:, None])
    transposed = A.A_adjoint(y) / A.A_adjoint(ones)
    found = mean_of_rays(scan, y, (20, 24))
    assert float((found - transposed).norm() / transposed.norm()) < 0.015
    # Twin: detector pixels that are a tenth larger.
    other = mean_of_rays(replace(scan, detector_mm=1.1 * scan.detector_mm), y, (20, 24))
    assert float((other - transposed).norm() / transposed.norm()) > 0.03


@pytest.mark.parametrize("rows", [1, 3])
def test_interpolation_is_numpys(rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(2, 4, rows, 7, generator=generator, dtype=F64)
    position = 10 * torch.rand(4, 50, generator=generator, dtype=F64) - 2
    found = _interpolate(values, position.clone())
    places = np.arange(-1, 8)  # zero beyond the ends
    for n, v, r in np.ndindex(2, 4, rows):
        known = np.interp(position[v], places, np.pad(values[n, v, r].numpy(), 1), 0, 0)
        np.testing.assert_allclose(found[n, v, r], known, atol=1e-12)
        other = np.interp(position[v - 1], places, np.pad(values[n, v, r].numpy(), 1), 0, 0)
        assert np.abs(found[n, v, r].numpy() - other).max() > 0.1  # twin: another view's places
