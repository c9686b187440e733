"""The energy that training begins with, if not with weights that are drawn. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pnp_recon.errors import InputError
from pnp_recon.training.energy.network import architecture_of
from pnp_recon.training.fixed_point.beginning import FirstWeights, first_weights
from pnp_recon.training.run_file import read_fields

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class EnergyWeights(FirstWeights):
    """The weights at the first step. See `FirstWeights`; an empty model: they are drawn."""

    model: Annotated[
        str,
        "Train on from this energy: the path of a card, or the checkpoint.pt of a run. Default: "
        "weights that follow from the seed.",
    ] = ""

    def apply(self, network: nn.Module) -> None:
        sha256, state = first_weights(self.model, certified=False)
        if sha256 != self.sha256:
            raise InputError(f"{self.model} is no longer the energy that the run began with")
        network.load_state_dict(state)


def first_architecture(model: str, kind: str) -> dict[str, Any]:
    """The fields of the `Architecture` of an energy.

    Args:
        model: the path of a card or of a checkpoint.pt, beside which lies its run.json.
        kind: the kind of runs that train energies.

    Raises:
        InputError: a missing or damaged file, or no energy.
    """
    if model.endswith(".pt"):
        found, fields = read_fields(Path(model).parent)
        if found != kind:
            raise InputError(f"{model} is of a pnp-train {found} run, not of an energy")
        network: dict[str, Any] = fields["network"]
        return network
    from pnp_recon.models.card import read_fields as read_card
    from pnp_recon.models.store import find_card

    return architecture_of(read_card(find_card(model))["network"])
