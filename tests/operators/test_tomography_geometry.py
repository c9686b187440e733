"""Scan geometries: what they accept, what files say, where ODL puts source and detector."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from operators import (
    MU_WATER,
    OperatorError,
    ScanGeometry,
    attenuation,
    cone_beam,
    fan_beam,
    hounsfield,
    parallel_beam,
)
from support.geometries import BAD_GEOMETRIES, GOOD


def test_angles_may_be_given_in_three_ways() -> None:
    base = {"kind": "parallel", "detector_count": 10}
    expected = [0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4]
    for way in (
        {"angles": expected},
        {"angles_deg": [0, 45, 90, 135]},
        {"n_angles": 4},
        {"n_angles": 4, "span_deg": 180, "start_deg": 0},
    ):
        assert ScanGeometry.from_dict({**base, **way}).angles == pytest.approx(expected)
    fan = {**GOOD, "kind": "fan_flat", "source_radius": 9, "detector_radius": 0, "start_deg": 90}
    assert ScanGeometry.from_dict(fan).angles == pytest.approx(
        [math.pi / 2, math.pi, 3 * math.pi / 2, 2 * math.pi]
    )


@pytest.mark.parametrize(("values", "message"), BAD_GEOMETRIES)
def test_bad_geometries_name_the_key(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        ScanGeometry.from_dict(values)


def test_helpers_cover_the_picture_and_refuse_what_cannot_be() -> None:
    assert parallel_beam(60, 256).detector_count == 363
    assert parallel_beam(60, 256, axis_offset=-4.0).detector_count == 371
    assert fan_beam(8, 10, 1e9, 1e-3).detector_count == parallel_beam(8, 10).detector_count
    assert fan_beam(8, 10, 20, 20).detector_mm == 2.0
    assert cone_beam(8, (4, 10, 10), 20, 20, detector_shape=(7, 9)).measured_shape == (8, 7, 9)
    assert parallel_beam(2, (4, 6), angles=[1.0, 0.5]).angles == (1.0, 0.5)
    with pytest.raises(OperatorError, match="n_angles is 3, but 2 angles"):
        parallel_beam(3, 9, angles=[1.0, 0.5])
    with pytest.raises(OperatorError, match="inside the picture"):
        fan_beam(8, 64, 30, 30)
    with pytest.raises(OperatorError, match="pixel_mm is 0"):
        parallel_beam(8, 64, pixel_mm=0)
    with pytest.raises(OperatorError, match="span is nan"):
        parallel_beam(8, 64, span=math.nan)
    with pytest.raises(OperatorError, match="source_radius"):
        fan_beam(8, 64, math.inf, 30)


@pytest.mark.parametrize("kind", ["fan_flat", "fan_curved", "cone"])
def test_odl_puts_source_and_detector_where_the_geometry_says(kind: str) -> None:
    """In the array's axes: (slice,) row, column. A GPU is needed to run a cone beam only."""
    from operators._odl import _odl_geometry, import_tomo

    rows = 5 if kind == "cone" else None
    scan = replace(
        fan_beam(7, 16, 40, 25, axis_offset=1.5, start=0.2),
        kind=kind,  # type: ignore[arg-type]
        detector_rows=rows,
    )
    shape = (6, 16, 16) if kind == "cone" else (16, 16)
    aimed = _odl_geometry(import_tomo("astra_cpu"), scan, shape)
    theta = np.asarray(scan.angles)
    source = 40 * np.stack([np.cos(theta), np.sin(theta)], axis=1)  # below the picture at θ = 0
    found = np.asarray(aimed.src_position(aimed.angles))
    np.testing.assert_allclose(found[:, -2:], source, atol=1e-12)
    u = (2 - (scan.detector_count - 1) / 2) * scan.detector_mm - scan.axis_offset
    angle, reach = (
        (u / 65, 65.0) if kind == "fan_curved" else (math.atan(u / 65), math.hypot(65, u))
    )
    direction = theta - angle  # of the ray, from the row axis turned upside down
    pixel = source - reach * np.stack([np.cos(direction), np.sin(direction)], axis=1)
    parameters = np.asarray(aimed.det_partition.grid.coord_vectors[-1])
    first_row = [] if rows is None else [aimed.det_partition.grid.coord_vectors[0][0]]
    for i, phi in enumerate(aimed.angles):
        where = [*first_row, parameters[2]]
        point = aimed.det_point_position(phi, where if rows else where[0])
        np.testing.assert_allclose(point[-2:], pixel[i], atol=1e-12)
        if rows:
            assert point[0] == pytest.approx(-2 * scan.detector_mm)


def test_hounsfield_units() -> None:
    assert hounsfield(MU_WATER) == pytest.approx(0)
    assert hounsfield(0.0) == pytest.approx(-1000)
    assert attenuation(1000.0, 0.02) == pytest.approx(0.04)
    mu = torch.rand(2, 3, dtype=torch.float64)
    assert torch.allclose(attenuation(hounsfield(mu, 0.019), 0.019), mu)
    assert isinstance(hounsfield(np.ones(3)), np.ndarray)
    for water in (0.0, -1.0, math.nan):
        with pytest.raises(OperatorError, match="mu_water"):
            hounsfield(1.0, water)


def test_a_mapping_without_a_pixel_sees_as_the_detector_does() -> None:
    lines = {"kind": "parallel", "n_angles": 6, "detector_count": 8, "detector_mm": 1.2}
    assert ScanGeometry.from_dict(lines).pixel_mm == 1.2
    fan = {**lines, "kind": "fan_flat", "source_radius": 60.0, "detector_radius": 40.0}
    assert ScanGeometry.from_dict(fan).pixel_mm == pytest.approx(1.2 * 60 / 100)
    assert ScanGeometry.from_dict({**lines, "pixel_mm": 0.5}).pixel_mm == 0.5
