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

from pnp_recon.networks.equivariant.fields import regulars_of_width
from pnp_recon.networks.equivariant.filters import pixel_blocks
from pnp_recon.networks.equivariant.groups import Group


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

    def defect(self) -> float:
        """Largest entry of |QᵀQ − I| that its numbers give; 0 for those that have none."""
        return 0.0


def gram_defect(matrix: Tensor) -> float:
    """Largest entry of |MᵀM − I| for a matrix (n, m), in float64."""
    wide = matrix.detach().double()
    return float((wide.mT @ wide - torch.eye(wide.shape[1], device=wide.device)).abs().max())


def mix_channels(z: Tensor, matrix: Tensor) -> Tensor:
    """The matrix (n, m) on every m neighbouring channels of z (B, C·m, H, W)."""
    parts = z.unflatten(1, (-1, matrix.shape[1]))
    return torch.einsum("ij,bcjhw->bcihw", matrix.to(z.dtype), parts).flatten(1, 2)


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


class BlockField(Lifting):
    """2×2 pixel blocks as regular fields: turning the picture permutes the channels of a field.

    A group of turns by 90° and flips permutes the four pixels of a block, each orbit of them in
    a field of its own: channel g of the field holds the pixel to which g moves the first pixel p₀
    of the orbit, over √s,

        E[g, p] = 1/√s if g p₀ = p, else 0,    s = |G| / |orbit|.

    Each pixel stands in s channels, so EᵀE = I, and ρ(h)E = E π(h) for the regular representation
    ρ and the permutation π of the pixels. C4 and D4 have one orbit, hence one field for each
    picture channel; C1 has four and is `PixelUnshuffle`.

    Raises:
        ValueError: the group does not map the pixel grid onto itself.
    """

    factor = 2

    matrix: Tensor

    def __init__(self, group: Group) -> None:
        super().__init__()
        orbits = pixel_blocks(group, 2)
        moved = [orbit.matrices[:, :, 0] @ orbit.functions.flatten(1) for orbit in orbits]
        self.register_buffer("matrix", torch.cat(moved), False)

    def _embedding(self, dtype: torch.dtype) -> Tensor:
        # The roots in the precision of use: EᵀE = I to its rounding, wherever the buffer has been.
        matrix = self.matrix.to(dtype)
        return matrix / matrix.sum(0).sqrt()

    def lift(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return mix_channels(F.pixel_unshuffle(x, 2), self._embedding(x.dtype))

    def lower(self, z: Tensor) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            return F.pixel_shuffle(mix_channels(z, self._embedding(z.dtype).T), 2)

    def channels_out(self, channels: int) -> int:
        return len(self.matrix) * channels

    def defect(self) -> float:
        return gram_defect(self._embedding(torch.float64))


class Haar(Lifting):
    """Orthonormal 2×2 Haar transform: a mean and three details for each channel."""

    factor = 2

    matrix: Tensor

    def __init__(self) -> None:
        super().__init__()
        signs = [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
        self.register_buffer("matrix", 0.5 * torch.tensor(signs, dtype=torch.float64), False)

    def lift(self, x: Tensor) -> Tensor:
        return mix_channels(F.pixel_unshuffle(x, 2), self.matrix)

    def lower(self, z: Tensor) -> Tensor:
        return F.pixel_shuffle(mix_channels(z, self.matrix.T), 2)

    def channels_out(self, channels: int) -> int:
        return 4 * channels

    def defect(self) -> float:
        return gram_defect(self.matrix)


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

    def defect(self) -> float:
        with torch.no_grad():
            return gram_defect(cast(Tensor, self.linear.weight))


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
        # Under autocast the picture itself stays as it is: only what is added to it is rounded.
        with torch.autocast(x.device.type, enabled=False):
            for lifting in self._parts():
                x = lifting.lift(x)
        return x

    def lower(self, z: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            for lifting in reversed(self._parts()):
                z = lifting.lower(z)
        return z if size is None else z[..., : size[0], : size[1]]

    def channels_out(self, channels: int) -> int:
        for lifting in self._parts():
            channels = lifting.channels_out(channels)
        return channels

    def defect(self) -> float:
        """The sum of the parts' defects: to first order that of the whole."""
        return sum(lifting.defect() for lifting in self._parts())


def _pad(channels: int, width: int) -> list[Lifting]:
    return [ChannelPadding(channels, width)]


LIFTINGS: dict[str, Callable[[int, int], list[Lifting]]] = {
    "pad": _pad,
    "unshuffle": lambda c, w: [PixelUnshuffle(), *_pad(4 * c, w)],
    "haar": lambda c, w: [Haar(), *_pad(4 * c, w)],
    "haar2": lambda c, w: [Haar(), Haar(), *_pad(16 * c, w)],
    "orthonormal": lambda c, w: [PixelUnshuffle(), Orthonormal(4 * c, w)],
}


# The liftings into regular fields of a group. Haar's details and learned mixtures are none.
FIELD_LIFTINGS: dict[str, Callable[[int, int, Group], list[Lifting]]] = {
    "unshuffle": lambda c, w, group: _fields(BlockField(group), group, c, w),
}


def _fields(first: Lifting, group: Group, channels: int, width: int) -> list[Lifting]:
    return [first, *_pad(first.channels_out(channels), regulars_of_width(group, width).channels)]


def lifting(name: str, channels: int, width: int, group: Group | None = None) -> Chain:
    """The registered lifting `name` from `channels` picture channels to `width` features.

    With a group of more than one element the features are regular fields.

    Raises:
        ValueError: an unknown name, one without fields, or a width that does not fit.
    """
    if name not in LIFTINGS:
        raise ValueError(f"unknown lifting {name!r}; known: {', '.join(LIFTINGS)}")
    if group is None or group.order == 1:
        return Chain(*LIFTINGS[name](channels, width))
    if not group.on_grid:
        raise ValueError(
            f"{group} turns the pixel grid off itself; take C2, C4, D1, D2 or D4, or C1 for none"
        )
    if name not in FIELD_LIFTINGS:
        raise ValueError(
            f"the features of lifting {name!r} are no regular fields of {group}; "
            f"known: {', '.join(FIELD_LIFTINGS)}"
        )
    return Chain(*FIELD_LIFTINGS[name](channels, width, group))


def even_paddings(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """The ways (left, right, top, bottom) of making both sides even with one row or column.

    One for even sides, two for one odd side, four for two: flips and turns of the picture only
    change their order.
    """
    across = [(0, 1), (1, 0)] if width % 2 else [(0, 0)]
    down = [(0, 1), (1, 0)] if height % 2 else [(0, 0)]
    return [(*sides, *ends) for ends in down for sides in across]
