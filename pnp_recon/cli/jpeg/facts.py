"""What a JPEG file says of its picture: an operator, cells, and the way back to pixels.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from operators.jpeg import SIDE, Component, JPEGCoefficients, colour_matrix
from pnp_recon.cli.run.region import Region
from pnp_recon.estimation.quantisation import quantisation_level
from pnp_recon.pictures.coefficients import Coefficients
from pnp_recon.pictures.decoding import orient
from pnp_recon.proximal.cells import Cells, outside

SHIFT = 128 / 255
# Cells are left by rounding unless the result stays this share of their width inside.
MARGIN = 1e-6
# Pixels around a region that are restored with it, besides what fills its blocks.
AROUND = 16


@dataclass(frozen=True, eq=False)
class FileFacts:
    """The cells of a file in float64.

    Attributes:
        file: what the file stores.
        A: from RGB (or grey) pictures to coefficients; `planes` from Y, Cb, Cr.
        middle, half: (1, N), centres of the cells and half their widths, [0, 1] scale; the level
            shift is in the centres.
        level: standard deviation of the decoder's error in a pixel, [0, 1] scale.
    """

    file: Coefficients
    A: JPEGCoefficients
    planes: JPEGCoefficients
    middle: Tensor
    half: Tensor
    level: float

    @property
    def count(self) -> int:
        return self.middle.numel()

    def start(self) -> Tensor:
        """The plain decoder's picture (1, C, H, W) before rounding."""
        planes = self.planes.A_adjoint(self.planes.areas(self.middle) * self.middle)
        return self._colours(planes).clamp(0, 1)

    def inside(self, image: Tensor) -> Tensor:
        """The picture with every coefficient in its cell, float64: `Cells` in Y, Cb, Cr."""
        half = (1 - MARGIN) * self.half
        cells = Cells(self.planes, self.middle - half, self.middle + half)
        wide = image.detach().cpu().double()
        return self._colours(cells.prox(self._planes(wide), 1.0)[0])

    def outside(self, image: Tensor) -> int:
        """How many coefficients of a picture (1, C, H, W) lie outside their cells, in float64."""
        v = self.A.A(image.detach().cpu().double())
        return int(outside(v, self.middle - self.half, self.middle + self.half).sum())

    def rounded(self, image: Tensor, depth: int) -> Tensor:
        """What a file of so many bits keeps of the picture; the padding is kept as it is."""
        most = 2**depth - 1
        height, width = self.file.size
        kept = image.clone()
        part = image[..., :height, :width].clamp(0, 1)
        kept[..., :height, :width] = (part * most).round() / most
        return kept

    def shown(self, image: Tensor) -> Tensor:
        """Without padding, upright."""
        height, width = self.file.size
        part = image[0, :, :height, :width].permute(1, 2, 0)
        turned = orient(part.detach().cpu().numpy(), self.file.orientation)
        back = torch.from_numpy(np.ascontiguousarray(turned)).permute(2, 0, 1)[None]
        return back.to(image)

    def part(self, region: Region) -> tuple[FileFacts, Region]:
        """The blocks of a region of the upright picture, with `AROUND` pixels around it.

        Returns:
            their facts, of the same level, and the region of the upright picture that they cover.
        """
        turn, size = self.file.orientation, self.file.size
        unit = [SIDE * max(plane.factor[k] for plane in self.file.planes) for k in (0, 1)]
        near = turned(region, size, turn).grown((AROUND, AROUND), size)
        top, left = (near.top // unit[0] * unit[0], near.left // unit[1] * unit[1])
        bottom = min(size[0], -(-(near.top + near.height) // unit[0]) * unit[0])
        right = min(size[1], -(-(near.left + near.width) // unit[1]) * unit[1])
        blocks = Region(left, top, right - left, bottom - top)
        upright = size if turn < 5 else (size[1], size[0])
        around = turned(blocks, upright, {6: 8, 8: 6}.get(turn, turn))
        few = file_facts(self.file.part(slice(top, bottom), slice(left, right)))
        return replace(few, level=self.level), around

    def _planes(self, image: Tensor) -> Tensor:
        if image.shape[1] == 1:
            return image
        return torch.einsum("pc,bchw->bphw", colour_matrix(), image)

    def _colours(self, planes: Tensor) -> Tensor:
        if planes.shape[1] == 1:
            return planes
        return torch.einsum("cp,bphw->bchw", torch.linalg.inv(colour_matrix()), planes)


def turned(region: Region, size: tuple[int, int], orientation: int) -> Region:
    """Where the pixels of a region lay before a picture of `size` was turned by `orient`."""
    ends = []
    for axis in (0, 1):
        index = np.arange(size[axis]).reshape((-1, 1) if axis == 0 else (1, -1))
        of_pixel = orient(np.broadcast_to(index, size), orientation)
        rows = [region.top, region.top + region.height - 1]
        columns = [region.left, region.left + region.width - 1]
        found = of_pixel[np.ix_(rows, columns)]
        ends.append((int(found.min()), int(found.max()) + 1))
    (top, bottom), (left, right) = ends
    return Region(left, top, right - left, bottom - top)


def file_facts(file: Coefficients) -> FileFacts:
    """The operator, the cells and the level of a file."""
    components = [Component(plane.values.shape[:2], plane.factor) for plane in file.planes]
    middles, halves = [], []
    for index, plane in enumerate(file.planes):
        width = plane.table.astype(np.float64) / 255
        middle = plane.values * width
        if index == 0:
            middle[..., 0, 0] += SIDE * SHIFT  # chroma has 128 as its zero
        middles.append(torch.from_numpy(middle.ravel()))
        halves.append(torch.from_numpy(np.broadcast_to(width / 2, middle.shape).ravel().copy()))
    return FileFacts(
        file,
        JPEGCoefficients(components),
        JPEGCoefficients(components, colour=False),
        torch.cat(middles)[None],
        torch.cat(halves)[None],
        _level(file),
    )


def _level(file: Coefficients) -> float:
    """The levels of the planes add up in quadrature, through the inverse of the colour matrix."""
    levels = [quantisation_level(plane.values, plane.table) for plane in file.planes]
    if len(levels) == 1:
        return levels[0]
    back = torch.linalg.inv(colour_matrix()).square().mean(0)
    return math.sqrt(sum(float(w) * level**2 for w, level in zip(back, levels, strict=True)))
