"""Coefficients of parallel beams against ASTRA's own, and matrices without float64 copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from operators import RayTransform, ScanGeometry, parallel_beam
from operators._joseph import parallel_coefficients
from operators._memory import coefficient_count
from operators._projectors import SQUARE, MatrixProjector, by_squares

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


@pytest.mark.parametrize("side", [(8, 12), (9, 14), (3, 5)])
@pytest.mark.parametrize("pictures", [1, 2, 3, 5, 9])
def test_squares_of_pixels_change_no_projection(side: tuple[int, int], pictures: int) -> None:
    scan = parallel_beam(7, side)
    known = parallel_coefficients(scan, side).astype(np.float64)
    order = by_squares(side)
    assert sorted(order) == list(range(side[0] * side[1]))
    projector = MatrixProjector(scan, side)
    x = torch.rand(pictures, *side, generator=torch.Generator().manual_seed(0)).double()
    found = projector.run(x, False).reshape(pictures, -1).T
    np.testing.assert_allclose(found, known @ x.reshape(pictures, -1).numpy().T, rtol=1e-12)
    y = projector.run(x, False)
    back = projector.run(y, True).reshape(pictures, -1).T
    np.testing.assert_allclose(back, known.T @ y.reshape(pictures, -1).numpy().T, rtol=1e-12)
    # What goes to an accelerator: the columns as they were, which are sorted.
    stored = projector._matrix(x.float(), False).col_indices()
    assert np.array_equal(order[stored], parallel_coefficients(scan, side).indices)
    # Twin: the pixels as they lie in the picture.
    projector._order = torch.arange(len(order))
    twin = projector.run(x, False).reshape(pictures, -1).T
    assert np.abs(twin.numpy() - known @ x.reshape(pictures, -1).numpy().T).max() > 0.1


def test_pixels_of_a_square_lie_side_by_side() -> None:
    order = by_squares((8, 12))
    rows, columns = np.divmod(order.reshape(-1, SQUARE**2), 12)
    assert (np.ptp(rows, axis=1) < SQUARE).all()
    assert (np.ptp(columns, axis=1) < SQUARE).all()
