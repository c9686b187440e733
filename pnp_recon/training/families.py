"""What training asks of the families of networks: filters for Muon, and estimates kept true.

A network that is only tried is of no family, but it may hold networks of one. What is in none has
nothing that Muon would move, and nothing estimated. Knows no kind of layer.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from torch import nn

from pnp_recon.models.families import entry_of
from pnp_recon.models.family import Family, Matrix


def parts(network: nn.Module) -> Iterator[tuple[Family[Any], nn.Module]]:
    """The network with its family, or else the networks inside it that have one."""
    entry = entry_of(network)
    if entry is not None:
        yield entry.load(), network
        return
    for child in network.children():
        yield from parts(child)


def matrices(network: nn.Module) -> list[Matrix]:
    """The filters of which only the direction counts, so that Muon may move them."""
    return [matrix for family, part in parts(network) for matrix in family.matrices(part)]


def refreshed(network: nn.Module, steps: int = 20) -> nn.Module:
    """A copy whose norm estimates belong to its own weights (evaluation during training only)."""
    network = copy.deepcopy(network)
    for family, part in parts(network):
        family.settle(part, steps)
    return network.eval()


def calibrate(network: nn.Module) -> None:
    """Ties every estimate of the weights to what is proven of them."""
    for family, part in parts(network):
        family.calibrate(part)
