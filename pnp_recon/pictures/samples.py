"""What the decoders of all formats share: samples, the limit of sizes, and what an error says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

# Above this a picture cannot be worked on anyway, and a few bytes can claim to hold one.
MAX_PIXELS = 150_000_000


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


@dataclass(frozen=True)
class Decoded:
    """Samples (H, W, S) in [0, 1], S = 1, 2 (grey + alpha), 3 or 4 (RGB + alpha).

    `jpeg` holds the components of a JPEG file, and nothing for other files.
    """

    samples: Samples
    bit_depth: int
    mode: str
    icc_profile: bytes | None = None
    orientation: int = 1
    jpeg: tuple[JpegComponent, ...] = ()


def check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise FormatError(f"has no pixels ({width}×{height}); expected at least one")
    if width * height > MAX_PIXELS:
        raise FormatError(
            f"claims to hold {width}×{height} pixels; at most {MAX_PIXELS // 10**6} million are "
            "read, crop it or make it smaller"
        )


def scaled(values: NDArray[Any], largest: int) -> Samples:
    """Integers 0..largest -> float32 in [0, 1], correctly rounded."""
    return (values / np.float64(largest)).astype(np.float32)


def without_black(cmyk: Samples) -> Samples:
    """CMYK (H, W, 4) -> RGB by R = (1 − C)(1 − K): the plain rule, no colour management."""
    return (1 - cmyk[..., :3]) * (1 - cmyk[..., 3:4])
