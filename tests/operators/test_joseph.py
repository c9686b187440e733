"""Coefficients of parallel beams against ASTRA's own, and matrices without float64 copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from operators import RayTransform, ScanGeometry, parallel_beam
from operators._joseph import parallel_coefficients
from operators._memory import coefficient_count

pytest.importorskip("astra")

# ASTRA computes positions in float32.
ROUNDING = 5e-5
SHAPE = (20, 24)
SCANS = {
    "plain": parallel_beam(7, SHAPE, pixel_mm=0.7),
    "axis and pitch": replace(parallel_beam(8, SHAPE), axis_offset=0.3, detector_mm=1.1),
    "short detector": replace(parallel_beam(4, SHAPE), detector_count=9),
    "order and repeats": replace(parallel_beam(4, SHAPE), angles=(4.0, 0.3, -2.0, 0.3)),
}


def _difference(geometry: ScanGeometry, other: ScanGeometry) -> float:
    from operators._odl import coefficients

    theirs = coefficients(geometry, SHAPE).toarray()
    ours = parallel_coefficients(other, SHAPE).toarray()
    return float(np.abs(theirs - ours).max() / np.abs(theirs).max())


@pytest.mark.parametrize("name", SCANS)
def test_coefficients_are_those_of_astra(name: str) -> None:
    assert _difference(SCANS[name], SCANS[name]) < ROUNDING


def test_another_axis_is_caught() -> None:
    scan = SCANS["plain"]
    assert _difference(scan, replace(scan, axis_offset=0.01)) > 10 * ROUNDING


def test_a_lean_matrix_gives_the_same_products_in_float64() -> None:
    scan = SCANS["axis and pitch"]
    full = RayTransform(scan, (1, *SHAPE), storage="matrix")
    lean = RayTransform(
        scan, (1, *SHAPE), storage="matrix", memory_budget=20 * coefficient_count(scan, SHAPE)
    )
    assert (full.certificate_dtype, lean.certificate_dtype) == (torch.float64, torch.float32)
    assert lean.memory_bytes < full.memory_bytes
    x = torch.rand(2, 1, *SHAPE, dtype=torch.float64)
    y = full.A(x)
    assert y.dtype == torch.float64
    torch.testing.assert_close(lean.A(x), y, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(lean.A_adjoint(y), full.A_adjoint(y), rtol=1e-13, atol=1e-12)
    # Its bound is computed in float32, and lies above the attained norm all the same.
    assert full.norm_certificate.lower <= lean.norm_bound <= full.norm_bound * 1.001


def test_rows_in_several_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators._projectors.ROWS_AT_ONCE", 7)
    test_a_lean_matrix_gives_the_same_products_in_float64()
