"""Pictures on the device: one flat uint8 buffer, from which random patches are drawn there.

Which picture may be used for what is decided in `pnp_recon.datasets.splits`. Pictures are read with
Pillow, because the machine has few libraries.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from pnp_recon.datasets.splits import (
    bsd68,
    is_bsds500,
    training_pictures,
    validation_pictures,
)
from pnp_recon.errors import InputError

# So many of the 32 pictures of BSDS500 `val` that are not in BSD68 are held out.
HELD_OUT = 12


@dataclass(frozen=True)
class Split:
    """Pictures to train on, to choose the weights by, and to state figures of.

    Attributes:
        tested: what figures of all of `test` are called: "bsd68" where they are BSD68, else "test".
    """

    training: list[Path]
    validation: list[Path]
    test: list[Path]
    selection: str
    tested: str = "test"

    def description(self) -> dict[str, object]:
        held = [f"{path.parent.name}/{path.name}" for path in self.validation]
        return {
            "selection": self.selection,
            "pictures": len(self.training),
            "validation_pictures": held,
            "validation_held_out": True,
        }


def split(folder: Path) -> Split:
    """The pictures of BSDS500, or of any other folder: the first tenth is held out, and tested.

    So it is with the held-out pictures of BSDS500 where BSD68 was not brought along.
    """
    pictures, tested = training_pictures(folder), "test"
    if is_bsds500(folder):
        held = test = validation_pictures(folder)[:HELD_OUT]
        with contextlib.suppress(InputError):
            test, tested = bsd68(folder), "bsd68"
        selection = f"BSDS500 train and val without BSD68 and {HELD_OUT} held-out pictures"
    else:
        held = pictures[: max(1, len(pictures) // 10)]
        test, selection = held, "all pictures of the folder but the first tenth"
    rest = [path for path in pictures if path not in held]
    return Split(rest, held, test, selection, tested)


def load(path: Path) -> Tensor:
    """One picture, uint8 (3, H, W), turned so that it is wider than high."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.asarray(image.convert("RGB")).copy())
    pixels = pixels.permute(2, 0, 1)
    return (pixels if pixels.shape[1] <= pixels.shape[2] else pixels.mT).contiguous()


def to_float(x: Tensor, channels: int) -> Tensor:
    """uint8 (..., 3, H, W) to float32 in [0, 1]; grey is 0.299 R + 0.587 G + 0.114 B, unrounded."""
    y = x.float() / 255
    if channels == 3:
        return y
    red, green, blue = y.split(1, -3)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def rescaled(x: Tensor, scale: float) -> Tensor:
    if scale == 1:
        return x
    size = [round(side * scale) for side in x.shape[1:]]
    y = F.interpolate(x[None].float(), size=size, mode="bicubic", antialias=True)
    return y[0].round().clamp(0, 255).to(torch.uint8)


class Patches:
    """Random crops, flipped and turned, of pictures at scale 1 (3 of 4) and 0.8 (1 of 4)."""

    def __init__(
        self,
        pictures: Sequence[Path],
        channels: int,
        device: torch.device,
        scales: Sequence[float] = (1, 1, 1, 0.8),
    ) -> None:
        self.channels, self.device = channels, device
        flat: list[Tensor] = []
        places: dict[float, list[tuple[int, int, int]]] = {}
        at = 0
        for scale in dict.fromkeys(scales):
            places[scale] = []
            for path in pictures:
                x = rescaled(load(path), scale)
                flat.append(x.reshape(-1))
                places[scale].append((at, x.shape[1], x.shape[2]))
                at += x.numel()
        self.flat = torch.cat(flat).to(device)
        rows = [place for scale in scales for place in places[scale]]
        self.offset, self.height, self.width = torch.tensor(rows, device=device).unbind(1)

    def draw(self, batch: int, size: int) -> Tensor:
        """float32 (batch, channels, size, size) in [0, 1], by operations on the device alone."""
        device = self.device
        k = torch.randint(len(self.offset), (batch,), device=device)
        offset, h, w = self.offset[k], self.height[k], self.width[k]
        u = torch.rand(2, batch, device=device)
        top = (u[0] * (h - size + 1)).long().minimum(h - size)
        left = (u[1] * (w - size + 1)).long().minimum(w - size)
        flip = torch.rand(3, batch, device=device) < 0.5
        i = torch.arange(size, device=device)
        rows = top[:, None] + torch.where(flip[0][:, None], size - 1 - i, i)
        columns = left[:, None] + torch.where(flip[1][:, None], size - 1 - i, i)
        turn = flip[2][:, None, None]
        a = torch.where(turn, rows[:, None, :], rows[:, :, None])
        b = torch.where(turn, columns[:, :, None], columns[:, None, :])
        plane = a * w[:, None, None] + b
        c = torch.arange(3, device=device)[None, :, None, None]
        index = offset[:, None, None, None] + c * (h * w)[:, None, None, None] + plane[:, None]
        return to_float(self.flat[index], self.channels)
