"""From a picture to the coefficients of a JPEG file: colour matrix, subsampling, 8 × 8 cosines.

All of it is linear; the level shift is left to the data. A component of the file is a plane that
is averaged over boxes of `factor` pixels, which is how libjpeg's encoder subsamples, and
transformed in blocks of 8 × 8 by the orthonormal DCT (ISO 10918-1, A.3.3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.errors import OperatorError
from operators.norms import NormBound, round_down, round_up

SIDE = 8
# RGB -> Y, Cb, Cr without their offset (JFIF 1.02, section 7).
_JFIF = (
    (0.299, 0.587, 0.114),
    (-0.299 / 1.772, -0.587 / 1.772, 0.5),
    (0.5, -0.587 / 1.402, -0.114 / 1.402),
)


def colour_matrix(dtype: torch.dtype = torch.float64) -> Tensor:
    """(3, 3), rows Y, Cb, Cr."""
    return torch.tensor(_JFIF, dtype=torch.float64).to(dtype)


@dataclass(frozen=True)
class Component:
    """A plane of the file.

    Attributes:
        blocks: (rows, columns) of 8 × 8 blocks.
        factor: (vertical, horizontal) pixels of the picture to one of the plane.
    """

    blocks: tuple[int, int]
    factor: tuple[int, int] = (1, 1)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture that its blocks cover, in pixels of the picture."""
        return SIDE * self.blocks[0] * self.factor[0], SIDE * self.blocks[1] * self.factor[1]

    @property
    def area(self) -> int:
        """Pixels that are averaged into one."""
        return self.factor[0] * self.factor[1]

    @property
    def count(self) -> int:
        return SIDE * SIDE * self.blocks[0] * self.blocks[1]


class JPEGCoefficients(LinearOperator):
    """All coefficients of all components, one after the other, block by block.

    Args:
        components: one for a grey picture, three for a colour picture. The picture has the size
            that covers all of their blocks.
        colour: three channels are red, green and blue; otherwise the planes themselves.

    Raises:
        OperatorError: neither one nor three components.

    For planes A Aᵀ is diagonal, 1/area; with one component of factor 1 A is orthonormal. With the
    colour matrix its norm is at most that of the matrix.
    """

    def __init__(self, components: Sequence[Component], *, colour: bool = True) -> None:
        self.components = tuple(components)
        channels = len(self.components)
        if channels not in (1, 3):
            raise OperatorError(f"found {channels} components; expected one (grey) or three")
        height = max(component.size[0] for component in self.components)
        width = max(component.size[1] for component in self.components)
        self.colour = colour and channels == 3
        super().__init__(
            "coefficients of a JPEG file",
            (channels, height, width),
            (sum(component.count for component in self.components),),
        )

    @property
    def orthonormal(self) -> bool:
        """A is a square matrix with AᵀA = I."""
        one = len(self.components) == 1 and self.components[0].area == 1
        return one and math.prod(self.image_shape) == self.measurement_shape[0]

    def areas(self, like: Tensor) -> Tensor:
        """1/(A Aᵀ) of planes for every coefficient, (N,)."""
        parts = [like.new_full((c.count,), float(c.area)) for c in self.components]
        return torch.cat(parts)

    def _forward_map(self, x: Tensor) -> Tensor:
        if self.colour:
            x = torch.einsum("pc,bchw->bphw", colour_matrix(x.dtype).to(x.device), x)
        found = [
            _cosines(_averaged(x[:, k], component)) for k, component in enumerate(self.components)
        ]
        return torch.cat(found, dim=1)

    def _transpose_map(self, y: Tensor) -> Tensor:
        x = y.new_zeros(len(y), *self.image_shape)
        at = 0
        for k, component in enumerate(self.components):
            plane = _pixels(y[:, at : at + component.count], component)
            down, across = component.factor
            spread = plane.repeat_interleave(down, 1).repeat_interleave(across, 2)
            height, width = component.size
            x[:, k, :height, :width] = spread / component.area
            at += component.count
        if self.colour:
            x = torch.einsum("pc,bphw->bchw", colour_matrix(y.dtype).to(y.device), x)
        return x

    def _prove_norm(self) -> NormBound:
        if not self.colour:
            area = min(component.area for component in self.components)
            bound = 1.0 if area == 1 else round_up(1 / math.sqrt(area))
            lower = 1.0 if area == 1 else 0.0
            return NormBound(bound, lower, "orthonormal cosines of box averages", "ISO 10918-1")
        matrix = colour_matrix()
        value = round_up(float(torch.linalg.matrix_norm(matrix, 2)) * (1 + 1e-12))
        # A grey picture has the luma of each of its three channels, here where luma has its blocks.
        lower = round_down(1 / math.sqrt(3 * self.components[0].area))
        method = "norm of the colour matrix, 3 × 3"
        return NormBound(value, lower, method, "Golub & Van Loan 2013")

    def _prove_gram(self) -> float:
        return 1.0 if self.orthonormal else 0.0


def _averaged(plane: Tensor, component: Component) -> Tensor:
    """(B, H, W) -> (B, rows, columns) of the component."""
    height, width = component.size
    down, across = component.factor
    part = plane[:, :height, :width]
    return part.reshape(len(part), height // down, down, width // across, across).mean((2, 4))


def _basis(like: Tensor) -> Tensor:
    """The orthonormal DCT matrix, rows are frequencies."""
    k = torch.arange(SIDE, dtype=torch.float64)
    found = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / (2 * SIDE)) * 0.5
    found[0] /= math.sqrt(2)
    return found.to(like)


def _cosines(plane: Tensor) -> Tensor:
    """(B, h, w) -> (B, N): rows of blocks, blocks, vertical frequency, horizontal frequency."""
    batch, height, width = plane.shape
    D = _basis(plane)
    blocks = plane.reshape(batch, height // SIDE, SIDE, width // SIDE, SIDE)
    return torch.einsum("ui,bminj,vj->bmnuv", D, blocks, D).flatten(1)


def _pixels(values: Tensor, component: Component) -> Tensor:
    """(B, N) -> (B, h, w)."""
    D = _basis(values)
    rows, columns = component.blocks
    blocks = values.reshape(len(values), rows, columns, SIDE, SIDE)
    pixels = torch.einsum("ui,bmnuv,vj->bminj", D, blocks, D)
    return pixels.reshape(len(values), rows * SIDE, columns * SIDE)
