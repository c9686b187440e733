"""Picture files <-> float tensors (1, C, H, W) in [0, 1].

Read: PNG, JPEG, TIFF (integers up to 32 bit, float), WebP, BMP, GIF, and with an extra HEIC and
raw files of cameras; recognised by content, whatever the name. Written: PNG, JPEG, TIFF, WebP and
BMP, by suffix, in the depth and range of numbers, with the alpha, the ICC profile, the resolution
and the EXIF notes of the picture that it came from. The stored orientation (EXIF) is applied on
reading and not written again. Colour values are taken as stored: no colour management.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from pnp_recon.errors import InputError, OutputError
from pnp_recon.files import atomic_write, check_target
from pnp_recon.pictures.encoding import FORMATS, Format, Keepsakes
from pnp_recon.pictures.gaps import hidden_by, refuse_gaps
from pnp_recon.pictures.ranges import FLOAT_RANGE, ValueRange, full_range, own_range, stored
from pnp_recon.pictures.samples import FormatError, JpegComponent, Samples, scaled
from pnp_recon.pictures.sources import decode_file, read_bytes


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as read, with what is needed to write its restored twin.

    Attributes:
        pixels: (1, C, H, W) float32, C = 1 (grey) or 3 (RGB), in [0, 1], upright. A float TIFF is
            not clipped: its values lie in [−1, 2].
        alpha: (1, 1, H, W) float32 in [0, 1], not multiplied into the colours, or None.
        icc_profile: the bytes of the embedded colour profile, or None.
        bit_depth: 8, 16, or 32 (float, or integers of 32 bit).
        mode: how the file stores its samples, in the reader's words ("RGB", "P", "RGB;16", ...).
        source: the file.
        sha256: the hash of the file's bytes, hexadecimal.
        value_range: the stored numbers that 0 and 1 stand for, where they are not the least and
            the largest that the depth can hold (0 and 1 of a float file).
        exif: what the camera noted, without orientation and thumbnail, or None.
        dpi: pixels per inch (x, y), or None.
        notes: what must not be overlooked, a sentence each.
        jpeg: how a JPEG file quantises its components; nothing for other files.
        lossy: the format that lost something nobody can tell ("WebP", "HEIC"); may be empty.
    """

    pixels: Float[Tensor, "1 C H W"]
    alpha: Float[Tensor, "1 1 H W"] | None
    icc_profile: bytes | None
    bit_depth: int
    mode: str
    source: Path
    sha256: str
    value_range: ValueRange | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    jpeg: tuple[JpegComponent, ...] = ()
    lossy: str = ""


def read_picture(
    path: str | os.PathLike[str],
    *,
    measured: bool = False,
    like: Picture | None = None,
    known: Bool[Tensor, "#C H W"] | None = None,
) -> Picture:
    """Read one picture.

    Palettes and single bits are expanded, CMYK becomes RGB by R = (1 − C)(1 − K) without its
    profile, with a note; further frames of a camera JPEG and previews inside a TIFF are passed
    over. A JPEG that lacks nothing but its end marker is read, with a note.

    Args:
        path: the file.
        measured: 0 and 1 are the ends of the data's own range, see `ranges.own_range`: of 12 bit in
            16, of counts. Otherwise they are what the file's depth can hold, and numbers of another
            scale are refused. Integers with a sign or of 32 bit always have their own range.
        like: take the range of this picture where the file stores numbers of the same type: for
            a picture that is compared with it.
        known: False where the picture is missing. What stands there is not looked at, be it NaN or
            a number for "no data", and becomes 0.

    Raises:
        InputError: missing, not readable, not a picture, damaged, larger than 150 million pixels,
            of several pages, with channels other than grey or RGB (each with or without alpha),
            without data or not finite where it is known, float with values outside [−1, 2] unless
            it is `measured`, or of another size than `known`.
    """
    source = Path(path)
    data = read_bytes(source)
    decoded = decode_file(source, data)
    numbers = decoded.values[..., : decoded.colours]
    hidden = np.zeros((1, 1, 1), bool) if known is None else hidden_by(known, numbers, source)
    hidden = np.broadcast_to(hidden, numbers.shape)
    seen = numbers if known is None else numbers[~hidden]
    gaps = None if decoded.missing is None else decoded.missing[..., : decoded.colours] & ~hidden
    refuse_gaps(source, seen, gaps, known is not None)
    full = full_range(decoded)
    scale = own_range(seen, decoded) if measured or full is None else full
    given = None if like is None else like.value_range
    if given is not None and given.dtype == scale.dtype:
        scale = given
    samples = scaled(numbers, scale.high, scale.low)
    samples[hidden] = 0
    if scale == full and decoded.bit_depth == 32:
        _check_range(source, samples)
    alpha = decoded.values[..., decoded.colours :]
    return Picture(
        pixels=_tensor(samples),
        alpha=_tensor(scaled(alpha, decoded.largest)).clamp(0, 1) if alpha.shape[-1] else None,
        icc_profile=decoded.icc_profile,
        bit_depth=decoded.bit_depth,
        mode=decoded.mode,
        source=source,
        sha256=hashlib.sha256(data).hexdigest(),
        value_range=None if scale == full else scale,
        exif=decoded.exif,
        dpi=decoded.dpi,
        notes=tuple(f"{source} {note}" for note in decoded.notes),
        jpeg=decoded.jpeg,
        lossy=decoded.lossy,
    )


def _tensor(samples: Samples) -> Tensor:
    """(H, W, C) -> (1, C, H, W)."""
    return torch.from_numpy(samples).permute(2, 0, 1)[None].contiguous()


def _check_range(source: Path, samples: Samples) -> None:
    low, high = float(samples.min()), float(samples.max())
    if low < FLOAT_RANGE[0] or high > FLOAT_RANGE[1]:
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
    fits, notes = _what_fits(form, values, like)
    samples = stored(_array(values), fits.depth, fits.scale)
    if fits.alpha is not None:
        opaque = replace(fits.scale, low=0, high=fits.opaque) if fits.scale else None
        alpha = stored(_array(fits.alpha.double()), fits.depth, opaque)
        samples = np.concatenate([samples, alpha], -1)
    try:
        data = form.encode(samples, fits.kept, quality)
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
        raise OutputError(f"cannot write {path}: it {found}; expected one of {', '.join(FORMATS)}")
    check_target(path, overwrite=overwrite, inputs=[] if like is None else [like.source])
    return FORMATS[suffix]


@dataclass(frozen=True, eq=False)
class _Fitting:
    """What a format takes over from the picture that a result came from."""

    depth: int = 8
    scale: ValueRange | None = None
    alpha: Tensor | None = None
    kept: Keepsakes = field(default_factory=Keepsakes)

    @property
    def opaque(self) -> float:
        assert self.scale is not None
        kind = np.dtype(self.scale.dtype)
        return 1.0 if kind.kind == "f" else float(np.iinfo(kind).max)


def _what_fits(form: Format, values: Tensor, like: Picture | None) -> tuple[_Fitting, list[str]]:
    """What the format takes from `like`, and what is lost."""
    if like is None:
        return _Fitting(), []
    notes = []
    depth, scale, alpha, icc = like.bit_depth, like.value_range, like.alpha, like.icc_profile
    if scale is not None and scale.dtype not in form.dtypes:
        notes.append(
            f"{form.name} does not hold {scale.dtype} numbers: {scale.words} was stretched"
        )
        scale = None
        depth = min(depth, max(form.depths))
    elif depth not in form.depths:
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
        space = icc[16:20].decode("ascii").strip()
        notes.append(f"the ICC profile is for {space}, the picture is not: dropped")
        icc = None
    exif = like.exif
    if exif and not form.exif:
        notes.append(f"{form.name} does not hold EXIF notes: dropped")
        exif = None
    return _Fitting(depth, scale, alpha, Keepsakes(icc, exif, like.dpi)), notes


def _array(values: Tensor) -> NDArray[np.float64]:
    """(1, C, H, W) -> (H, W, C)."""
    return values[0].permute(1, 2, 0).cpu().numpy()
