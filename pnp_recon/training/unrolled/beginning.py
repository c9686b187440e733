"""What the training of an unrolled network begins with. Loads no torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from pnp_recon.errors import InputError

if TYPE_CHECKING:
    from pnp_recon.networks.unrolled import UnrolledNetwork


@dataclass(frozen=True)
class Beginning:
    """The weights at the first step, where they do not follow from the seed.

    Attributes:
        model: name or path of a trained network of the same configuration; None: random weights.
        sha256: the hash of its weights.
        step: value that all step sizes are set to; None: those of the model, or 1. A scan that is
            sampled more sparsely wants smaller ones.
    """

    model: Annotated[
        str | None, "Train on from this model, of the same network: a name or a card."
    ] = None
    sha256: str | None = None
    step: Annotated[float | None, "All step sizes start at this value."] = None

    def __post_init__(self) -> None:
        if self.step is not None and not 0 < self.step < math.inf:
            raise InputError(f"first-step is {self.step:g}; expected a finite number > 0")

    def described(self) -> dict[str, Any]:
        """What the card says: the model's name, not where it lay."""
        return {**asdict(self), "model": self.model and Path(self.model).stem}

    def apply(self, network: UnrolledNetwork) -> None:
        """Sets the weights of a network that has not been trained.

        Raises:
            InputError: there is no such model, or it is of another configuration.
        """
        import torch

        if self.model is not None:
            from pnp_recon.models.load import load_trained

            trained, card = load_trained(self.model, "network")
            config = cast("UnrolledNetwork", trained).config
            if card.sha256 != self.sha256:
                raise InputError(f"{self.model} is no longer the model that the run began with")
            differing = [k for k, v in asdict(config).items() if v != getattr(network.config, k)]
            if differing:
                raise InputError(
                    f"{self.model} has another {differing[0].replace('_', '-')}: "
                    f"{getattr(config, differing[0])}, not {getattr(network.config, differing[0])}"
                )
            network.load_state_dict(trained.state_dict())
        if self.step is not None:
            if network.config.scheme == "primal-dual":
                raise InputError("the primal-dual scheme has no step sizes; leave first-step out")
            with torch.no_grad():
                network.steps.fill_(self.step)
