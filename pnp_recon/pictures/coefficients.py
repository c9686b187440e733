"""The quantised coefficients and tables of a JPEG file, by a package of the extra `jpeg`.

pip install "pnp-recon[jpeg]"       # jpeglib (libjpeg)
"""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pnp_recon.errors import InputError
from pnp_recon.pictures.jpeg import with_end
from pnp_recon.pictures.sources import decode_file

_ORIENTATION = 0x0112


@dataclass(frozen=True, eq=False)
class Plane:
    """A component of the file.

    Attributes:
        values: (rows, columns, 8, 8) integers, indexed by vertical and horizontal frequency.
        table: (8, 8), the width of a cell in units of 1/255.
        factor: (vertical, horizontal) pixels of the picture to one of the plane.
    """

    values: NDArray[np.int16]
    table: NDArray[np.uint16]
    factor: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Coefficients:
    """What a file stores: Y, or Y, Cb and Cr; `size` is (height, width) before `orientation`."""

    planes: tuple[Plane, ...]
    size: tuple[int, int]
    orientation: int
    progressive: bool

    @property
    def words(self) -> str:
        """ "colour, chroma at half the size (4:2:0)" and the like."""
        if len(self.planes) == 1:
            return "grey"
        found = {(1, 1): "4:4:4", (1, 2): "4:2:2", (2, 2): "4:2:0", (2, 1): "4:4:0"}
        factor = self.planes[1].factor
        return f"colour, chroma {found.get(factor, f'{factor[1]}×{factor[0]} coarser')}"

    def part(self, rows: slice, columns: slice) -> Coefficients:
        """What a file of these pixels would store: they begin at whole blocks of every plane."""
        planes = []
        for plane in self.planes:
            blocks = [
                slice(pixels.start // (8 * factor), -(-pixels.stop // (8 * factor)))
                for pixels, factor in zip((rows, columns), plane.factor, strict=True)
            ]
            planes.append(replace(plane, values=plane.values[blocks[0], blocks[1]]))
        size = (rows.stop - rows.start, columns.stop - columns.start)
        return replace(self, planes=tuple(planes), size=size)


def read_coefficients(source: Path, data: bytes) -> Coefficients:
    """Read the coefficients; the file is decoded first, as libjpeg ends a program on bad data.

    Args:
        source: named in messages.
        data: the file.

    Raises:
        InputError: no JPEG file, a damaged one, one of other colours than grey or YCbCr, or the
            package is missing.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        raise InputError(
            f"{source} is no JPEG file; only a JPEG file says in which cells its coefficients lay, "
            "give the file as the camera or the web site wrote it"
        )
    decode_file(source, data)
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        orientation, mode = int(image.getexif().get(_ORIENTATION, 1)), image.mode
    if mode not in ("L", "RGB"):
        raise InputError(
            f"{source} is a JPEG file of {mode} colours; expected grey or YCbCr, convert it to "
            "RGB, and write that as JPEG only with the highest quality"
        )
    return _read(source, with_end(data)[0], orientation)


def _read(source: Path, data: bytes, orientation: int) -> Coefficients:
    package = _package(source)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        path.write_bytes(data)
        found = package.read_dct(str(path))
        planes = [found.Y] if found.num_components == 1 else [found.Y, found.Cb, found.Cr]
        planes = [np.array(plane) for plane in planes]
        tables, numbers = np.array(found.qt), list(found.quant_tbl_no)
    space = str(found.jpeg_color_space)
    if not any(name in space for name in ("GRAYSCALE", "YCbCr")):
        raise InputError(
            f"{source} stores its colours as {space.rpartition('_')[2]}; expected grey or YCbCr"
        )
    samples = [(int(v), int(h)) for v, h in np.array(found.samp_factor)]
    if len(planes) == 1:
        samples = [(1, 1)]  # a factor of a single component means nothing
    most = tuple(max(sample[k] for sample in samples) for k in (0, 1))
    if any(most[k] % sample[k] for sample in samples for k in (0, 1)):
        raise InputError(
            f"{source} has components sampled {samples}, which are no whole fractions of "
            "each other; decode it with another tool"
        )
    return Coefficients(
        tuple(
            Plane(plane, tables[number], (most[0] // sample[0], most[1] // sample[1]))
            for plane, number, sample in zip(planes, numbers, samples, strict=True)
        ),
        (int(found.height), int(found.width)),
        orientation,
        bool(found.progressive_mode),
    )


def _package(source: Path) -> Any:
    try:
        return import_module("jpeglib")
    except ImportError:
        raise InputError(
            f"the coefficients of {source} are read with the package jpeglib; install it with "
            'pip install "pnp-recon[jpeg]"'
        ) from None
