"""Runs that train a denoiser on at the fixed point (`pnp-train fixed-point`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pnp_recon.errors import InputError
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.training.denoiser.task import DenoiserRun, build_network
from pnp_recon.training.fixed_point.trainer import (
    FixedPointRecipe,
    FixedPointTrainer,
    restoration_psnr,
)
from pnp_recon.training.runs import read_run
from pnp_recon.training.trainer import read_checkpoint


@dataclass(frozen=True)
class FirstWeights:
    """The weights at the first step.

    Attributes:
        model: name or card of a denoiser, or the checkpoint of a run that trains one.
        sha256: of its weights.
    """

    model: str = ""
    sha256: str = ""

    def described(self) -> dict[str, Any]:
        """For the card: the model's name, not where it lay."""
        path = Path(self.model)
        name = path.parent.name if path.suffix == ".pt" else path.stem
        return {**asdict(self), "model": name}

    @torch.no_grad()
    def apply(self, network: nn.Module) -> None:
        """Sets the weights of a network that has not been trained.

        Raises:
            InputError: the model is gone, has changed, or is of another configuration.
        """
        _, sha256, state = first_weights(self.model)
        if sha256 != self.sha256:
            raise InputError(f"{self.model} is no longer the model that the run began with")
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise InputError(f"{self.model} is of another network than the run") from error


def first_weights(model: str) -> tuple[dict[str, Any], str, dict[str, Tensor]]:
    """Configuration of the network, SHA-256 and weights of a denoiser.

    Args:
        model: a shipped model's name, the path of a card, or a checkpoint.pt beside its run.json,
            whose averaged weights are taken.

    Raises:
        InputError: a missing or damaged file, or no certified denoiser.
    """
    if model.endswith(".pt"):
        path = Path(model)
        average = read_checkpoint(path)["average"]
        settings = read_run(path.parent)
        if not isinstance(settings, DenoiserRun):
            raise InputError(f"{model} is of a pnp-train {settings.kind} run, not of a denoiser")
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return asdict(settings.network), sha256, average
    from pnp_recon.models.weights import find_card, load_weights, network_class, read_card

    card_path = find_card(model)
    card = read_card(card_path)
    if network_class(card) == "DnCNN":
        raise InputError(f"{model} has no certificate; expected a denoiser that has one")
    fields = {key: value for key, value in card["network"].items() if key != "class"}
    network = load_weights(card_path, card, lambda own: build_network(EulerConfig(**own), 0))
    return fields, card["sha256"], network.state_dict()


@dataclass(frozen=True, kw_only=True)
class FixedPointRun(DenoiserRun):
    """A run that trains a certified denoiser on, at the fixed point. See `DenoiserRun`.

    Attributes:
        beginning: what training starts from.
    """

    kind: ClassVar[str] = "fixed-point"
    parts: ClassVar[Mapping[str, type]] = {
        **DenoiserRun.parts,
        "recipe": FixedPointRecipe,
        "beginning": FirstWeights,
    }

    recipe: FixedPointRecipe
    beginning: FirstWeights

    def trainer(
        self, network: nn.Module, data: Any, folder: Path, device: str
    ) -> FixedPointTrainer:
        if not (folder / "checkpoint.pt").exists():
            self.beginning.apply(network)
        return FixedPointTrainer(
            network, self.recipe, data.training, data.validation, folder, device
        )

    def details(self, network: nn.Module, state: Mapping[str, Any]) -> dict[str, Any]:
        """Beside what a denoiser's card says: where it began, and PSNR at the fixed point."""
        details = super().details(network, state)
        details["began_with"] = self.beginning.described()
        try:
            psnr = restoration_psnr(network, self.loaded_again().validation)
        except InputError:
            return details
        shown = details["validation"]["psnr_db"]
        shown |= {key: round(value, 3) for key, value in psnr.items()}
        return details
