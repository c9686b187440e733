"""The optimisers of training: Adam, or Muon for the filters and Adam for everything else.

An Euler block divides its filters by their norm, so that only their direction counts, and the
norm is the *largest* singular value: at good filters many singular values are large together, of
which the gradient sees one at a time. Muon (Jordan et al. 2024) moves all singular directions by
the same amount (rows adam_ball4 and muon_ball4 of scripts/studies/research/rows.py compare them).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pnp_recon.errors import InputError
from pnp_recon.networks.equivariant.convolution import TiedFilters
from pnp_recon.training.families import matrices
from pnp_recon.training.recipe import Recipe

# The spectral size of a step, in units of the filters' own, at the learning rate's peak.
FILTER_RATE = 0.02


class Filters:
    """Filters of which only the direction counts, as Muon takes them.

    Free filters are a matrix, a view of the parameter. Filters that a group ties are made of fewer
    numbers: Muon moves a matrix of the whole filters, which goes back into the numbers afterwards.
    The gradient of tied filters commutes with the group, and so does its orthogonalisation.
    """

    def __init__(self, numbers: nn.Parameter, ties: TiedFilters | None) -> None:
        self.numbers, self.ties = numbers, ties
        held = numbers.detach()
        self.matrix = nn.Parameter(held.view(len(held), -1) if ties is None else self.whole(held))

    def whole(self, numbers: Tensor) -> Tensor:
        # Ties repeat numbers, and repeat gradients alike: up to a factor, which Muon takes out.
        return (numbers if self.ties is None else self.ties(numbers)).flatten(1)

    def before(self) -> None:
        gradient = self.numbers.grad
        self.matrix.grad = None if gradient is None else self.whole(gradient)
        if self.ties is not None:
            self.matrix.copy_(self.whole(self.numbers))

    def after(self) -> None:
        if self.numbers.grad is None:
            return
        if self.ties is not None:
            self.numbers.copy_(self.ties.right_inverse(self.matrix.view(self.ties.shape)))
        # Rows of length one on average: steps then keep their relative size.
        self.numbers.mul_(len(self.matrix) ** 0.5 / self.whole(self.numbers).norm())


class Optimiser:
    """One or two of torch's optimisers behind one face.

    Each parameter group holds its own peak rate under "peak"; `step(factor)` runs at the given
    fraction of it.

    Raises:
        InputError: Muon for a network without filters that it is for.
    """

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        self.network = network
        found = matrices(network) if recipe.optimiser == "muon" else []
        self.filters = [Filters(numbers, ties) for numbers, ties in found]
        self.parts: dict[str, torch.optim.Optimizer] = {}
        if recipe.optimiser == "muon":
            if not self.filters:
                raise InputError(
                    "optimiser muon is for the filters of Euler blocks, of which this network has "
                    "none; take adam"
                )
            moved = [part.matrix for part in self.filters]
            self.parts["muon"] = torch.optim.Muon(moved, FILTER_RATE, weight_decay=0.0)
        taken = {id(part.numbers) for part in self.filters}
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
        for filters in self.filters:
            filters.before()
        for part in self.parts.values():
            part.step()
        for filters in self.filters:
            filters.after()

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
