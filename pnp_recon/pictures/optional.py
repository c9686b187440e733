"""HEIC pictures and raw files of cameras, by packages that are no part of a plain installation.

    pip install "pnp-recon[photo]"      # rawpy (LibRaw) and pillow-heif (libheif)

Without them the message names the extra. Internal to `pnp_recon.pictures`.
"""

from __future__ import annotations

import io
from importlib import import_module
from typing import Any

from PIL import Image

from pnp_recon.pictures.samples import Decoded, FormatError, check_size

# Fujifilm; Olympus; Panasonic; Canon (the second and the third generation); Sigma; Minolta.
_RAW_STARTS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")


def raw_signature(data: bytes) -> bool:
    """Whether the first bytes are those of a camera raw file that is no TIFF file."""
    canon = data[8:10] == b"CR" and data[:4] == b"II*\0"
    return canon or data[4:12] == b"ftypcrx " or data.startswith(_RAW_STARTS)


def decode_raw(data: bytes) -> Decoded:
    """Developed plainly, upright: the camera's white balance, no brightening, sRGB, 16 bit."""
    rawpy = _package("rawpy", "is a camera raw file, which needs the package rawpy")
    with rawpy.imread(io.BytesIO(data)) as raw:
        check_size(raw.sizes.width, raw.sizes.height)
        values = raw.postprocess(
            use_camera_wb=True, no_auto_bright=True, gamma=(2.4, 12.92), output_bps=16
        )
    return Decoded(values, 65535, 16, "raw")


def open_heif(stream: io.BytesIO) -> Image.Image:
    """The first picture of the file, upright, with an EXIF orientation that says so."""
    package = _package("pillow_heif", "is a HEIC picture, which needs the package pillow-heif")
    image: Image.Image = package.open_heif(stream, convert_hdr_to_8bit=True).to_pillow()
    return image


def _package(name: str, words: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise FormatError(
            f'{words}; install it with pip install "pnp-recon[photo]", or export the picture as '
            "TIFF or PNG"
        ) from None
