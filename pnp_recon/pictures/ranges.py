"""Which stored numbers are 0 and 1: 12 bit in 16, counts, dark data, numbers with a sign.

A solver works on [0, 1]. A camera of 12 bit leaves 15/16 of that empty in a file of 16 bit: every
constant that is meant for pictures, the noise level first, would be off by 16. So a measurement is
solved in its own range and written back in it. Internal to `pnp_recon.pictures`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnp_recon.errors import InputError
from pnp_recon.pictures.samples import Decoded

# The depths that sensors and converters have; 8 bit in 16 is common as well.
_DEPTHS = (8, 10, 12, 14, 16, 20, 24, 32)
# Floats may hold unclipped noisy values, which leave [0, 1] a little.
FLOAT_RANGE = (-1.0, 2.0)
# Below this a float picture uses so little of [0, 1] that it was scaled by something else.
_DARK = 1 / 16
# Numbers from here on are taken for integers of a known depth that were converted to float.
_INTEGER_LIKE = 64
# Negative values up to this share of the largest are noise about zero, not a range with a sign.
_NOISE = 0.05


@dataclass(frozen=True)
class ValueRange:
    """`low` is shown as 0 and `high` as 1; `dtype` is that of the file ("uint16")."""

    low: float
    high: float
    dtype: str

    @property
    def words(self) -> str:
        return f"{self.low:g} to {self.high:g} ({self.dtype})"


def full_range(decoded: Decoded) -> ValueRange | None:
    """What the depth of the file can hold; None where nobody uses that: a sign, 32 bit."""
    dtype = decoded.values.dtype
    if dtype.kind == "i" or (dtype.kind == "u" and decoded.bit_depth == 32):
        return None
    return ValueRange(0.0, float(decoded.largest), dtype.name)


def own_range(seen: NDArray[Any], decoded: Decoded) -> ValueRange:
    """The range that the numbers `seen` of a picture lie in.

    8 bit: all of it. Integers above: up to the smallest usual depth (8, 10, 12, 14, 16, …) that
    holds them. Floats: [0, 1] where they fit, else up to such a depth or to the largest value.
    It begins at zero, or at the least number where that is clearly below.

    Raises:
        InputError: there is nothing to see.
    """
    if not seen.size:
        raise InputError("holds no known number")
    least, most, name = float(seen.min()), float(seen.max()), seen.dtype.name
    if seen.dtype.kind == "f":
        if FLOAT_RANGE[0] <= least and (_DARK <= most <= FLOAT_RANGE[1] or most == least == 0):
            return ValueRange(0.0, 1.0, name)
        high = depth_of(most) if most >= _INTEGER_LIKE else most
    elif decoded.largest <= 255 and seen.dtype.kind == "u":
        return ValueRange(0.0, float(decoded.largest), name)
    else:
        high = depth_of(most)
    low = least if least < -_NOISE * max(high, 0.0) else 0.0
    return ValueRange(low, high if high > low else low + 1, name)


def depth_of(most: float) -> float:
    """The largest number of the smallest usual depth that holds `most`."""
    return next((2.0**bits - 1 for bits in _DEPTHS if most < 2**bits), most)


def stored(values: NDArray[np.float64], depth: int, scale: ValueRange | None) -> NDArray[Any]:
    """Values in [0, 1] as the numbers that are written: rounded, floats as they are."""
    if scale is None and depth == 32:
        return values.astype(np.float32)
    dtype = np.dtype(scale.dtype if scale else np.uint8 if depth == 8 else np.uint16)
    low, high = (scale.low, scale.high) if scale else (0.0, 2.0**depth - 1)
    if dtype.kind == "f":
        return (low + values * (high - low)).astype(np.float32)
    return np.rint(low + values.clip(0, 1) * (high - low)).astype(dtype)
