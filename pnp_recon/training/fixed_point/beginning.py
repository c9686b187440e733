"""The denoiser that training at the fixed point begins with. Loads no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pnp_recon.errors import InputError
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.training.run_file import read_fields, undamaged

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pnp_recon.models.card import Card


@dataclass(frozen=True)
class FirstWeights:
    """The weights at the first step.

    Attributes:
        model: name or card of a denoiser, or the checkpoint of a run that trains one.
        sha256: the hash of its weights.
    """

    model: Annotated[
        str,
        "Train on from this certified denoiser: a name, a card, or the checkpoint.pt of a run. "
        "Needed to start, not to resume.",
    ] = ""
    sha256: str = ""

    def described(self) -> dict[str, Any]:
        """What the card says: the model's name, not where it lay."""
        return {**asdict(self), "model": stem(self.model)}

    def apply(self, network: nn.Module) -> None:
        """Sets the weights of a network that has not been trained.

        Raises:
            InputError: the model is gone, has changed, or is of another configuration.
        """
        sha256, state = first_weights(self.model)
        if sha256 != self.sha256:
            raise InputError(f"{self.model} is no longer the model that the run began with")
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise InputError(f"{self.model} is of another network than the run") from error


def stem(model: str) -> str:
    """What a model is called: a checkpoint like its run folder."""
    path = Path(model)
    return path.absolute().parent.name if path.suffix == ".pt" else path.stem


def absolute(model: str) -> str:
    """A shipped model's name as it is; a path so that it holds in other folders too."""
    path = Path(model)
    named = path.suffix not in (".json", ".safetensors", ".pt") and path.parent == Path()
    return model if named else str(path.absolute())


def first_weights(model: str, certified: bool = True) -> tuple[str, dict[str, Tensor]]:
    """SHA-256 and weights of a denoiser.

    Args:
        certified: whether it must have a certificate.
        model: a shipped model's name, the path of a card, or a checkpoint.pt, whose averaged
            weights are taken.

    Raises:
        InputError: a missing or damaged file, or no certified denoiser.
    """
    if model.endswith(".pt"):
        from pnp_recon.training.trainer import read_checkpoint

        average = read_checkpoint(Path(model))["average"]
        return hashlib.sha256(Path(model).read_bytes()).hexdigest(), average
    from pnp_recon.models.load import load_trained

    network, card = load_trained(model, "denoiser")
    if certified:
        _certified(card, model)
    return card.sha256, network.state_dict()


def first_network(model: str, kinds: Collection[str]) -> dict[str, Any]:
    """Configuration of the network of such a denoiser.

    Args:
        model: as for `first_weights`; beside a checkpoint lies its run.json.
        kinds: the kinds of runs that train certified denoisers.

    Raises:
        InputError: as there, or a run of another kind.
    """
    if model.endswith(".pt"):
        folder = Path(model).parent
        kind, fields = read_fields(folder)
        if kind not in kinds:
            raise InputError(f"{model} is of a pnp-train {kind} run, not of a denoiser")
        with undamaged(folder):
            return asdict(EulerConfig(**fields["network"]))
    from pnp_recon.models.store import find_card, read_card

    return dict(_certified(read_card(find_card(model), "denoiser"), model).config)


def _certified(card: Card, model: str) -> Card:
    """The card, if it has a certificate."""
    if card.certificate["averagedness"] is None:
        raise InputError(f"{model} has no certificate; expected a denoiser that has one")
    return card
