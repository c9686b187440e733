"""Picture files <-> float tensors (1, C, H, W) in [0, 1].

Read: PNG, JPEG, TIFF (integers up to 16 bit, float), WebP, BMP; recognised by content, whatever
the name. Written: the same, by suffix, in the depth, with the alpha and the ICC profile of the
picture that it came from. The stored orientation (EXIF) is applied on reading and not written
again. Colour values are taken as stored: no colour management.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from pnp_recon.errors import InputError, OutputError
from pnp_recon.files import PICTURE_SUFFIXES, atomic_write, check_target
from pnp_recon.pictures.decoding import decode, sniff
from pnp_recon.pictures.encoding import FORMATS, Format
from pnp_recon.pictures.samples import FormatError, JpegComponent

_EXPECTED = "PNG, JPEG, TIFF, WebP or BMP"

# Float files may hold unclipped noisy values, which leave [0, 1] a little; values far outside
# were scaled otherwise (0..255, counts), and to guess the scale would be to invent data.
_FLOAT_RANGE = (-1.0, 2.0)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as read, with what is needed to write its restored twin.

    Attributes:
        pixels: (1, C, H, W) float32, C = 1 (grey) or 3 (RGB), in [0, 1], upright. A float TIFF is
            not clipped: its values lie in [−1, 2].
        alpha: (1, 1, H, W) float32 in [0, 1], not multiplied into the colours, or None.
        icc_profile: the bytes of the embedded colour profile, or None.
        bit_depth: 8, 16, or 32 (float).
        mode: how the file stores its samples, in the reader's words ("RGB", "P", "RGB;16", ...).
        source: the file.
        sha256: the hash of the file's bytes, hexadecimal.
        jpeg: how a JPEG file quantises its components; nothing for other files.
    """

    pixels: Float[Tensor, "1 C H W"]
    alpha: Float[Tensor, "1 1 H W"] | None
    icc_profile: bytes | None
    bit_depth: int
    mode: str
    source: Path
    sha256: str
    jpeg: tuple[JpegComponent, ...] = ()


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Read one picture.

    Palettes and single bits are expanded, CMYK becomes RGB by R = (1 − C)(1 − K) without its
    profile, further frames of a camera JPEG and previews inside a TIFF are passed over.

    Raises:
        InputError: missing, not readable, not a picture, damaged, larger than 150 million pixels,
            of several pages, with channels other than grey or RGB (each with or without alpha),
            not finite, or float with values outside [−1, 2].
    """
    source = Path(path)
    data = _read_bytes(source)
    kind = sniff(data)
    if kind is None:
        raise InputError(f"{source} {_first_bytes(data)}; expected {_EXPECTED}, convert it first")
    try:
        decoded = decode(data, kind)
    except FormatError as error:
        raise InputError(f"{source} {error}") from error
    samples = torch.from_numpy(decoded.samples).permute(2, 0, 1)[None]
    if decoded.bit_depth == 32:
        _check_float(source, samples)
    colours = 1 if samples.shape[1] < 3 else 3
    alpha = samples[:, colours:].clamp(0, 1).contiguous() if samples.shape[1] > colours else None
    return Picture(
        pixels=samples[:, :colours].contiguous(),
        alpha=alpha,
        icc_profile=decoded.icc_profile,
        bit_depth=decoded.bit_depth,
        mode=decoded.mode,
        source=source,
        sha256=hashlib.sha256(data).hexdigest(),
        jpeg=decoded.jpeg,
    )


def _read_bytes(source: Path) -> bytes:
    try:
        data = source.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{source} does not exist; expected a picture file") from error
    except IsADirectoryError as error:
        raise InputError(f"{source} is a folder; expected a picture file") from error
    except PermissionError as error:
        raise InputError(
            f"{source} may not be read (permission denied); change its permissions or copy it"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{source} cannot be read ({reason}); expected a picture file") from error
    if not data:
        raise InputError(f"{source} is empty; expected {_EXPECTED}, copy or export it again")
    return data


def _first_bytes(data: bytes) -> str:
    start = data[:16]
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start):
        text = " ".join(start.decode("ascii").split())
        return f"is not a picture (it starts with the text {text!r})"
    return f"is not a picture of a known kind (it starts with the bytes {start[:8].hex(' ')})"


def _check_float(source: Path, samples: Tensor) -> None:
    bad = int((~torch.isfinite(samples)).sum())
    if bad:
        raise InputError(
            f"{source} holds {bad} values that are not finite (NaN or infinity); expected numbers "
            "in [0, 1], replace them first"
        )
    low, high = float(samples.min()), float(samples.max())
    if low < _FLOAT_RANGE[0] or high > _FLOAT_RANGE[1]:
        raise InputError(
            f"{source} holds float values from {low:.6g} to {high:.6g}; expected [0, 1], divide "
            "them by their largest possible value first"
        )


def write_picture(
    path: str | os.PathLike[str],
    pixels: Float[Tensor, "1 C H W"],
    like: Picture | None = None,
    overwrite: bool = False,
    quality: int = 95,
) -> list[str]:
    """Write a picture whole or not at all, in the form of `like`.

    Integer formats round clipped values to the nearest step; float TIFF keeps them as they are.
    PNG, TIFF, BMP and WebP at quality 100 keep every sample; WebP stores grey as equal RGB.

    Args:
        path: where to; the suffix chooses the format.
        pixels: (1, C, H, W), C = 1 or 3, [0, 1], any float type, any device.
        like: the picture it came from: gives bit depth, alpha and ICC profile. None: 8 bit, bare.
        overwrite: replace an existing file. The file of `like` itself is never replaced.
        quality: 1 to 100 for JPEG (no chroma subsampling) and WebP (100: lossless).

    Returns:
        what the format could not hold, one sentence each; empty if nothing was lost.

    Raises:
        OutputError: not written: unknown suffix, existing file, the input itself, missing folder,
            full disk and so on, or pixels that are not finite.
        InputError: `pixels` has another shape, or `quality` is outside its range.
    """
    if (
        pixels.ndim != 4
        or pixels.shape[0] != 1
        or pixels.shape[1] not in (1, 3)
        or not pixels.numel()
    ):
        raise InputError(
            f"pixels have shape {tuple(pixels.shape)}; expected (1, C, H, W) with C = 1 or 3"
        )
    if not 1 <= quality <= 100:
        raise InputError(f"quality is {quality}; expected 1 to 100")
    form = check_picture_target(path, like, overwrite)
    values = pixels.detach().to("cpu", torch.float64)
    if not torch.isfinite(values).all():
        raise OutputError(
            f"cannot write {path}: the picture holds values that are not finite (NaN or infinity)"
        )
    depth, alpha, icc, notes = _what_fits(form, values, like)
    if alpha is not None:
        values = torch.cat([values, alpha.to("cpu", torch.float64)], 1)
    samples = _quantised(values[0].permute(1, 2, 0).numpy(), depth)
    try:
        data = form.encode(samples, icc, quality)
    except FormatError as error:
        raise OutputError(f"cannot write {path}: {error}") from error
    except (OSError, ValueError) as error:  # an encoder's own limits, e.g. 65500 rows in a JPEG
        raise OutputError(
            f"cannot write {path}: {form.name} does not hold this picture ({error}); write a PNG "
            "or TIFF instead"
        ) from error
    atomic_write(path, data)
    return notes


def check_picture_target(
    path: str | os.PathLike[str], like: Picture | None = None, overwrite: bool = False
) -> Format:
    """Say now, before a long run, whether `write_picture` will accept `path`.

    Raises:
        OutputError: it will not, and why.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        found = f"ends in {suffix!r}" if suffix else "has no suffix"
        raise OutputError(
            f"cannot write {path}: it {found}; expected one of {', '.join(PICTURE_SUFFIXES)}"
        )
    check_target(path, overwrite=overwrite, inputs=[] if like is None else [like.source])
    return FORMATS[suffix]


def _what_fits(
    form: Format, values: Tensor, like: Picture | None
) -> tuple[int, Tensor | None, bytes | None, list[str]]:
    """Depth, alpha and ICC profile that the format takes from `like`, and what is lost."""
    if like is None:
        return 8, None, None, []
    notes = []
    depth, alpha, icc = like.bit_depth, like.alpha, like.icc_profile
    if depth not in form.depths:
        wanted = "float" if depth == 32 else f"{depth} bit"
        depth = max(form.depths)
        notes.append(f"{form.name} does not hold {wanted} samples: written with {depth} bit")
    if alpha is not None and not form.alpha:
        notes.append(f"{form.name} does not hold alpha: dropped, the colours are unchanged")
        alpha = None
    if alpha is not None and alpha.shape[-2:] != values.shape[-2:]:
        notes.append(
            f"alpha of {tuple(alpha.shape[-2:])} does not fit a picture of "
            f"{tuple(values.shape[-2:])} (height, width): dropped"
        )
        alpha = None
    if icc and not form.icc:
        notes.append(f"{form.name} does not hold an ICC profile: dropped")
        icc = None
    # Bytes 16 to 19 of a profile name its colour space (ICC.1:2022, 7.2.8). WebP holds RGB only.
    wrong = b"RGB " if values.shape[1] == 1 and form.name != "WebP" else b"GRAY"
    if icc and icc[16:20] in (wrong, b"CMYK"):
        notes.append(
            f"the ICC profile is for {icc[16:20].decode().strip()}, the picture is not: dropped"
        )
        icc = None
    return depth, alpha, icc, notes


def _quantised(values: NDArray[np.float64], depth: int) -> NDArray[Any]:
    if depth == 32:
        return values.astype(np.float32)
    largest = 2**depth - 1
    return np.rint(values.clip(0, 1) * largest).astype(np.uint8 if depth == 8 else np.uint16)
