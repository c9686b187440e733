"""The optimisers of training: Adam, or Muon for the filters and Adam for everything else.

An Euler block divides its filters by their norm, so that only their direction counts, and the
norm is the *largest* singular value: at good filters many singular values are large together, of
which the gradient sees one at a time. Muon (Jordan et al. 2024) moves all singular directions by
the same amount (rows adam_ball4 and muon_ball4 of scripts/denoiser_research.py compare them).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pnp_recon.errors import InputError
from pnp_recon.networks.blocks import EulerBlock
from pnp_recon.training_recipe import Recipe

# The spectral size of a step, in units of the filters' own, at the learning rate's peak.
FILTER_RATE = 0.02


def free_filters(network: nn.Module) -> list[nn.Parameter]:
    """The filters of Euler blocks of which only the direction counts and which nothing ties."""
    blocks = [module for module in network.modules() if isinstance(module, EulerBlock)]
    held = [dict(block.named_parameters(recurse=False)).get("weight") for block in blocks]
    return [filters for filters in held if filters is not None]


class Optimiser:
    """One or two of torch's optimisers behind one face.

    Each parameter group holds its own peak rate under "peak"; `step(factor)` runs at the given
    fraction of it.

    Raises:
        InputError: Muon for a network without filters that it is for.
    """

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        self.network = network
        filters = free_filters(network)
        self.parts: dict[str, torch.optim.Optimizer] = {}
        self.pairs: list[tuple[nn.Parameter, Tensor]] = []
        if recipe.optimiser == "muon" and not filters:
            raise InputError(
                "optimiser muon is for the free filters of Euler blocks, of which this network has "
                "none (a group ties them); take adam"
            )
        if recipe.optimiser == "muon":
            # Muon takes matrices: views of the filters, which share their memory.
            views = [nn.Parameter(p.detach().view(p.shape[0], -1)) for p in filters]
            self.pairs = list(zip(views, filters, strict=True))
            self.parts["muon"] = torch.optim.Muon(views, FILTER_RATE, weight_decay=0.0)
        taken = {id(p) for _, p in self.pairs}
        rest = [p for p in network.parameters() if id(p) not in taken]
        self.parts["adam"] = torch.optim.Adam(rest, recipe.learning_rate)
        for group in self._groups():
            group["peak"] = group["lr"]

    def _groups(self) -> Iterator[dict[str, Any]]:
        for part in self.parts.values():
            yield from part.param_groups

    def zero_grad(self) -> None:
        self.network.zero_grad()

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """One step at `factor` times the peak rates, with the gradients that the network holds."""
        for group in self._groups():
            group["lr"] = group["peak"] * factor
        for view, filters in self.pairs:
            view.grad = None if filters.grad is None else filters.grad.view_as(view)
        for part in self.parts.values():
            part.step()
        for view, filters in self.pairs:
            if filters.grad is not None:
                # Rows of length one on average: steps then keep their relative size.
                view.mul_((view.shape[0] ** 0.5) / view.norm())

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
