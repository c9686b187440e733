"""A sheet of sample pictures of a training run: to see what a number does not say.

Each picture has one row. A denoiser is shown by the clean, the noisy and the denoised crop for each
noise level; a reconstruction by where it starts from, the result, the truth and the error.
Values are clipped to [0, 1] for display only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pnp_recon.errors import InputError
from pnp_recon.pictures.crops import centre_crop
from pnp_recon.pictures.files import write_picture

# Rows of a sheet.
SHEET_PICTURES = 4

# White pixels between the crops.
MARGIN = 2

# An error of this size is white, of minus this size black; none is grey.
LARGEST_ERROR = 0.1


@torch.no_grad()
def sample_sheet(
    network: nn.Module,
    pictures: Sequence[Tensor],
    levels: Sequence[float],
    noise: Callable[[int], Callable[[Tensor], Tensor]],
    device: str = "cpu",
    size: int = 96,
) -> Float[Tensor, "1 C H W"]:
    """Clean, noisy and denoised crops side by side.

    Args:
        network: called as network(x, sigma).
        pictures: uint8 (C, H, W), one row of the sheet each, all of the same C.
        levels: noise levels on the [0, 1] scale, three columns of the sheet each.
        noise: the number of a picture to the noise of level 1 that is added to it.
        device: where the network is.
        size: side of a cell in pixels; smaller pictures are centred on white.

    Returns:
        The sheet in [0, 1], on the CPU: (1, C, rows·(size+2) − 2, 3·levels·(size+2) − 2).

    Raises:
        InputError: no pictures or no levels.
    """
    if not pictures or not levels:
        raise InputError("a sample sheet needs at least one picture and one noise level")
    rows = []
    for index, picture in enumerate(pictures):
        clean = centre_crop(picture, size)[None].float().to(device) / 255
        cells = []
        for level in levels:
            noisy = clean + level * noise(index)(clean)
            cells += [clean, noisy, network(noisy, level).float()]
        rows.append(_joined([_cell(cell, size) for cell in cells], 3))
    return _joined(rows, 2)


def scan_sheet(
    start: Float[Tensor, "n C H W"],
    restored: Float[Tensor, "n C H W"],
    truth: Float[Tensor, "n C H W"],
) -> Float[Tensor, "1 C h w"]:
    """Start, reconstruction, truth and error side by side, one row for each picture, n >= 1.

    Returns:
        The sheet in [0, 1], on the CPU: (1, C, n·(H+2) − 2, 4·(W+2) − 2). The error, restored −
        truth, is grey where there is none and black or white from ±0.1 on.
    """
    rows = []
    for pictures in zip(start.cpu(), restored.cpu(), truth.cpu(), strict=True):
        error = 0.5 + (pictures[1] - pictures[2]) / (2 * LARGEST_ERROR)
        rows.append(_joined([cell[None].clamp(0, 1) for cell in (*pictures, error)], 3))
    return _joined(rows, 2)


def before_after(before: Float[Tensor, "1 C H W"], after: Float[Tensor, "1 C H W"]) -> Tensor:
    """Two pictures of one size side by side: (1, C, H, 2·W + 2) in [0, 1], on the CPU."""
    return _joined([picture.detach().cpu().float().clamp(0, 1) for picture in (before, after)], 3)


def _cell(picture: Tensor, size: int) -> Tensor:
    cell = torch.ones(1, picture.shape[1], size, size)
    height, width = picture.shape[-2:]
    top, left = (size - height) // 2, (size - width) // 2
    cell[..., top : top + height, left : left + width] = picture.cpu().clamp(0, 1)
    return cell


def _joined(parts: list[Tensor], dimension: int) -> Tensor:
    shape = list(parts[0].shape)
    shape[dimension] = MARGIN
    pieces = [parts[0]]
    for part in parts[1:]:
        pieces += [torch.ones(shape), part]
    return torch.cat(pieces, dimension)


def write_sheet(path: Path, sheet: Float[Tensor, "1 C H W"]) -> None:
    """Writes a sheet as a PNG, whole or not at all, replacing what was there.

    Raises:
        OutputError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(path, sheet, overwrite=True)
