"""Scan geometries: what they accept, what files say, where ODL puts source and detector."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
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
    read_geometry,
    write_geometry,
)
from support.tomography import CONE, FULL_SCANS

EVERY_SCAN = {**FULL_SCANS, "cone": CONE, "slices": parallel_beam(5, 9, slices=True)}
GOOD: dict[str, Any] = {"kind": "parallel", "detector_count": 10, "n_angles": 4}


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
@pytest.mark.parametrize("label", EVERY_SCAN)
def test_a_file_gives_the_geometry_back(label: str, suffix: str, tmp_path: Path) -> None:
    scan = EVERY_SCAN[label]
    write_geometry(scan, tmp_path / f"scan{suffix}")
    again = read_geometry(tmp_path / f"scan{suffix}")
    assert again == scan
    assert hash(again) == hash(scan)
    assert ScanGeometry.from_dict(json.loads(json.dumps(scan.to_dict()))) == scan


def test_angles_may_be_given_in_three_ways(tmp_path: Path) -> None:
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
    (tmp_path / "scan.yml").write_text("kind: parallel\ndetector_count: 10\nn_angles: 4\n")
    assert read_geometry(tmp_path / "scan.yml").angles == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "helix"}, "kind is 'helix'; choose one of parallel"),
        ({"detector_count": 0}, "detector_count is 0; expected a finite number >= 1"),
        ({"detector_count": 10.5}, "detector_count is 10.5; expected a whole number"),
        ({"detector_count": "many"}, "detector_count is 'many'"),
        ({"detector_count": True}, "detector_count is True"),
        ({"detector_mm": 0}, "detector_mm is 0; expected a finite number > 0"),
        ({"pixel_mm": -1}, "pixel_mm is -1"),
        ({"pixel_mm": math.inf}, "pixel_mm is inf"),
        ({"axis_offset": math.nan}, "axis_offset is nan; expected a finite number"),
        ({"n_angles": -3}, "n_angles is -3"),
        ({"span_deg": math.nan}, "span_deg is nan"),
        ({"n_angles": None, "angles": [0.0, math.nan]}, r"angles\[1\] is nan; expected a finite"),
        ({"n_angles": None, "angles_deg": [math.inf]}, r"angles_deg\[0\] is inf"),
        ({"n_angles": None, "angles": []}, "angles is empty"),
        ({"n_angles": None, "angles": "0 1 2"}, "angles is '0 1 2'; expected a list"),
        ({"n_angles": None, "angles": 3.0}, "angles is 3.0; expected a list"),
        ({"n_angles": None}, "needs one of angles, angles_deg, n_angles; found none"),
        ({"angles": [0.0]}, "found angles and n_angles"),
        ({"n_angles": None, "angles": [0.0], "span_deg": 90}, "span_deg goes with n_angles"),
        ({"detektor": 1}, "unknown key 'detektor' .* expected kind, angles"),
        ({"kind": None}, "lacks the key 'kind'"),
        ({"detector_count": None}, "lacks the key 'detector_count'"),
        ({"source_radius": 5.0}, "source_radius is given, but a parallel scan has none"),
        ({"kind": "fan_flat"}, "source_radius is None; expected a finite number > 0"),
        ({"kind": "fan_curved", "source_radius": 5, "detector_radius": -1}, "detector_radius"),
        ({"kind": "cone", "source_radius": 5, "detector_radius": 1}, "detector_rows is None"),
    ],
)
def test_bad_geometries_name_the_key(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    values = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(OperatorError, match=message):
        ScanGeometry.from_dict(values)
    path = tmp_path / "scan.json"
    path.write_text(json.dumps(values))  # NaN and Infinity too, as Python writes them
    with pytest.raises(OperatorError, match=f"scan.json: .*{message}"):
        read_geometry(path)


def test_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    for name, content, message in (
        ("a.json", b"{", "neither JSON nor YAML"),
        ("a.yaml", b"kind: [", "neither JSON nor YAML"),
        ("b.yaml", b"- 1\n- 2\n", "a list; expected keys"),
        ("c.yaml", b"!!python/object/apply:os.getcwd []", "neither JSON nor YAML"),
        ("d.yaml", b"\xff\xfe\x00\x01", "cannot be read as text"),
        ("e.yaml", b"", "NoneType; expected keys"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(OperatorError, match=message):
            read_geometry(tmp_path / name)
    with pytest.raises(OperatorError, match="cannot be read"):
        read_geometry(tmp_path / "missing.yaml")


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
