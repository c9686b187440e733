"""Routes to a false certificate through a network: its weights, its parts, how it is called.

Each spoils a denoiser that proves itself. The tiny network's blocks take steps near their limit, so
that filters half as large again prove nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from laws.adversary import parts
from laws.adversary.judge import Rig, Route
from laws.adversary.parts import FACTOR, block
from pnp_recon import guarantees
from pnp_recon.priors.denoiser import Denoiser, wrap


def later(rig: Rig, change: Callable[[], object], look: int = 1) -> None:
    """Makes a change from a callback, when the run is under way."""
    seen: list[int] = []

    def callback(found: Any) -> None:
        seen.append(found.iteration)
        if len(seen) == look:
            change()

    rig.settings["callback"] = callback


# ---- filters ------------------------------------------------------------------------------------


def scaled_behind_the_counter(rig: Rig) -> None:
    block(rig).weight.data.mul_(FACTOR)


def scaled_in_place(rig: Rig) -> None:
    with torch.no_grad():
        block(rig, -1).weight.mul_(FACTOR)


def loaded(rig: Rig) -> None:
    state = rig.prior.function.state_dict()
    state["blocks.0.weight"] = FACTOR * state["blocks.0.weight"]
    rig.prior.function.load_state_dict(state)


def norm_divided(rig: Rig) -> None:
    block(rig).norm.div_(FACTOR)


def step_beyond(rig: Rig) -> None:
    block(rig).step_logit = nn.Parameter(torch.tensor(torch.nan, dtype=torch.float64))


class Times(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return FACTOR * weight


def parametrized(rig: Rig) -> None:
    parametrize.register_parametrization(block(rig), "weight", Times())


def parametrized_on_top(rig: Rig) -> None:
    rig.prior.function.scale = nn.Parameter(torch.ones((), dtype=torch.float64))
    parametrize.register_parametrization(rig.prior.function, "scale", Times())
    scaled_in_place(rig)


def not_finite(rig: Rig) -> None:
    block(rig).weight.data[0, 0, 0, 0] = torch.nan


def bias_not_finite(rig: Rig) -> None:
    block(rig).bias.data[0] = torch.nan


def trained(rig: Rig) -> None:
    rig.prior.function.train()
    for part in rig.prior.function.flow_blocks():
        part.settle()


# ---- what is said of it -------------------------------------------------------------------------


def declared_too_small(rig: Rig) -> None:
    rig.prior = Denoiser(rig.prior.function, "tiny", guarantees.averaged(0.3, "said"), channels=1)


def expansion_declared(rig: Rig) -> None:
    net = rig.prior.function
    rig.prior = wrap(lambda x, sigma: x + 2 * FACTOR * (net(x, sigma) - x), "own", _half())


def _half() -> guarantees.Guarantee:
    return guarantees.averaged(0.5, "said")


def declared_before_a_change(rig: Rig) -> None:
    held = nn.Conv2d(1, 1, 3, padding=1, bias=False).double()
    held.weight.data.fill_(0.1)
    rig.prior = Denoiser(Shrunk(held), "own", _half(), channels=1)
    held.weight.data.mul_(20)


class Shrunk(nn.Module):
    """x ↦ a convolution of x; not one of the package."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, sigma: float) -> Tensor:
        return self.layer(x)


# ---- arithmetic ---------------------------------------------------------------------------------


def bfloat16(rig: Rig) -> None:
    rig.prior.precision = "bfloat16"


def half_weights(rig: Rig) -> None:
    rig.prior.function.half()


def half_filter(rig: Rig) -> None:
    block(rig).weight.data = block(rig).weight.data.bfloat16()


ROUTES = [
    Route("scaled behind the version counter", scaled_behind_the_counter),
    Route("scaled in place", scaled_in_place),
    Route("loaded from a dictionary", loaded),
    Route("norm divided", norm_divided),
    Route("step that is no number", step_beyond),
    Route("parametrized by a class of one's own", parametrized),
    Route("parametrized on top and scaled", parametrized_on_top),
    Route("a filter is not finite", not_finite),
    Route("a bias is not finite", bias_not_finite),
    Route("trained in training mode", trained),
    *parts.ROUTES,
    Route("declared too small", declared_too_small),
    Route("an expansion declared", expansion_declared, "constant"),
    Route("declared before a change", declared_before_a_change),
    Route("bfloat16", bfloat16),
    Route("half weights", half_weights),
    Route("a filter in bfloat16", half_filter),
]


def while_it_runs(route: Route) -> Route:
    """The same spoiling from a callback, after the first look."""

    def spoil(rig: Rig) -> None:
        later(rig, lambda: route.spoil(rig))

    return Route(f"{route.name}, while it runs", spoil, route.declared)


# What can be done to the denoiser that runs; the others make another one.
NEW = (
    *(declared_too_small, expansion_declared, declared_before_a_change),
    *(bfloat16, half_weights, half_filter),  # torch refuses a mixture in its own words
)
RUNNING = [while_it_runs(route) for route in ROUTES if route.spoil not in NEW]
