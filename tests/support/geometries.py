"""Scan geometries of every kind, and descriptions that are refused, with what the refusal says."""

from __future__ import annotations

import math
from typing import Any

from operators import ScanGeometry, parallel_beam
from support.tomography import CONE, FULL_SCANS

EVERY_SCAN: dict[str, ScanGeometry] = {
    **FULL_SCANS,
    "cone": CONE,
    "slices": parallel_beam(5, 9, slices=True),
}

GOOD: dict[str, Any] = {"kind": "parallel", "detector_count": 10, "n_angles": 4}

# What is changed in `GOOD` (None: left out), and the message.
_CHANGES: list[tuple[dict[str, Any], str]] = [
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
]

BAD_GEOMETRIES: list[tuple[dict[str, Any], str]] = [
    ({key: value for key, value in {**GOOD, **change}.items() if value is not None}, message)
    for change, message in _CHANGES
]
