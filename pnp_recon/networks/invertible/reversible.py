"""Back-propagation without stored features: a network of shears is run backwards.

A shear adds to one part of the state a function of the others, x_i ← x_i + f(x_j, j ≠ i): additive
coupling, symplectic Euler and Störmer–Verlet steps are made of shears. It is undone by subtraction,
so that the states which gradients need are computed from the last one (Gomez et al. 2017; Chang et
al. 2018). Memory does not grow with the number of shears; a gradient costs one more evaluation of
each f, as with checkpoints.

In floating-point numbers (x + f) − f is not x. Where every f is rounded to multiples of a power of
two and the state stays in a proven range, sums are exact and so is the way back, bit by bit; the
gradients are then those of stored features (the rounding counts as the identity there).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Rounding of the changes of a state with values about 1: far below what a picture shows.
GRIDS = {torch.float32: 2.0**-16, torch.float64: 2.0**-40}

State = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Shear:
    """state[moves] ← state[moves] + change(*others, *context).

    Attributes:
        moves: number of the part that changes.
        change: a function of the other parts, in their order, and of the context, in the shape of
            the part that moves; called twice it gives the same.
        parameters: what `change` depends on besides and gradients are wanted of.
    """

    moves: int
    change: Callable[..., Tensor]
    parameters: tuple[Tensor, ...] = ()

    def others(self, state: Sequence[Tensor]) -> list[Tensor]:
        return [part for number, part in enumerate(state) if number != self.moves]


def exact_range(dtype: torch.dtype, grid: float) -> float:
    """Sums of multiples of `grid` are exact while no value exceeds this."""
    return grid * 2 / torch.finfo(dtype).eps


def grid_of(dtype: torch.dtype) -> float | None:
    """The grid that is used for states of a precision; None: too coarse to have one."""
    return GRIDS.get(dtype)


def rounded(values: Tensor, grid: float | None) -> Tensor:
    """To multiples of `grid`, a power of two; the derivative is that of the identity."""
    if grid is None:
        return values
    steps = (values.detach() / grid).round() * grid
    return steps + (values - values.detach()) if values.requires_grad else steps


def trajectory(
    shears: Sequence[Shear], state: State, context: State = (), grid: float | None = None
) -> Iterator[State]:
    """The state before the first shear and after each; autograd stores what it needs."""
    now = [rounded(part, grid) for part in state]
    yield tuple(now)
    for shear in shears:
        now[shear.moves] = now[shear.moves] + _change(shear, now, context, grid)
        yield tuple(now)


def stored(
    shears: Sequence[Shear], state: State, context: State = (), grid: float | None = None
) -> State:
    """The last state by `trajectory`: memory grows with the number of shears."""
    *_, last = trajectory(shears, state, context, grid)
    return last


@torch.no_grad()
def undone(
    shears: Sequence[Shear], state: State, context: State = (), grid: float | None = None
) -> State:
    """The state before the first shear, from the last one; exact with a grid."""
    now = list(state)
    for shear in reversed(shears):
        now[shear.moves] = now[shear.moves] - _change(shear, now, context, grid)
    return tuple(now)


def reversible(
    shears: Sequence[Shear], state: State, context: State = (), grid: float | None = None
) -> State:
    """The same as `stored`, keeping the last state alone for the gradients.

    Gradients reach the state, the context and the parameters of the shears, once: a second
    derivative is refused.

    Args:
        shears: from the first to the last.
        state: the parts, floating-point tensors.
        context: tensors that every shear reads and none changes.
        grid: see `rounded`; without one the way back is exact up to rounding.

    Warns:
        RuntimeWarning: with a grid, gradients were computed from other states than there were: a
            value beyond `exact_range`, or a change that is not the same twice.
    """
    parameters = {id(p): p for shear in shears for p in shear.parameters}
    places = {key: len(context) + i for i, key in enumerate(parameters)}
    run = _Run(tuple(shears), len(state), len(context), places, grid)
    found: State = _Reversed.apply(run, *state, *context, *parameters.values())  # type: ignore[no-untyped-call]
    return found


@dataclass(frozen=True, eq=False)
class _Run:
    """What is run; `places` of the parameters, by identity, among context and parameters."""

    shears: tuple[Shear, ...]
    parts: int
    read: int
    places: dict[int, int]
    grid: float | None


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, run: _Run, *tensors: Tensor) -> State:
        state, context = tensors[: run.parts], tensors[run.parts : run.parts + run.read]
        # Copies: they are changed in place, and no result may be an input.
        now = [rounded(part.detach(), run.grid).clone() for part in state]
        for shear in run.shears:
            now[shear.moves] += _change(shear, now, context, run.grid)
        device = state[0].device.type
        ctx.run, ctx.device = run, device
        ctx.autocast = torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)
        # Parameters are not copied; saved, a change of them before the way back is an error.
        ctx.save_for_backward(*now, *tensors[run.parts :], *state)
        return tuple(now)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        run: _Run = ctx.run
        now = [part.clone() for part in ctx.saved_tensors[: run.parts]]
        towards = [slope.clone() for slope in slopes]
        needed = ctx.needs_input_grad[1 + run.parts :]
        context = [
            tensor.detach().requires_grad_(wanted)
            for tensor, wanted in zip(
                ctx.saved_tensors[run.parts : run.parts + run.read], needed, strict=False
            )
        ]
        found: list[Tensor | None] = [None] * len(needed)
        dtype, enabled = ctx.autocast
        for shear in reversed(run.shears):
            others = [part.detach().requires_grad_() for part in shear.others(now)]
            # A cast that was cached on the way there has no gradient.
            with (
                torch.enable_grad(),
                torch.autocast(ctx.device, dtype, enabled, cache_enabled=False),
            ):
                change = shear.change(*others, *context).to(now[shear.moves].dtype)
            now[shear.moves] -= rounded(change.detach(), run.grid)
            rest = [number for number in range(run.parts) if number != shear.moves]
            wanted = [(k, tensor) for k, tensor in enumerate(context) if needed[k]]
            wanted += [
                (run.places[id(p)], p) for p in shear.parameters if needed[run.places[id(p)]]
            ]
            inputs = [*others, *(tensor for _, tensor in wanted)]
            if not change.requires_grad:
                continue
            grown = torch.autograd.grad(change, inputs, towards[shear.moves], allow_unused=True)
            for number, slope in zip(rest, grown, strict=False):
                if slope is not None:
                    towards[number] += slope
            for (place, _), slope in zip(wanted, grown[len(others) :], strict=True):
                if slope is not None:
                    before = found[place]
                    found[place] = slope if before is None else before + slope
        _compare(now, ctx.saved_tensors[-run.parts :], run.grid)
        return (None, *towards, *found)


def _compare(found: Sequence[Tensor], first: Sequence[Tensor], grid: float | None) -> None:
    """The way back ends where the way there began."""
    if grid is None:
        return
    pairs = zip(found, first, strict=True)
    gaps = [(back - rounded(part.detach(), grid)).abs().max().double() for back, part in pairs]
    gap = float(torch.stack(gaps).max())  # NaN where one is, as Python's `max` is not
    if gap != 0:
        warnings.warn(
            f"a reversible network was not run backwards exactly (error {gap:.1e}): its state left "
            f"the range of ±{exact_range(first[0].dtype, grid):g}, or its layers do not give the "
            "same result twice; gradients are inexact",
            RuntimeWarning,
            stacklevel=2,
        )


def _change(
    shear: Shear, state: Sequence[Tensor], context: Sequence[Tensor], grid: float | None
) -> Tensor:
    # Views, so that autograd adds up what reaches a part in the order of the way back above.
    others = [part.view_as(part) for part in shear.others(state)]
    change = shear.change(*others, *context)
    return rounded(change.to(state[shear.moves].dtype), grid)
