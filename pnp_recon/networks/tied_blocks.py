"""Euler blocks whose parameters a group ties, in place of free ones.

x − 2s·Vᵀ t φ(V x / t + b) commutes with a group that permutes the channels of regular fields if V
does and t, b and φ are the same for all channels of a field. The tied parameters are linear in
fewer numbers; the block, its norm, its step and its certificate know nothing of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from pnp_recon.networks.activations import MonotoneSpline
from pnp_recon.networks.blocks import FlowBlock
from pnp_recon.networks.equivariant.convolution import TiedFilters, TiedVector, tie
from pnp_recon.networks.equivariant.fields import regulars_of_width
from pnp_recon.networks.equivariant.groups import Group


class TiedRows(TiedVector):
    """A row of numbers for each field ↦ the same row for each of its channels."""

    def forward(self, rows: Tensor) -> Tensor:
        return super().forward(rows.T).T

    def right_inverse(self, rows: Tensor) -> Tensor:
        return super().right_inverse(rows.T).T


@dataclass(frozen=True, eq=False)
class Ties:
    """How the blocks of one network are tied; they share it, as the basis of filters is large.

    `order` is the group's, and so the number of channels of a field.
    """

    order: int
    filters: TiedFilters
    numbers: TiedVector
    rows: TiedRows

    @classmethod
    def of(cls, group: Group, channels: int, hidden: int, kernel_size: int) -> Ties:
        """Ties for blocks of regular fields.

        Raises:
            ValueError: the group does not map the pixel grid onto itself, or `channels` or
                `hidden` is no multiple of its order.
        """
        source, target = regulars_of_width(group, channels), regulars_of_width(group, hidden)
        filters = TiedFilters(source, target, kernel_size, "pixel")
        return cls(group.order, filters, TiedVector(target), TiedRows(target))


def tie_block(block: FlowBlock, ties: Ties) -> None:
    """Ties a fresh block's parameters; its filters are drawn anew with the spread they had.

    Channels that an activation maps together must make whole fields, which the group permutes
    within: such a threshold belongs to fields and needs no tie.

    Raises:
        ValueError: they do not.
    """
    together = block.activation.group_size
    order = ties.order
    if together > 1 and together % order:
        raise ValueError(
            f"an activation of {together} channels cuts the fields of {order}; expected groups "
            "of channels that are whole fields"
        )
    deviation = float(block.weight.detach().square().mean().sqrt())
    tie(block, "weight", ties.filters)
    tie(block, "bias", ties.numbers)
    if together == 1:
        tie(block, "threshold", ties.numbers)
    if isinstance(block.activation, MonotoneSpline):
        tie(block.activation, "logits", ties.rows)
    with torch.no_grad():
        weights = cast(Tensor, block.parametrizations.weight.original)  # type: ignore[union-attr]
        weights.normal_(0.0, ties.filters.spread(deviation))
    block.settle()


def learned_filters(block: FlowBlock) -> tuple[nn.Parameter, TiedFilters | None] | None:
    """The numbers behind a block's filters and the group's ties, None for free ones.

    None altogether where the filters are made of parameters in another way.
    """
    held = dict(block.named_parameters())
    if "weight" in held:
        return held["weight"], None
    ties = block.parametrizations.weight[0]  # type: ignore[union-attr, index]
    if isinstance(ties, TiedFilters):
        return held["parametrizations.weight.original"], ties
    return None
