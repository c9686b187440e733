"""The task of `pnp-train fixed-point`: a certified denoiser is trained on. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pnp_recon.errors import InputError
from pnp_recon.training.denoiser.pictures import DATA
from pnp_recon.training.denoiser.task import DenoiserTask
from pnp_recon.training.fixed_point.beginning import (
    FirstWeights,
    absolute,
    first_network,
    first_weights,
    stem,
)
from pnp_recon.training.fixed_point.recipe import FixedPointRecipe
from pnp_recon.training.task import HIDDEN, Flag, Given

if TYPE_CHECKING:
    from torch import nn

    from pnp_recon.training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class FixedPointTask(DenoiserTask):
    """A certified denoiser that is trained on, at the fixed point. See `DenoiserTask`.

    Attributes:
        beginning: what training starts from.
    """

    kind: ClassVar[str] = "fixed-point"
    flags: ClassVar[Mapping[str, Flag]] = {
        **DenoiserTask.flags,
        "data": DATA,
        "name": Flag(default="INIT_fixed_point"),
        "network": HIDDEN,  # it is that of the model which training begins with
        "recipe.optimiser": HIDDEN,
        "beginning.model": Flag(names=("--init",)),
        "beginning.sha256": Flag(asked=False, said="init (SHA-256)"),
    }

    recipe: FixedPointRecipe
    beginning: FirstWeights

    @classmethod
    def completed(cls, given: Given) -> Given:
        """Adds the network of the model which training begins with, and its hash."""
        model = given.get("beginning", {}).get("model")
        if model is None:
            return given
        sha256, _ = first_weights(model)
        network = first_network(model, (DenoiserTask.kind, cls.kind))
        beginning = {"model": absolute(model), "sha256": sha256}
        return {**given, "network": network, "beginning": beginning}

    @classmethod
    def defaults(cls, given: Given) -> Given:
        model = given.get("beginning", {}).get("model")
        if model is None:
            raise InputError(
                "nothing to train on from; give --init NAME|CARD|CHECKPOINT to start a run, or the "
                "folder of a run with -o to resume it"
            )
        return {"name": f"{stem(model)}_fixed_point", "hold_out": None}

    def trainer(self, network: nn.Module, data: Any, folder: Path, device: str) -> Trainer:
        from pnp_recon.training.fixed_point.trainer import FixedPointTrainer

        if not (folder / "checkpoint.pt").exists():
            self.beginning.apply(network)
        return FixedPointTrainer(
            network, self.recipe, data.training, data.validation, folder, device
        )

    def details(self, network: nn.Module, state: Mapping[str, Any]) -> dict[str, Any]:
        """Beside what a denoiser's card says: where it began, and PSNR at the fixed point."""
        from pnp_recon.training.fixed_point.trainer import restoration_psnr

        details = super().details(network, state)
        details["began_with"] = self.beginning.described()
        try:
            psnr = restoration_psnr(network, self.loaded_again().validation)
        except InputError:
            return details
        shown = details["validation"]["psnr_db"]
        shown |= {key: round(value, 3) for key, value in psnr.items()}
        return details
