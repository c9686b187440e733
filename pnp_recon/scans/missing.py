"""Values that a detector did not measure: NaN, infinity, and the marks of photon counters.

A dead pixel or a gap between modules is written as NaN, or as a number that no count can be: −1
and −2, where nothing is lower, or the largest of 32 bits. Few of them are filled from their
neighbours for whoever cannot leave a ray out, and have no weight; where there are many, the array
is not what it is taken for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pnp_recon.errors import InputError

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

# More of a slice than this is no matter of a few dead pixels and gaps.
MOST_MISSING = 0.1
_MARKS = (-1.0, -2.0)
_LARGEST = np.iinfo(np.uint32).max


def marked(values: Array, stored: np.dtype[Any]) -> Array:
    """NaN where `values`, whole numbers as they were `stored`, say that nothing was counted."""
    if stored.kind == "i":
        # Beside lower numbers they are what a subtracted dark field left, and no marks.
        marks = values.size > 0 and values.min() >= min(_MARKS)
        absent = np.isin(values, _MARKS) if marks else np.zeros(values.shape, bool)
    elif stored == np.uint32:
        absent = values >= np.float32(_LARGEST)
    else:
        return values
    return np.where(absent, np.float32(np.nan), values) if absent.any() else values


def without_gaps(
    data: Array, flat: Array | None, dark: Array | None, what: str
) -> tuple[Array, Array | None, Array | None, Mask | None]:
    """Projections (slices, angles, detectors), flat and dark fields (fields, slices, detectors)
    with what is missing filled, and where the projections had gaps; None: nowhere.

    Raises:
        InputError: more than a tenth of a slice is missing.
    """
    unseen = np.zeros((data.shape[0], data.shape[2]), bool)
    if flat is not None:
        flat, blind = _filled_fields(flat, f"{what}, its flat fields")
        unseen |= blind
    if dark is not None:
        dark, blind = _filled_fields(dark, f"{what}, its dark fields")
        unseen |= blind
    data, missing = _filled(data, unseen, what)
    return data, flat, dark, missing


def gaps_in_words(missing: Tensor | None) -> tuple[str, ...]:
    """A sentence about what `without_gaps` filled, if there is anything."""
    if missing is None or not bool(missing.any()):
        return ()
    return (
        f"{int(missing.sum())} of {missing.numel()} values are missing (not finite, or marked by "
        "the detector): they have no weight, and filtered back-projection fills them from those "
        "beside",
    )


def _filled_fields(fields: Array, what: str) -> tuple[Array, Mask]:
    """Fields without gaps, and the pixels (slices, detectors) that no field saw: in the others a
    gap is the median of the fields that saw it."""
    absent: Mask = ~np.isfinite(fields)
    if not absent.any():
        return fields, np.zeros(fields.shape[1:], bool)
    unseen: Mask = np.asarray(absent.all(0))
    _refuse_many(unseen[:, None], what)
    known = np.where(absent, np.nan, fields)
    known[:, unseen] = 0
    out = np.where(absent, np.nanmedian(known, 0), fields)
    return _along(out.transpose(1, 0, 2), unseen[:, None]).transpose(1, 0, 2), unseen


def _filled(data: Array, unseen: Mask, what: str) -> tuple[Array, Mask | None]:
    """Projections without gaps, and where these were; `unseen` pixels (slices, detectors) are gaps.

    A gap is filled along the detector, linearly; a view of which half is missing, from the views
    before and after it.
    """
    absent = ~np.isfinite(data) | unseen[:, None]
    if not absent.any():
        return data, None
    _refuse_many(absent, what)
    return _along(data, absent), absent


def _refuse_many(absent: Mask, what: str) -> None:
    share = absent.reshape(len(absent), -1).mean(1)
    worst = int(share.argmax())
    if share[worst] > MOST_MISSING:
        raise InputError(
            f"{what}: {share[worst]:.0%} of a slice are missing (not finite, or marked by the "
            f"detector), {absent.sum()} values of {absent.size} in all; at most "
            f"{MOST_MISSING:.0%} are taken for dead pixels: repair or mask them first"
        )


def _along(data: Array, absent: Mask) -> Array:
    out = data.copy()
    absent = np.broadcast_to(absent, data.shape)
    places = np.arange(data.shape[2])
    lost = absent.mean(2) > 0.5
    for one, view in np.argwhere(absent.any(2) & ~lost):
        gap = absent[one, view]
        out[one, view, gap] = np.interp(places[gap], places[~gap], data[one, view, ~gap])
    for one in np.flatnonzero(lost.any(1)):
        good = np.flatnonzero(~lost[one])
        for view in np.flatnonzero(lost[one]):
            after = int(np.searchsorted(good, view))
            sides = good[max(after - 1, 0)], good[min(after, len(good) - 1)]
            out[one, view] = out[one, sides, :].mean(0)
    return out
