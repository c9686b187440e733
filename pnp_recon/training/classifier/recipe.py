"""How classifiers are trained: loss, margin, what is done to pictures. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pnp_recon.errors import InputError
from pnp_recon.training.recipe import Recipe

LOSSES = ("entropy", "hinge")
# Radii at which the certified accuracy is stated, Euclidean, pictures in [0, 1]; those of the log.
RADII = (0.0, 8 / 255, 16 / 255, 0.1, 36 / 255, 0.25, 0.5, 1.0)
LOGGED = (0.0, 36 / 255, 0.25, 0.5)


@dataclass(frozen=True, kw_only=True)
class ClassifierRecipe(Recipe):
    """How a classifier is trained.

    Attributes:
        criterion: "entropy", cross-entropy with a handicap over a temperature, or "hinge".
        margin: the handicap, or the lead that the hinge asks for; in units of the input.
        temperature: what the logits of the cross-entropy are divided by.
        shift: pictures are moved by up to so many pixels along each axis.
        flip: pictures are mirrored left to right, half of them.

    Raises:
        InputError: a value outside its range.
    """

    steps: Annotated[int, "Train for this many optimiser steps."] = 2000
    batch: Annotated[int, "Draw this many pictures for each step."] = 256
    learning_rate: Annotated[float, "This is Adam's learning rate at its peak."] = 8e-3
    bf16: Annotated[bool, "Compute the network in bfloat16; the weights stay float32."] = False
    criterion: Annotated[str, "Minimise entropy (with handicap and temperature) or hinge."] = (
        "entropy"
    )
    margin: Annotated[float, "The true class is to lead by this much, in units of the input."] = (
        0.75
    )
    temperature: Annotated[float, "The cross-entropy is softened by this much."] = 0.25
    shift: Annotated[int, "Move pictures by up to this many pixels."] = 0
    flip: Annotated[bool, "Mirror half of the pictures left to right."] = False

    loss: ClassVar[str] = "multi-class margin loss of the logits of unit functionals"

    def __post_init__(self) -> None:
        if self.criterion not in LOSSES:
            raise InputError(f"unknown criterion {self.criterion!r}; known: {', '.join(LOSSES)}")
        if not self.margin >= 0 or not self.temperature > 0 or self.shift < 0:
            raise InputError(
                f"margin {self.margin:g}, temperature {self.temperature:g}, shift {self.shift}; "
                "expected margin and shift ≥ 0 and a positive temperature"
            )
        super().__post_init__()
