"""Runs that train a denoiser (`pnp-train denoiser`): network, pictures, trainer, export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import nn

from pnp_recon.errors import InputError
from pnp_recon.networks.euler import EulerConfig, EulerNet
from pnp_recon.training_data import TrainingData, load_training_data
from pnp_recon.training_denoiser import DenoiserTrainer
from pnp_recon.training_recipe import DenoiserRecipe
from pnp_recon.training_run import RunSettings, Tick
from pnp_recon.training_validation import validation_psnr
from pnp_recon.weights import export


@dataclass(frozen=True, kw_only=True)
class DenoiserRun(RunSettings):
    """See `RunSettings`.

    Attributes:
        hold_out: pictures held out for the validation, None for the rule of
            `training_data.load_training_data`.
    """

    kind: ClassVar[str] = "denoiser"
    parts: ClassVar[Mapping[str, type]] = {"network": EulerConfig, "recipe": DenoiserRecipe}
    identity: ClassVar[tuple[str, ...]] = (
        "pictures",
        "sha256_of_sorted_file_hashes",
        "validation_pictures",
    )

    network: EulerConfig
    recipe: DenoiserRecipe
    hold_out: int | None

    def build(self) -> EulerNet:
        return build_network(self.network, self.recipe.seed)

    def load(self, tick: Tick | None = None) -> TrainingData:
        return load_training_data(
            self.data, self.network.channels, self.recipe.patch, self.hold_out, tick
        )

    def trainer(self, network: nn.Module, data: Any, folder: Path, device: str) -> DenoiserTrainer:
        return DenoiserTrainer(network, self.recipe, data.training, data.validation, folder, device)

    def export(self, network: nn.Module, state: Mapping[str, Any], out: Path, name: str) -> Path:
        network = cast(EulerNet, network)
        network.certify()
        psnr, how = dict(state.get("psnr", {})), "during training, uncertified weights"
        try:
            pictures = self.loaded_again().validation
            psnr = validation_psnr(network, pictures, self.recipe.validation_levels())
            how = "exported weights, float32"
        except InputError:
            pass
        loss = "mean squared error, one noise level a batch, weighted by the expected error"
        details = {
            **self.provenance(state, loss),
            "validation": {
                "psnr_db": {key: round(value, 3) for key, value in psnr.items()},
                "measured_on": f"{how}; 128×128 central crops",
                "held_out": self.description.get("validation_held_out", False),
            },
        }
        sigma_range = (self.recipe.sigma_min, self.recipe.sigma_max)
        return export(network, out, name, sigma_range, details)

    def data_words(self) -> str:
        found = self.description
        held = "held out" if found["validation_held_out"] else "of them"
        return (
            f"{found['pictures']} pictures ({found['selection']}), validation on "
            f"{len(found['validation_pictures'])} {held}"
        )


def build_network(config: EulerConfig, seed: int) -> EulerNet:
    """The network at its first step; the weights follow from the seed.

    Raises:
        InputError: the configuration cannot be built.
    """
    for name in ("channels", "blocks", "width", "hidden", "kernel_size"):
        if getattr(config, name) < 1:
            raise InputError(f"{name} is {getattr(config, name)}; expected at least 1")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return EulerNet(config)
        except (ValueError, RuntimeError) as error:
            raise InputError(f"the network cannot be built: {error}") from error
