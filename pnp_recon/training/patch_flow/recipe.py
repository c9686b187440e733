"""How a patch flow is trained: few pictures, many patches. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pnp_recon.errors import InputError
from pnp_recon.training.denoiser.recipe import DenoiserRecipe


@dataclass(frozen=True, kw_only=True)
class PatchFlowRecipe(DenoiserRecipe):
    """How a patch flow is trained.

    Attributes:
        few: the number of pictures that patches are taken from, evenly spaced; 0: all.
        score: weight of (σ∇log p_σ + ε)², ε the noise of a patch, beside −log p_σ.

    Raises:
        InputError: a value outside its range.
    """

    batch: Annotated[int, "Draw this many patches for each step."] = 1024
    learning_rate: Annotated[float, "This is Adam's learning rate at its peak."] = 1e-3
    ema: Annotated[float, "The weight average forgets at this rate, from 0 to 1."] = 0.998
    bf16: Annotated[bool, "Compute the network in bfloat16; the weights stay float32."] = False
    few: Annotated[int, "Take patches from this many pictures, evenly spaced; 0: from all."] = 6
    score: Annotated[
        float, "How well the flow tells the noise weighs so much beside the likelihood."
    ] = 1.0

    loss: ClassVar[str] = (
        "minus the logarithm of the density of noisy patches, a number, one level a patch, uniform "
        "in log σ; and the squared error of σ times its gradient as an estimate of the noise"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.few < 0 or not 0 <= self.score < float("inf"):
            raise InputError(
                f"few is {self.few}, score {self.score:g}; expected numbers of at least 0"
            )
