"""Runs that train a denoiser: network, pictures, trainer, export.

`pnp-train denoiser` makes a certified one, `pnp-train dncnn` the unconstrained one that these are
compared with, on the same pictures by the same trainer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import nn

from pnp_recon.datasets.training import TrainingData, load_training_data
from pnp_recon.errors import InputError
from pnp_recon.models.weights import export, export_uncertified
from pnp_recon.networks.configs import DnCNNConfig, EulerConfig
from pnp_recon.networks.dncnn import DnCNN
from pnp_recon.networks.euler import EulerNet
from pnp_recon.training.denoiser.trainer import DenoiserTrainer
from pnp_recon.training.recipe import BlindRecipe, DenoiserRecipe
from pnp_recon.training.runs import RunSettings, Tick
from pnp_recon.training.validation import validation_psnr


@dataclass(frozen=True, kw_only=True)
class PictureRun(RunSettings):
    """A run that trains a denoiser on a folder of pictures. See `RunSettings`.

    Attributes:
        hold_out: pictures held out for the validation, None for the rule of
            `training_data.load_training_data`.
    """

    identity: ClassVar[tuple[str, ...]] = (
        "pictures",
        "sha256_of_sorted_file_hashes",
        "validation_pictures",
    )

    recipe: DenoiserRecipe
    hold_out: int | None

    def load(self, tick: Tick | None = None) -> TrainingData:
        return load_training_data(
            self.data, self.network.channels, self.recipe.patch, self.hold_out, tick
        )

    def trainer(self, network: nn.Module, data: Any, folder: Path, device: str) -> DenoiserTrainer:
        return DenoiserTrainer(network, self.recipe, data.training, data.validation, folder, device)

    def details(self, network: nn.Module, state: Mapping[str, Any]) -> dict[str, Any]:
        """What the model card says beside network and certificate."""
        psnr, how = dict(state.get("psnr", {})), "during training"
        try:
            pictures = self.loaded_again().validation
            psnr = validation_psnr(network, pictures, self.recipe.validation_levels())
            how = "exported weights, float32"
        except InputError:
            pass
        return {
            **self.provenance(state, self.recipe.loss),
            "validation": {
                "psnr_db": {key: round(value, 3) for key, value in psnr.items()},
                "measured_on": f"{how}; 128×128 central crops",
                "held_out": self.description.get("validation_held_out", False),
            },
        }

    @property
    def sigma_range(self) -> tuple[float, float]:
        return (self.recipe.sigma_min, self.recipe.sigma_max)

    def data_words(self) -> str:
        found = self.description
        held = "held out" if found["validation_held_out"] else "of them"
        return (
            f"{found['pictures']} pictures ({found['selection']}), validation on "
            f"{len(found['validation_pictures'])} {held}"
        )


@dataclass(frozen=True, kw_only=True)
class DenoiserRun(PictureRun):
    """A run of a certified denoiser."""

    kind: ClassVar[str] = "denoiser"
    parts: ClassVar[Mapping[str, type]] = {"network": EulerConfig, "recipe": DenoiserRecipe}

    network: EulerConfig

    def build(self) -> EulerNet:
        return build_network(self.network, self.recipe.seed)

    def export(self, network: nn.Module, state: Mapping[str, Any], out: Path, name: str) -> Path:
        network = cast(EulerNet, network)
        network.certify()
        return export(network, out, name, self.sigma_range, self.details(network, state))


@dataclass(frozen=True, kw_only=True)
class DnCNNRun(PictureRun):
    """A run of DnCNN, which nothing holds back and nothing is proven about."""

    kind: ClassVar[str] = "dncnn"
    parts: ClassVar[Mapping[str, type]] = {"network": DnCNNConfig, "recipe": BlindRecipe}

    network: DnCNNConfig

    def build(self) -> DnCNN:
        with seeded(self.recipe.seed):
            return DnCNN(self.network)

    def export(self, network: nn.Module, state: Mapping[str, Any], out: Path, name: str) -> Path:
        network = cast(DnCNN, network)
        details = self.details(network, state)
        return export_uncertified(network, out, name, self.sigma_range, details)


def build_network(config: EulerConfig, seed: int) -> EulerNet:
    """The network at its first step; the weights follow from the seed.

    Raises:
        InputError: the configuration cannot be built.
    """
    for name in ("channels", "blocks", "width", "hidden", "kernel_size"):
        if getattr(config, name) < 1:
            raise InputError(f"{name} is {getattr(config, name)}; expected at least 1")
    with seeded(seed):
        return EulerNet(config)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Weights that are drawn inside follow from the seed; what cannot be built is an InputError."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            yield
        except (ValueError, RuntimeError) as error:
            raise InputError(f"the network cannot be built: {error}") from error
