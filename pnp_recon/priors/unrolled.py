"""Unrolled networks as a prior: a network, what it was trained for, and what is known about it.

`solvers.learned` runs it, `weights_unrolled` reads and writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, cast

import torch
from torch import nn

from operators.base import LinearOperator
from pnp_recon import guarantees
from pnp_recon.contracts import PriorKind
from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.networks.equivariant import Group, export
from pnp_recon.networks.unrolled import UnrolledNetwork
from pnp_recon.priors.unrolled_domain import TrainedOn

# Pictures that equivariance is measured on: an even and an odd one.
SIZES = ((16, 16), (17, 17))


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

    kind: ClassVar[PriorKind] = "network"

    network: UnrolledNetwork
    name: str
    trained_on: TrainedOn
    card: Mapping[str, Any] = field(default_factory=dict)
    parameters: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", count_parameters(self.network))
        network = cast(UnrolledNetwork, export(self.network))
        object.__setattr__(self, "network", network.eval().requires_grad_(False))

    def check(
        self,
        A: LinearOperator,
        *,
        window_hu: tuple[float, float] | None = None,
        incident: float | None = None,
    ) -> tuple[str, ...]:
        """Is this what the network was trained for?

        Lengths of a scan count in pixels: with another unit of length it is the same problem
        save for the noise. Another number of pixels is another problem.

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


def measure_equivariance(network: UnrolledNetwork) -> Equivariance:
    """The learned proximal maps on white noise, in float32 on the CPU.

    Tried are the elements of the network's group that map the pixel grid onto itself; where there
    are none but the identity, turns by 90°, which then nothing promises.
    """
    group = Group.named(network.config.group)
    elements = group.subgroup_on_grid()
    promised = len(elements) > 1
    if not promised:
        group = Group(4)
        elements = group.elements
    turns = sorted({360 * g.rotation / group.rotations for g in elements})
    report = network.check_equivariance(turns, group.reflections, sizes=SIZES, dtype=torch.float32)
    words = [f"turns by {turns[1]:g}°"] if len(turns) > 1 else []
    words += ["flips"] if group.reflections else []
    return Equivariance(promised, " and ".join(words), report.worst)


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
