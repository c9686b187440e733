"""What builds each network: plain values, stored in model cards and run folders. Loads no torch.

The words beside a field say what it means; commands show them. A configuration knows nothing of
weights, nor of how it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

SCHEMES = ("proximal-gradient", "primal-dual")
STARTS = ("guess", "zero")
GRADIENTS = ("adjoint", "filtered")
STEPS = ("learned", "fixed")


@dataclass(frozen=True)
class EulerConfig:
    """What builds an `EulerNet`; stored in the model card.

    `group` is C1 (none), C2, C4, D1, D2 or D4: what the network commutes with. Other groups than
    C1 need the lifting "unshuffle", and `width` and `hidden` multiples of the group's order.
    """

    channels: Annotated[int, "Pictures have this many channels."] = 1
    width: Annotated[int, "Features have this many channels."] = 64
    hidden: Annotated[int, "Every block has this many filters."] = 64
    blocks: Annotated[int, "The network has this many Euler blocks."] = 8
    kernel_size: Annotated[int, "Filters are this many pixels wide, an odd number."] = 3
    activation: Annotated[str, "The activation is relu, leaky_relu, clip, spline or ball4."] = (
        "clip"
    )
    lifting: Annotated[str, "The lifting is pad, unshuffle, haar, haar2 or orthonormal."] = "haar"
    group: Annotated[
        str,
        "The denoiser commutes with these turns and flips: C1 (none), C4 (90° turns), D4 (and "
        "flips); also C2, D1, D2.",
    ] = "C1"


@dataclass(frozen=True)
class DnCNNConfig:
    """What builds a `DnCNN`; stored in the model card."""

    channels: Annotated[int, "Pictures have this many channels."] = 1
    depth: Annotated[int, "The network has this many convolutional layers."] = 17
    width: Annotated[int, "Features have this many channels."] = 64


@dataclass(frozen=True)
class UnrolledConfig:
    """What builds an `UnrolledNetwork`; stored in the model card.

    Attributes:
        scheme: "proximal-gradient" or "primal-dual".
        group: "C1" (ordinary), "C4", "D4", "C8", ...; its order must divide `width`.
        channels: number of channels of the picture.
        width: channels of the hidden layers, |G| for each regular field.
        depth: iterations.
        memory: scalar channels handed from one iteration to the next.
        kernel_size: odd.
        shared: one proximal map for all iterations instead of one each.
        start: "guess" (`A.initial_guess(y)`: filtered back-projection for a ray transform) or
            "zero".
        gradient: "adjoint", Aᵀ(Ax − y)/‖A‖² with the proven bound of ‖A‖, or "filtered", the
            residual through `A.filtered_adjoint`: for a ray transform about its inverse.
        steps: "learned" step sizes, one an iteration, or "fixed" at 1/‖A‖².
        filters: see `GroupConv`; None: all filters there are, or harmonic ones for C8, D8, ...
    """

    scheme: Annotated[str, "The scheme is proximal-gradient or primal-dual."] = "proximal-gradient"
    group: Annotated[
        str, "The learned maps commute with these turns and flips: C1 (none), C4, D4, C8, D8."
    ] = "C4"
    channels: Annotated[int, "Pictures have this many channels."] = 1
    width: Annotated[
        int, "Hidden layers have this many channels, a multiple of the group's order."
    ] = 96
    depth: Annotated[int, "The network makes this many iterations."] = 8
    memory: Annotated[int, "This many channels are handed from one iteration to the next."] = 5
    kernel_size: Annotated[int, "Filters are this many pixels wide, an odd number."] = 3
    shared: Annotated[bool, "One learned map serves all iterations."] = False
    start: Annotated[str, "The iterations start at guess (filtered back-projection) or zero."] = (
        "guess"
    )
    gradient: Annotated[
        str, "The pull of the data is filtered (as in back-projection) or adjoint."
    ] = "adjoint"
    steps: Annotated[str, "Step sizes are learned or fixed."] = "learned"
    filters: Annotated[str | None, "Filters are pixel or harmonic."] = None

    def __post_init__(self) -> None:
        from pnp_recon.networks.equivariant import Group, regulars_of_width

        for name in ("channels", "width", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.memory < 0:
            raise ValueError(f"memory is {self.memory}; expected at least 0")
        known = {"scheme": SCHEMES, "start": STARTS, "gradient": GRADIENTS, "steps": STEPS}
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r}; known: {', '.join(values)}"
                )
        regulars_of_width(Group.named(self.group), self.width)
