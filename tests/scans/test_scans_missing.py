"""Pixels that measured nothing: few are filled and carry no weight, many are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pnp_recon.cli.ct.defects import mended
from pnp_recon.cli.ct.options import CtOptions
from pnp_recon.errors import InputError
from pnp_recon.scans import Scan, read_scan, to_line_integrals
from pnp_recon.scans.missing import MOST_MISSING, gaps_in_words, marked, without_gaps
from support.ct_files import SIZE, VIEWS, lines
from support.scans import half_turn, write_exchange

DEGREES = np.rad2deg(half_turn(VIEWS).numpy())
PHOTONS = 20000.0
COUNTS = (PHOTONS * np.exp(-lines(2))).astype(np.float32).transpose(1, 0, 2)


def scan_of(path: Path, data: np.ndarray, flat: np.ndarray | None = None) -> Scan:
    white = np.full((3, 2, SIZE), PHOTONS) if flat is None else flat
    return read_scan(write_exchange(path, data=data, data_white=white, theta=DEGREES))


def absent(scan: Scan) -> set[tuple[int, ...]]:
    return set() if scan.missing is None else set(map(tuple, scan.missing.nonzero().tolist()))


def test_all_there_is_nothing_to_say(tmp_path: Path) -> None:
    scan = scan_of(tmp_path / "a.h5", COUNTS)
    assert scan.missing is None
    assert gaps_in_words(scan.missing) == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_few_gaps_are_filled_and_have_no_weight(tmp_path: Path, value: float) -> None:
    data = COUNTS.copy()
    data[3, 1, 30] = value
    scan = scan_of(tmp_path / "a.h5", data)
    assert absent(scan) == {(1, 3, 30)}
    assert gaps_in_words(scan.missing)[0].startswith(f"1 of {data.size} values")
    assert float(scan.data[1, 3, 30]) == pytest.approx(float(COUNTS[3, 1, [29, 31]].mean()))
    options = CtOptions(["scan.h5"])
    found = mended(to_line_integrals(scan), options)
    assert found.weights is not None
    assert found.mask is not None
    assert (float(found.weights[1, 3, 30]), float(found.mask[1, 3, 30])) == (0, 0)
    assert found.numbers["missing_values"] == 1
    # The twin: a value that is merely wrong keeps its weight.
    data[3, 1, 30] = COUNTS[3, 1, 30] * 1.001
    wrong = mended(to_line_integrals(scan_of(tmp_path / "b.h5", data)), options)
    assert wrong.weights is not None
    assert float(wrong.weights[1, 3, 30]) > 0


@pytest.mark.parametrize(
    ("kind", "marks", "number"),
    [("i4", [-1, -2], 2), ("u4", [2**32 - 1], 1), ("u2", [2**16 - 1], 0)],
)
def test_marks_of_photon_counters(tmp_path: Path, kind: str, marks: list[int], number: int) -> None:
    """The last: a 16-bit detector at its end is saturated, which is no mark."""
    data = COUNTS.astype(kind)
    for place, mark in enumerate(marks):
        data[:, 0, 20 + place] = mark
    scan = scan_of(tmp_path / "a.h5", data)
    assert absent(scan) == {(0, view, 20 + p) for view in range(VIEWS) for p in range(number)}


def test_a_negative_count_is_no_mark(tmp_path: Path) -> None:
    data = COUNTS.astype("i4")
    data[5, 0, 20] = -3
    with pytest.raises(InputError, match=r"1 values of .* negative"):
        scan_of(tmp_path / "a.h5", data)


def test_what_a_subtracted_dark_field_left_is_no_mark() -> None:
    """Numbers about zero of a detector without light: the marks would be a quarter of them."""
    draws = np.random.default_rng(0)
    values = draws.normal(0, 3, (20, 30)).round().astype(np.float32)
    assert values.min() < -2
    assert np.isin(values, [-1, -2]).mean() > MOST_MISSING
    assert np.isfinite(marked(values, np.dtype("i2"))).all()
    twin = values.clip(-2)  # nothing is lower: marks
    assert np.isnan(marked(twin, np.dtype("i2"))).any()


def test_many_gaps_are_refused(tmp_path: Path) -> None:
    for share, fine in ((0.8 * MOST_MISSING, True), (1.5 * MOST_MISSING, False)):
        data = COUNTS.copy()
        data[: round(share * VIEWS), 1] = np.nan
        if fine:
            assert absent(scan_of(tmp_path / "a.h5", data))
            continue
        with pytest.raises(InputError, match="of a slice are missing"):
            scan_of(tmp_path / "a.h5", data)


def test_a_lost_view_is_taken_from_those_beside() -> None:
    data = np.arange(20, dtype=np.float32)[None, :, None] ** 2 * np.ones((1, 20, 40), np.float32)
    data[0, 7, 3:] = np.nan
    found, _, _, missing = without_gaps(data, None, None, "it")
    assert missing is not None
    assert found[0, 7].tolist() == [(36 + 64) / 2] * 40


def test_gaps_of_fields(tmp_path: Path) -> None:
    """A pixel that one field saw is seen; one that none saw is missing in every view."""
    flat = np.full((3, 2, SIZE), PHOTONS)
    flat[0, 0, 12] = np.nan
    scan = scan_of(tmp_path / "a.h5", COUNTS, flat)
    assert scan.missing is None
    assert scan.flat is not None
    assert float(scan.flat[0, 0, 12]) == PHOTONS
    flat[:, 0, 12] = np.nan
    scan = scan_of(tmp_path / "a.h5", COUNTS, flat)
    assert absent(scan) == {(0, view, 12) for view in range(VIEWS)}
    assert torch.isfinite(to_line_integrals(scan).scan.data).all()


def test_a_slice_without_light_is_said(tmp_path: Path) -> None:
    data = COUNTS.copy()
    assert to_line_integrals(scan_of(tmp_path / "a.h5", data)).doubts == ()
    data[:, 1] = 0
    (doubt,) = to_line_integrals(scan_of(tmp_path / "a.h5", data)).doubts
    assert "1 of 2 slices" in doubt
