"""Unrolled networks as a prior: a network, what it was trained for, and what is known about it.

`solvers.learned` runs it, `weights_unrolled` reads and writes it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from operators.base import LinearOperator
from pnp_recon import guarantees
from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.learned_domain import TrainedOn
from pnp_recon.networks.equivariant import Element, Group, turn
from pnp_recon.networks.unrolled import UnrolledNetwork

# Sides of the pictures that equivariance is measured on: an even and an odd one.
SIDES = (16, 17)


@dataclass(frozen=True)
class Equivariance:
    """How well the learned maps of a network commute with turns and flips, measured.

    Attributes:
        promised: the weights are tied by a group to commute with them.
        elements: which turns and flips, in words.
        error: the largest ‖P(g·x) − g·P(x)‖ / ‖P(x)‖ over the maps P and all g, in float32.
    """

    promised: bool
    elements: str
    error: float

    def __str__(self) -> str:
        if not self.promised:
            return (
                f"no group ties its learned maps (measured under {self.elements}: relative error "
                f"{self.error:.1e})"
            )
        return (
            f"its learned maps are equivariant under {self.elements} (measured: relative error "
            f"{self.error:.1e} in float32), as the proximal map of an invariant regulariser is "
            "(Celledoni et al. 2021, Prop. 1), the whole network only where A is"
        )


@dataclass(frozen=True, eq=False)
class LearnedReconstruction:
    """A trained unrolled network, ready to reconstruct; `reconstruct(y, A, model)` runs it.

    Attributes:
        network: a copy of the network given, whose filters are stored plainly, without gradients.
        name: for reports.
        trained_on: the measurements that it is meant for.
        card: where it comes from (model card).
        parameters: how many numbers were learned; filters that a group ties hold more.
    """

    network: UnrolledNetwork
    name: str
    trained_on: TrainedOn
    card: Mapping[str, Any] = field(default_factory=dict)
    parameters: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", count_parameters(self.network))
        object.__setattr__(self, "network", plain(self.network).eval().requires_grad_(False))

    def check(
        self,
        A: LinearOperator,
        *,
        window_hu: tuple[float, float] | None = None,
        incident: float | None = None,
    ) -> tuple[str, ...]:
        """Is this what the network was trained for?

        Lengths of a scan count in pixels: a scan of another size, but of the same shape, is the
        same problem save for the noise.

        Args:
            A: the operator of the measurements.
            window_hu: what their [0, 1] means in HU; None: not asked about.
            incident: photons that entered each ray; None: not asked about.

        Returns:
            warnings, none where all fits.

        Raises:
            InputError: another kind of operator or number of channels; another geometry or
                window, where the card refuses them.
        """
        known, found = self.trained_on, type(A).__name__
        if found != known.operator or A.image_shape[0] != known.image_shape[0]:
            raise InputError(
                f"{self.name} is a network for {known.operator} and pictures of "
                f"{known.image_shape[0]} channels, found {found} and {A.image_shape[0]}; take a "
                "network that was trained for it, or a denoiser, which goes with every operator"
            )
        others = known.differences(A, window_hu)
        if others and known.other_geometry == "refuse":
            raise InputError(
                f"{self.name} was trained for another measurement and refuses this one: "
                f"{'; '.join(others)}; measure as it was trained ({known}), or take another "
                "network or a denoiser"
            )
        others += known.lesser_differences(A, incident)
        return tuple(f"{self.name} was not trained for this: {other}" for other in others)

    @cached_property
    def equivariance(self) -> Equivariance:
        """Measured on the very weights, when first asked for."""
        return measure_equivariance(self.network)

    @property
    def guarantee(self) -> Guarantee:
        """None, and what is known all the same."""
        depth = self.network.config.depth
        return guarantees.none(
            f"{depth} learned iterations, a fixed number, for which no convergence theorem is "
            f"known; {self.equivariance}"
        )


@torch.no_grad()
def measure_equivariance(network: UnrolledNetwork) -> Equivariance:
    """The learned proximal maps on white noise, in float32 on the CPU.

    Tried are the elements of the network's group that map the pixel grid onto itself; where there
    are none but the identity, turns by 90°, which then nothing promises.
    """
    group = Group.named(network.config.group)
    elements = [g for g in group.subgroup_on_grid() if g != (0, 0)]
    promised = bool(elements)
    if not promised:
        group = Group(4)
        elements = list(group.elements[1:])
    generator = torch.Generator().manual_seed(0)
    channels = 2 * network.config.channels + network.config.memory
    worst = 0.0
    for update in network.updates:
        function = copy.deepcopy(update).to("cpu", torch.float32).eval()
        for side in SIDES:
            x = torch.randn(1, channels, side, side, generator=generator)
            worst = max(worst, _error(function, x, group, elements))
    return Equivariance(promised, _element_words(group, elements), worst)


def _error(function: nn.Module, x: Tensor, group: Group, elements: list[Element]) -> float:
    y = function(x)
    scale = float(y.norm())
    gaps = [float((function(turn(x, group, g)) - turn(y, group, g)).norm()) for g in elements]
    found = max(gaps) / scale if scale else max(gaps)
    return found if math.isfinite(found) else math.inf


def _element_words(group: Group, elements: list[Element]) -> str:
    quarters = {4 * g.rotation // group.rotations for g in elements}
    turns = {1: "turns by 90°", 2: "turns by 180°"}.get(min(quarters - {0}, default=0))
    flips = "flips" if any(g.reflection for g in elements) else None
    return " and ".join(words for words in (turns, flips) if words)


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def plain(network: UnrolledNetwork) -> UnrolledNetwork:
    """A copy whose filters and biases are stored as they are, without parametrisation."""
    copied = copy.deepcopy(network)
    for layer in copied.modules():
        if parametrize.is_parametrized(layer):
            for name in list(layer.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(layer, name, leave_parametrized=True)
    return copied
