"""Large pictures in tiles, for maps that look no further than a halo: the same map, less memory.

A tile is cut out with a halo on each inner side, denoised, and its halo is thrown away. What the
cut disturbs (the zero padding of every convolution now stands at the cut) reaches no further than
the receptive field, so nothing of it is left: the result is that of the whole picture up to the
rounding of float32, and any guarantee of the map is a guarantee of the tiled map, which *is* the
map. At the border of the picture tiles end where the picture ends, so the padding there is the
picture's own. Memory: the picture twice, and the activations of one tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import torch.nn.functional as F
from torch import Tensor

from operators.progress import tell
from pnp_recon.errors import InputError
from pnp_recon.networks.euler import SHIFT

# Side of a tile unless told otherwise: with a halo of 32 pixels an eighth of the work is repeated.
TILE = 1024
# Pictures with more pixels than this are denoised in tiles without being asked.
TILING_PIXELS = 2_000_000


@runtime_checkable
class Tileable(Protocol):
    """A map of pictures (B, C, H, W) that says what tiling needs to know.

    Attributes:
        alignment: sides are padded at the right and the bottom to a multiple of it, and blocks of
            `alignment`² pixels are moved into channels: tiles start at multiples of it.
        halo: how many pixels around such a block its result depends on, a multiple of
            `alignment`.
    """

    @property
    def alignment(self) -> int: ...

    @property
    def halo(self) -> int: ...

    def paddings(self, height: int, width: int) -> list[tuple[int, int, int, int]]:
        """Paddings (left, right, top, bottom) with mid-grey whose results, cropped, it averages.

        [(0, 0, 0, 0)] where it averages nothing, as it must be for a picture so padded.
        """
        ...

    def __call__(self, x: Tensor, sigma: float, /) -> Tensor: ...


def tiled(
    function: Callable[[Tensor, float], Tensor],
    x: Tensor,
    sigma: float,
    *,
    tile: int = TILE,
    halo: int,
    alignment: int = 1,
) -> Tensor:
    """function(x, sigma), computed picture by picture and tile by tile.

    Equal to the untiled result up to rounding if `halo` and `alignment` are the function's, see
    `Tileable`; the function must do the same with every picture of a batch, and keep its shape.

    Args:
        function: takes pictures (1, C, h, w) of any size and the noise level.
        x: (B, C, H, W).
        sigma: passed on.
        tile: side of a tile without its halo, rounded up to a multiple of `alignment`.
        halo: pixels kept around a tile, rounded up likewise.
        alignment: tiles start at multiples of it.

    Raises:
        InputError: a tile or alignment below 1, or a negative halo.
    """
    if tile < 1 or halo < 0 or alignment < 1:
        raise InputError(
            f"found tile {tile}, halo {halo}, alignment {alignment}; expected at least 1, 0 and 1"
        )
    tile, halo = tile + -tile % alignment, halo + -halo % alignment
    height, width = x.shape[-2:]
    out = x.new_empty(x.shape)
    count, done = len(x) * -(-height // tile) * -(-width // tile), 0
    for index in range(len(x)):
        for top, bottom in _intervals(height, tile):
            for left, right in _intervals(width, tile):
                done += 1
                tell(f"denoiser, tile {done} of {count}")
                # Slices end at the border of the picture by themselves.
                first_row, first_column = max(0, top - halo), max(0, left - halo)
                window = x[
                    index : index + 1, :, first_row : bottom + halo, first_column : right + halo
                ]
                rows = slice(top - first_row, bottom - first_row)
                columns = slice(left - first_column, right - first_column)
                result = function(window, sigma)[..., rows, columns]
                out[index, :, top:bottom, left:right] = result[0]
    return out


def tiled_network(network: Tileable, x: Tensor, sigma: float, tile: int = TILE) -> Tensor:
    """network(x, sigma) in tiles with the network's own halo and alignment.

    A network that averages over paddings of the picture does so here around the tiling: in a tile
    it would pad the tile, which is another map.

    Args:
        network: see `Tileable`.
        x, sigma, tile: see `tiled`.
    """
    halo, alignment = network.halo, network.alignment
    height, width = x.shape[-2:]
    paddings = network.paddings(height, width)
    if paddings == [(0, 0, 0, 0)]:
        return tiled(network, x, sigma, tile=tile, halo=halo, alignment=alignment)
    total = x.new_zeros(x.shape)
    for left, right, top, bottom in paddings:
        padded = F.pad(x, (left, right, top, bottom), value=SHIFT)
        out = tiled(network, padded, sigma, tile=tile, halo=halo, alignment=alignment)
        total += out[..., top : top + height, left : left + width]
    return total / len(paddings)


def _intervals(length: int, tile: int) -> Iterator[tuple[int, int]]:
    """[start, stop) of the tiles along one side; the last one ends with the picture."""
    for start in range(0, length, tile):
        yield start, min(start + tile, length)
