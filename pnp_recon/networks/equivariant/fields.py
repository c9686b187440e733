"""Feature fields: what the channels of a feature map are, and how a turn or a flip acts on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon.networks.equivariant.groups import (
    Element,
    Group,
    Representation,
    direct_sum,
    irreducible,
    regular,
    trivial,
)


@dataclass(frozen=True, eq=False)
class Fields:
    """`count` fields of one representation; the channels of a field stand side by side."""

    representation: Representation
    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"expected at least one field, found {self.count}")

    @property
    def group(self) -> Group:
        return self.representation.group

    @property
    def channels(self) -> int:
        return self.count * self.representation.dimension

    def __str__(self) -> str:
        return f"{self.count} × {self.representation.name} of {self.group}"

    def act(self, x: Tensor, g: Element) -> Tensor:
        """(g·x)(p) = ρ(g) x(g⁻¹p) for feature maps (B, channels, H, W), without interpolation.

        Raises:
            ValueError: g does not map the pixel grid onto itself, or the channels do not fit.
        """
        if x.shape[1] != self.channels:
            raise ValueError(f"found {x.shape[1]} channels, expected {self.channels} ({self})")
        return self.mix(turn(x, self.group, g), g)

    def mix(self, x: Tensor, g: Element) -> Tensor:
        """ρ(g) on the channels alone."""
        matrix = self.representation(g).to(x)
        fields = x.unflatten(1, (self.count, -1))
        return torch.einsum("ij,bcjhw->bcihw", matrix, fields).flatten(1, 2)


def turn(x: Tensor, group: Group, g: Element) -> Tensor:
    """x(g⁻¹p) for pictures (..., H, W): flip of the rows, then turns by 90° counter-clockwise."""
    quarter, rest = divmod(4 * g.rotation, group.rotations)
    if rest:
        raise ValueError(f"{g} of {group} does not map the pixel grid onto itself")
    flipped = x.flip(-2) if g.reflection else x
    return torch.rot90(flipped, quarter, (-2, -1))


def scalars(group: Group, count: int) -> Fields:
    """Trivial fields: pictures and memory."""
    return Fields(trivial(group), count)


def regulars(group: Group, count: int) -> Fields:
    """Regular fields: |G| channels each."""
    return Fields(regular(group), count)


def regulars_of_width(group: Group, width: int) -> Fields:
    """As many regular fields as `width` channels hold.

    Raises:
        ValueError: channels would be left over.
    """
    if width < 1 or width % group.order:
        raise ValueError(
            f"width {width} is no multiple of {group.order}, the channels of a regular field of "
            f"{group}"
        )
    return regulars(group, width // group.order)


def harmonics(group: Group, frequency: int, count: int) -> Fields:
    """Fields of all angular frequencies 0 … `frequency`, as in Harmonic Networks.

    Worrall et al. 2017: each field is a number and `frequency` vectors in the plane.
    """
    return Fields(direct_sum(*(irreducible(group, k) for k in range(frequency + 1))), count)
