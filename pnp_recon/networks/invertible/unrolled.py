"""A deep unrolled network that is run backwards: learned proximal gradient as a chain of shears.

A step x − θ∇f(x) forgets, and what forgets has no inverse. The reversible form remembers: the
picture x is the position and v the velocity of an oscillator that the data pull at,

    v ← v − hθ_k d(x) + G_k(x, a, d(x)),   (x, a) ← (x, a) + (hv₀, 0) + F_k(v),   h = π/(2·depth),

with memory a beside the picture and in v beside the velocity v₀. Without the learned maps it is
symplectic Euler over a quarter of a period: it starts at rest, and a mode of the error on which d
acts as the identity arrives at zero (docs/theory.md). In this form it is invertible whatever G and
F are, as learned primal-dual is in Rudzusika et al. 2021 and gradient descent in Putzky & Welling
2019.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from operators.base import LinearOperator
from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.networks.equivariant import Group, regulars_of_width, scalars
from pnp_recon.networks.invertible.reversible import (
    Shear,
    State,
    grid_of,
    reversible,
    rounded,
    trajectory,
    undone,
)
from pnp_recon.networks.unrolled import UnrolledNetwork, Update


class ReversibleNetwork(UnrolledNetwork):
    """`depth` iterations, each of two shears and one pull of the data; see the module.

    Gradients are those of stored features, bit by bit in float32 and float64 where the state stays
    in the range of `exact_range`: its changes are rounded to 2⁻¹⁶ and 2⁻⁴⁰. Memory does not grow
    with the depth. `updates` holds G₁, F₁, G₂, F₂, …

    Attributes:
        reversing: whether gradients run the network backwards; else features are stored, or
            recomputed by iteration where `checkpointing` says so.
        exact: whether changes are rounded, so that the way back is exact.
    """

    def __init__(self, config: UnrolledConfig) -> None:
        super().__init__(config)
        self.reversing = self.exact = True

    def make_updates(self) -> nn.ModuleList:
        config, group = self.config, Group.named(self.config.group)
        pictures, kept = config.channels, config.channels + config.memory
        hidden = regulars_of_width(group, config.width)
        pulled, state = scalars(group, kept + pictures), scalars(group, kept)
        count = 1 if config.shared else config.depth
        return nn.ModuleList(
            Update(source, hidden, state, config.kernel_size, config.filters)
            for _ in range(count)
            for source in (pulled, state)
        )

    def forward(self, y: Tensor, A: LinearOperator) -> Tensor:
        if not (self.reversing and torch.is_grad_enabled()):
            return super().forward(y, A)
        self._check(y, A)
        state = self.first(y, A)
        last = reversible(self.shears(A), state, (y,), self._grid(y))
        return last[0][:, : self.config.channels]

    def iterates(self, y: Tensor, A: LinearOperator) -> Iterator[Tensor]:
        self._check(y, A)
        pictures, grid = self.config.channels, self._grid(y)
        state: State = tuple(rounded(part, grid) for part in self.first(y, A))
        yield state[0][:, :pictures]
        shears = self.shears(A)
        for k in range(self.config.depth):
            pair = shears[2 * k : 2 * k + 2]

            def both(*now: Tensor, pair: list[Shear] = pair) -> State:
                *_, last = trajectory(pair, now, (y,), grid)
                return last

            if self.checkpointing and torch.is_grad_enabled():
                state = checkpoint(both, *state, use_reentrant=False)
            else:
                state = both(*state)
            yield state[0][:, :pictures]

    def first(self, y: Tensor, A: LinearOperator) -> State:
        """The start and memory (u); at rest (v), the start in its memory for F to see edges in."""
        x = self.start(y, A)
        memory = x.new_zeros(x.shape[0], self.config.memory, *x.shape[2:])
        beside = memory.clone()
        copied = min(self.config.memory, x.shape[1])
        beside[:, :copied] = x[:, :copied]
        return torch.cat([x, memory], 1), torch.cat([torch.zeros_like(x), beside], 1)

    def last_state(self, y: Tensor, A: LinearOperator) -> State:
        """What the network ends with, u and v, from which it is run backwards."""
        *_, last = trajectory(self.shears(A), self.first(y, A), (y,), self._grid(y))
        return last

    def first_again(self, state: State, y: Tensor, A: LinearOperator) -> State:
        """`first`, from the last state."""
        return undone(self.shears(A), state, (y,), self._grid(y))

    def shears(self, A: LinearOperator) -> list[Shear]:
        pictures, h = self.config.channels, math.pi / (2 * self.config.depth)
        found: list[Shear] = []
        for k in range(self.config.depth):
            pulled, moved = self._pair(k)

            def pull(u: Tensor, y: Tensor, k: int = k, update: Update = pulled) -> Tensor:
                direction = self.direction(u[:, :pictures], y, A)
                change = update(torch.cat([u, direction], 1))
                return change - self._widened(h * self.steps[k] * direction)

            def move(v: Tensor, y: Tensor, update: Update = moved) -> Tensor:
                return update(v) + self._widened(h * v[:, :pictures])

            numbers = [self.steps] if isinstance(self.steps, nn.Parameter) else []
            found.append(Shear(1, pull, (*numbers, *pulled.parameters())))
            found.append(Shear(0, move, tuple(moved.parameters())))
        return found

    def _grid(self, y: Tensor) -> float | None:
        return grid_of(y.dtype) if self.exact else None

    def _widened(self, pictures: Tensor) -> Tensor:
        """With memory channels of zeros."""
        return F.pad(pictures, (0, 0, 0, 0, 0, self.config.memory))

    def _pair(self, k: int) -> tuple[Update, Update]:
        index = 0 if self.config.shared else 2 * k
        return cast(Update, self.updates[index]), cast(Update, self.updates[index + 1])


def unrolled_network(config: UnrolledConfig) -> UnrolledNetwork:
    """The network that a configuration describes."""
    return (ReversibleNetwork if config.cell == "reversible" else UnrolledNetwork)(config)
