"""Isometric liftings Q, QᵀQ = I: they carry a picture into feature space and back.

If Φ is α-averaged on the features then QᵀΦQ is α-averaged on pictures, whatever the picture's
size. Each lifting offers `lift` (Q) and `lower` (Qᵀ), and composes with others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations


class Lifting(nn.Module):
    """Base: maps (B, C, H, W) to features and back, with lower(lift(x)) = x.

    `factor` is the power of two by which H and W must be divisible; `channels_out(c)` counts
    the feature channels.
    """

    factor: int = 1

    def lift(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def lower(self, z: Tensor) -> Tensor:
        raise NotImplementedError

    def channels_out(self, channels: int) -> int:
        raise NotImplementedError


class ChannelPadding(Lifting):
    """Appends zero channels up to a width; the transpose drops them."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        if width < channels:
            raise ValueError(f"width {width} is below the {channels} channels to be kept")
        self.channels, self.width = channels, width

    def lift(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, 0, 0, 0, 0, self.width - self.channels))

    def lower(self, z: Tensor) -> Tensor:
        return z[:, : self.channels]

    def channels_out(self, channels: int) -> int:
        return self.width


class PixelUnshuffle(Lifting):
    """Moves 2×2 pixel blocks into channels: a permutation of the entries."""

    factor = 2

    def lift(self, x: Tensor) -> Tensor:
        return F.pixel_unshuffle(x, 2)

    def lower(self, z: Tensor) -> Tensor:
        return F.pixel_shuffle(z, 2)

    def channels_out(self, channels: int) -> int:
        return 4 * channels


class Haar(Lifting):
    """Orthonormal 2×2 Haar transform: a mean and three details for each channel."""

    factor = 2

    matrix: Tensor

    def __init__(self) -> None:
        super().__init__()
        signs = [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
        self.register_buffer("matrix", 0.5 * torch.tensor(signs, dtype=torch.float64), False)

    def _rotate(self, z: Tensor, matrix: Tensor) -> Tensor:
        blocks = z.unflatten(1, (-1, 4))
        return torch.einsum("ij,bcjhw->bcihw", matrix.to(z.dtype), blocks).flatten(1, 2)

    def lift(self, x: Tensor) -> Tensor:
        return self._rotate(F.pixel_unshuffle(x, 2), self.matrix)

    def lower(self, z: Tensor) -> Tensor:
        return F.pixel_shuffle(self._rotate(z, self.matrix.T), 2)

    def channels_out(self, channels: int) -> int:
        return 4 * channels


class Orthonormal(Lifting):
    """Learned 1×1 convolution with orthonormal columns, from `channels` to `width`."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.width = width
        # Columns of the exponential of a skew matrix, without a stored base: whatever the
        # parameters hold, they are orthonormal up to rounding in the precision of use.
        self.linear = parametrizations.orthogonal(
            nn.Linear(channels, width, bias=False),
            orthogonal_map="matrix_exp",
            use_trivialization=False,
        )

    def _filters(self, dtype: torch.dtype) -> Tensor:
        return cast(Tensor, self.linear.weight)[:, :, None, None].to(dtype)

    def lift(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self._filters(x.dtype))

    def lower(self, z: Tensor) -> Tensor:
        return F.conv_transpose2d(z, self._filters(z.dtype))

    def channels_out(self, channels: int) -> int:
        return self.width


class Chain(Lifting):
    """Q = Q_m … Q_1; picture sizes that `factor` does not divide are zero-padded.

    Zero padding at the right and bottom is an isometry whose transpose is the crop.
    """

    def __init__(self, *liftings: Lifting) -> None:
        super().__init__()
        self.liftings = nn.ModuleList(liftings)
        self.factor = 1
        for lifting in liftings:
            self.factor *= lifting.factor

    def _parts(self) -> list[Lifting]:
        return [part for part in self.liftings if isinstance(part, Lifting)]

    def lift(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % self.factor, 0, -height % self.factor))
        for lifting in self._parts():
            x = lifting.lift(x)
        return x

    def lower(self, z: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        for lifting in reversed(self._parts()):
            z = lifting.lower(z)
        return z if size is None else z[..., : size[0], : size[1]]

    def channels_out(self, channels: int) -> int:
        for lifting in self._parts():
            channels = lifting.channels_out(channels)
        return channels


def _pad(channels: int, width: int) -> list[Lifting]:
    return [ChannelPadding(channels, width)]


LIFTINGS: dict[str, Callable[[int, int], list[Lifting]]] = {
    "pad": _pad,
    "unshuffle": lambda c, w: [PixelUnshuffle(), *_pad(4 * c, w)],
    "haar": lambda c, w: [Haar(), *_pad(4 * c, w)],
    "haar2": lambda c, w: [Haar(), Haar(), *_pad(16 * c, w)],
    "orthonormal": lambda c, w: [PixelUnshuffle(), Orthonormal(4 * c, w)],
}


def lifting(name: str, channels: int, width: int) -> Chain:
    """The registered lifting `name` from `channels` picture channels to `width` features."""
    if name not in LIFTINGS:
        raise ValueError(f"unknown lifting {name!r}; known: {', '.join(LIFTINGS)}")
    return Chain(*LIFTINGS[name](channels, width))
