"""What the decoders of all formats share: what a file holds, the limit of sizes, and its errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

# Above this a picture cannot be worked on anyway, and a few bytes can claim to hold one.
MAX_PIXELS = 150_000_000
_most = MAX_PIXELS


class FormatError(Exception):
    """What is wrong with the bytes, as half a sentence; `files` adds the name of the file."""


@dataclass(frozen=True)
class JpegComponent:
    """How a JPEG file stores one component (Y, Cb, Cr, or grey).

    Attributes:
        steps: the 64 quantisation steps of its DCT coefficients, row by row, from the constant
            one; as stored, before any EXIF orientation.
        sampling: vertical and horizontal sampling factor (ITU-T T.81, B.2.2).
    """

    steps: tuple[int, ...]
    sampling: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Decoded:
    """A picture as its file means it, in the numbers that the file holds.

    Attributes:
        values: (H, W, S) in the file's own dtype, S = 1, 2 (grey + alpha), 3 or 4 (RGB + alpha):
            upright once `decode` has returned it, palettes expanded, white larger than black.
        largest: the number of full white, and of full opacity.
        bit_depth: 8, 16 or 32, in which the picture is written again.
        mode: how the file stores its samples, in the reader's words.
        orientation: EXIF orientation still to be applied.
        missing: (H, W, S), True where the file says that there is no data; None where it does not.
        exif: what the camera noted, see `exif.kept`.
        dpi: pixels per inch (x, y).
        notes: what must not be overlooked, as half sentences like those of a `FormatError`.
        jpeg: the components of a JPEG file; nothing for other files.
        lossy: the format that lost something nobody can tell ("WebP", "HEIC"); may be empty.
    """

    values: NDArray[Any]
    largest: float
    bit_depth: int
    mode: str
    icc_profile: bytes | None = None
    orientation: int = 1
    missing: NDArray[np.bool_] | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    jpeg: tuple[JpegComponent, ...] = ()
    lossy: str = ""

    @property
    def colours(self) -> int:
        """1 (grey) or 3; what follows is alpha."""
        return 1 if self.values.shape[-1] < 3 else 3


def limit_pixels(most: int) -> None:
    """From now on this process reads no picture of more pixels, nor of more than `MAX_PIXELS`."""
    global _most
    _most = min(most, MAX_PIXELS)


def check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise FormatError(f"has no pixels ({width}×{height}); expected at least one")
    if width * height > _most:
        raise FormatError(
            f"claims to hold {width}×{height} pixels; at most {_most / 10**6:g} million are "
            "read, crop it or make it smaller"
        )


def check_frame(kind: str, count: int, frame: int | None) -> int:
    """The number of the picture that is meant, of so many in a file of this kind."""
    if frame is None and count > 1:
        raise FormatError(f"is {kind} of {count} pictures; pick one, counted from 0: 'FILE[0]'")
    if frame is not None and frame >= count:
        found = "one picture" if count == 1 else f"{count} pictures"
        raise FormatError(f"is {kind} of {found}; the number {frame} is not below {count}")
    return frame or 0


def scaled(values: NDArray[Any], high: float, low: float = 0.0) -> Samples:
    """Numbers low..high -> float32 in [0, 1], correctly rounded."""
    if low == 0:
        return (values / np.float64(high)).astype(np.float32)
    return ((values - np.float64(low)) / np.float64(high - low)).astype(np.float32)


# What the rule below means for who looks at the result, as half a sentence.
FROM_CMYK = (
    "is in CMYK; it was read as RGB by R = (1 − C)(1 − K) without its profile, so that colours may "
    "look different, and the result is in RGB; convert it with its profile first to keep them"
)


def without_black(cmyk: Samples) -> Samples:
    """CMYK (H, W, 4) -> RGB by R = (1 − C)(1 − K): the plain rule, no colour management."""
    return (1 - cmyk[..., :3]) * (1 - cmyk[..., 3:4])
