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
CELLS = ("plain", "reversible")
ARCHITECTURES = ("dense", "conv")
HALVINGS = ("unshuffle", "pool")


@dataclass(frozen=True)
class EulerConfig:
    """What builds an `EulerNet`; stored in the model card.

    `group` is C1 (none), C2, C4, D1, D2 or D4: what the network commutes with. Other groups than
    C1 need the lifting "unshuffle", and `width` and `hidden` multiples of the group's order.
    """

    channels: Annotated[int, "Pictures have this many channels."] = 1
    width: Annotated[int, "Features have this many channels."] = 64
    hidden: Annotated[int, "Every block has this many filters."] = 64
    blocks: Annotated[int, "The network has this many blocks of gradient flow."] = 8
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
    integrator: Annotated[
        str,
        "Every block is one step of this method: euler, improved_euler, ralston2, kutta3, ssp33, "
        "rk4, three_eighths or ssp104.",
    ] = "euler"


@dataclass(frozen=True)
class DnCNNConfig:
    """What builds a `DnCNN`; stored in the model card."""

    channels: Annotated[int, "Pictures have this many channels."] = 1
    depth: Annotated[int, "The network has this many convolutional layers."] = 17
    width: Annotated[int, "Features have this many channels."] = 64


@dataclass(frozen=True)
class GradientStepConfig:
    """What builds a `GradientStepNet`; stored in the model card.

    The network sees (sigma_ref / sigma)^power times the picture, and its answer is scaled back.
    """

    channels: Annotated[int, "Pictures have this many channels."] = 1
    widths: Annotated[tuple[int, ...], "Each scale has this many channels, finest first."] = (
        40,
        80,
        128,
    )
    down: Annotated[tuple[int, ...], "Each scale has this many blocks on the way down."] = (2, 2, 2)
    up: Annotated[tuple[int, ...], "Each scale but the last has this many blocks upwards."] = (1, 1)
    embedding: Annotated[int, "The noise level is described by this many numbers."] = 32
    sigma_ref: Annotated[float, "At this noise level the picture is not rescaled."] = 0.1
    power: Annotated[float, "The rescaling has this exponent."] = 0.5

    def __post_init__(self) -> None:
        for name in ("widths", "down", "up"):  # a card holds lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.down) != len(self.widths) or len(self.up) != len(self.widths) - 1:
            raise ValueError(
                f"widths, down and up are {self.widths}, {self.down}, {self.up}; expected as many "
                "numbers of blocks down as widths, and one less up"
            )
        if min(self.channels, self.embedding, *self.widths) < 1 or min(*self.down, *self.up, 0) < 0:
            raise ValueError(f"channels, widths and embedding are at least 1; found {self}")
        if self.sigma_ref <= 0:
            raise ValueError(f"sigma_ref is {self.sigma_ref}; expected above 0")


@dataclass(frozen=True)
class RidgeConfig:
    """What builds a `RidgeNet`; stored in the model card."""

    channels: Annotated[int, "Pictures have this many channels."] = 1
    widths: Annotated[tuple[int, ...], "The filters' three convolutions have these widths."] = (
        4,
        8,
        64,
    )
    size: Annotated[int, "Each convolution is this many pixels wide, an odd number."] = 5
    group: Annotated[int, "A potential acts on the norm of this many channels."] = 1
    knots: Annotated[int, "The slope of a potential changes at this many places."] = 12
    levels: Annotated[int, "Potentials are interpolated between this many noise levels."] = 7
    mu_max: Annotated[float, "No potential has a larger second derivative."] = 16.0
    sigma_min: Annotated[float, "Below this noise level the potentials keep their form."] = (
        0.5 / 255
    )
    sigma_max: Annotated[float, "Above this noise level the potentials keep their form."] = 60 / 255

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # a card holds a list
        if len(self.widths) != 3 or self.size < 1 or self.size % 2 == 0:
            raise ValueError(f"expected three widths and an odd size; found {self}")
        if min(self.channels, self.group, *self.widths) < 1 or self.widths[-1] % self.group:
            raise ValueError(f"expected a last width that is a multiple of group; found {self}")
        if self.knots < 1 or self.levels < 2 or not 0 < self.sigma_min < self.sigma_max:
            raise ValueError(f"expected knots, two levels and 0 < sigma_min < sigma_max: {self}")


@dataclass(frozen=True)
class PatchFlowConfig:
    """What builds a `PatchFlowNet`; stored in the model card."""

    channels: Annotated[int, "Pictures have this many channels."] = 1
    size: Annotated[int, "Patches are this many pixels wide and high."] = 6
    layers: Annotated[int, "The flow has this many affine couplings."] = 6
    hidden: Annotated[int, "The two hidden layers of a coupling have this many numbers."] = 96
    stretch: Annotated[float, "The logarithm of a scale stays within this bound."] = 1.5
    sigma_ref: Annotated[float, "The noise level is told relative to this one."] = 0.1

    def __post_init__(self) -> None:
        if min(self.channels, self.size, self.layers, self.hidden) < 1:
            raise ValueError(f"channels, size, layers and hidden are at least 1; found {self}")
        if self.channels * self.size**2 < 2:
            raise ValueError(
                f"expected patches of two numbers or more, to couple them; found {self}"
            )
        if not (0 < self.stretch < float("inf") and 0 < self.sigma_ref < float("inf")):
            raise ValueError(f"expected a positive stretch and sigma_ref; found {self}")


@dataclass(frozen=True)
class CriticConfig:
    """What builds a `CriticNet`; stored in the model card."""

    channels: Annotated[int, "Pictures have this many channels."] = 1
    features: Annotated[int, "Features have this many channels."] = 32
    size: Annotated[int, "The first filters are this many pixels wide, an odd number."] = 5
    blocks: Annotated[int, "The critic has this many blocks of gradient flow."] = 2
    group: Annotated[int, "The critic takes norms of this many channels."] = 2
    softness: Annotated[float, "Norms are rounded below this multiple of the noise level."] = 0.2

    def __post_init__(self) -> None:
        if min(self.channels, self.features, self.size, self.group) < 1 or self.blocks < 0:
            raise ValueError(f"channels, features, size and group are at least 1; found {self}")
        if self.size % 2 == 0 or self.features % self.group:
            raise ValueError(f"expected an odd size and features in whole groups; found {self}")
        if not 0 < self.softness < float("inf"):
            raise ValueError(f"softness is {self.softness}; expected a positive number")


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
        cell: "plain", or "reversible": every iteration has an inverse, and training keeps none
            of their features (`networks.invertible.unrolled`); proximal gradient alone.
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
    cell: Annotated[
        str,
        "Iterations are plain, or reversible: training then takes no more memory for more "
        "iterations.",
    ] = "plain"

    def __post_init__(self) -> None:
        from pnp_recon.networks.equivariant import Group, regulars_of_width

        for name in ("channels", "width", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.memory < 0:
            raise ValueError(f"memory is {self.memory}; expected at least 0")
        known = {"scheme": SCHEMES, "start": STARTS, "gradient": GRADIENTS, "steps": STEPS}
        known["cell"] = CELLS
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r}; known: {', '.join(values)}"
                )
        if self.cell != CELLS[0] and self.scheme != SCHEMES[0]:
            raise ValueError(f"cell {self.cell!r} is for the scheme {SCHEMES[0]!r} alone")
        regulars_of_width(Group.named(self.group), self.width)


@dataclass(frozen=True)
class ClassifierConfig:
    """What builds a classifier (`networks.classifier.build_classifier`); stored in its card.

    Attributes:
        architecture: "dense", an Euler flow of vectors, or "conv", Euler blocks in stages.
        channels, side: what pictures have, which are square.
        classes: number of classes.
        width: numbers of a feature vector, at least those of a picture; for "conv" channels of
            the first stage. 0: those of a picture, or 16.
        blocks: number of them in the flow; for "conv" in each stage.
        stages: "conv" alone; the side is halved between two of them.
        halving: "unshuffle", which keeps all numbers (four times the channels), or "pool", the
            mean of four pixels times two (twice the channels, half of them zero at first).
        kernel_size: "conv" alone, odd.
        activation, integrator: a name of `flows.fields.SLOPES` or of `activations.ACTIVATIONS`; an
            explicit method with a radius (`flows.tableaux`).

    Raises:
        ValueError: what does not go together.
    """

    architecture: Annotated[str, "The network is dense (vectors) or conv (pictures)."] = "dense"
    channels: Annotated[int, "Pictures have this many channels."] = 1
    side: Annotated[int, "Pictures are this many pixels wide and high."] = 8
    classes: Annotated[int, "There are this many classes."] = 10
    width: Annotated[
        int, "Feature vectors have this many numbers, features of conv this many channels at first."
    ] = 0
    blocks: Annotated[int, "The network has this many blocks, a conv one in each stage."] = 6
    stages: Annotated[int, "A conv network has this many stages."] = 2
    halving: Annotated[str, "Between two stages conv halves by unshuffle or pool."] = "unshuffle"
    kernel_size: Annotated[int, "Filters of conv are this many pixels wide, an odd number."] = 3
    activation: Annotated[str, "The activation is relu, leaky_relu or clip."] = "relu"
    integrator: Annotated[str, "Every block is one step of this method, such as euler or rk4."] = (
        "euler"
    )

    def __post_init__(self) -> None:
        for name in ("channels", "side", "classes", "blocks", "stages", "kernel_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        known = {"architecture": ARCHITECTURES, "halving": HALVINGS}
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r}; known: {', '.join(values)}"
                )
        dense = self.architecture == ARCHITECTURES[0]
        least = self.inputs if dense else self.channels
        if self.width and self.width < least:
            raise ValueError(
                f"width is {self.width}; expected at least {least}, as pictures are lifted by an "
                "isometry"
            )
        if not dense and self.side % 2 ** (self.stages - 1):
            raise ValueError(
                f"pictures of {self.side} pixels cannot be halved {self.stages - 1} times; take "
                "fewer stages"
            )

    @property
    def inputs(self) -> int:
        """Numbers of a picture."""
        return self.channels * self.side**2
