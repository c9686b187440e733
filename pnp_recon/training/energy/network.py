"""Which energy is trained: its family and size, as plain values. Loads no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pnp_recon.errors import InputError
from pnp_recon.networks.configs import GradientStepConfig, RidgeConfig

if TYPE_CHECKING:
    from pnp_recon.networks.energies.energy import Energy

# Families by the name that commands use: the class of the network, and its widths for grey and
# colour.
FAMILIES: dict[str, tuple[str, dict[int, tuple[int, ...]]]] = {
    "ridge": ("RidgeNet", {1: (4, 8, 64), 3: (8, 16, 96)}),
    "gradient-step": ("GradientStepNet", {1: (40, 80, 128), 3: (48, 80, 128)}),
}


@dataclass(frozen=True)
class Architecture:
    """An energy's network.

    Attributes:
        family: "ridge" or "gradient-step".
        channels: 1 or 3.
        widths: channels of its layers, with commas; empty: as the shipped energies have.
        settings: the whole configuration, as in a card, of an energy that is trained on.

    Raises:
        InputError: a family or widths that there are not.
    """

    family: Annotated[
        str, "The energy is ridge or gradient-step, as in the table of trained_models."
    ] = "ridge"
    channels: int = 1
    widths: Annotated[str, "Layers have these numbers of channels, with commas between them."] = ""
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise InputError(f"unknown energy {self.family!r}; known: {', '.join(FAMILIES)}")
        if self.channels not in (1, 3):
            raise InputError(f"channels is {self.channels}; expected 1 (grey) or 3 (colour)")
        try:
            self.config()
        except (TypeError, ValueError) as error:
            raise InputError(f"there is no such energy: {error}") from error

    def config(self) -> dict[str, Any]:
        """The configuration of the network, as in a card."""
        if self.settings:
            return dict(self.settings)
        widths = FAMILIES[self.family][1][self.channels]
        if self.widths:
            widths = tuple(int(width) for width in self.widths.split(","))
        if self.family == "ridge":
            return asdict(RidgeConfig(self.channels, widths, group=self.channels))
        return asdict(GradientStepConfig(self.channels, widths))

    def build(self) -> Energy:
        """The network, its weights drawn."""
        from pnp_recon.models.families import FAMILIES as MODELS

        found: Energy = MODELS[FAMILIES[self.family][0]].load().build(self.config())
        return found


def architecture_of(card: dict[str, Any]) -> dict[str, Any]:
    """The fields of the `Architecture` of a card's network.

    Raises:
        InputError: it is no energy.
    """
    for family, (network, _) in FAMILIES.items():
        if card["class"] == network:
            settings = {key: value for key, value in card.items() if key != "class"}
            return {"family": family, "channels": settings["channels"], "settings": settings}
    raise InputError(f"a {card['class']} is no learned energy; give --init an energy's card")
