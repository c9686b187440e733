"""What a family of networks is to models: how one is built, certified, loaded, checked, trained.

One instance for each class of network that a card may name; `families` lists them. It knows
neither where cards lie nor what commands print.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

from pnp_recon.errors import InputError, WeightsError
from pnp_recon.guarantees import Guarantee
from pnp_recon.models.card import Card, load_weights
from pnp_recon.models.precision import FIELD as DEVIATION
from pnp_recon.models.precision import deviation_words
from pnp_recon.networks.equivariant.convolution import TiedFilters
from pnp_recon.priors.denoiser import Denoiser, Precision
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.priors.unrolled import LearnedReconstruction

Network = TypeVar("Network", bound=nn.Module)
Tile = int | Literal["auto"] | None
# Filters that Muon moves: a parameter, and how a group makes whole filters of it (None: free).
Matrix = tuple[nn.Parameter, TiedFilters | None]


@dataclass(frozen=True)
class Options:
    """How a model is loaded; see `load`."""

    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    precision: Precision = "float32"
    tile: Tile = "auto"


@dataclass(frozen=True)
class Certified:
    """What `Family.certify` makes of a trained network.

    Attributes:
        state: the weights that are stored.
        fields: what goes into the card about them.
        metadata: what goes into the file of the weights, and under its hash.
    """

    state: Mapping[str, Tensor]
    fields: Mapping[str, Any]
    metadata: dict[str, str] | None = None


@dataclass(frozen=True)
class Row:
    """One checked constant.

    Attributes:
        what: the constant.
        card: as the card states it, None where it states nothing.
        proven: recomputed in float64 from the weights.
        attained: the largest value that an attack found, a lower bound.
        problem: what is wrong, empty where all agrees.
    """

    what: str
    card: float | None
    proven: float
    attained: float | None
    problem: str

    @property
    def looseness(self) -> float | None:
        """Certified over attained, at least 1."""
        return self.proven / self.attained if self.attained else None


@dataclass(frozen=True)
class Check:
    """What checking a card found: constants where something is proven, else lines of text.

    `problems` is empty for a true card.
    """

    name: str
    problems: list[str]
    rows: list[Row] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


class Family(ABC, Generic[Network]):
    """A class of networks. Instances hold no state."""

    @abstractmethod
    def build(self, config: Mapping[str, Any]) -> Network:
        """The network that a card's configuration describes, its weights still to be set.

        Raises:
            TypeError, ValueError, RuntimeError: there is no such network.
        """

    @abstractmethod
    def certify(self, network: Network, name: str, meant_for: Any) -> Certified:
        """What is stored of a trained network.

        Args:
            network: trained.
            name: what the model is called.
            meant_for: see `export`.
        """

    @abstractmethod
    def guarantee(self, card: Card) -> Guarantee:
        """What the card says is proven."""

    @abstractmethod
    def describe(self, card: Card) -> str:
        """What the model is, in one line."""

    @abstractmethod
    def prior(
        self, card: Card, options: Options
    ) -> Denoiser | LearnedEnergy | LearnedReconstruction:
        """The model, ready to run.

        Raises:
            WeightsError: the weights are missing or damaged, or do not fit the card.
        """

    @abstractmethod
    def verify(self, card: Card, attack_steps: int) -> Check:
        """Does the card say the truth? Everything is found anew from the weights.

        Args:
            card: the model's.
            attack_steps: steps of gradient ascent from each start; 0: no attack.

        Raises:
            WeightsError: as `prior`.
        """

    def load(self, card: Card) -> Network:
        """The network as it runs.

        Raises:
            WeightsError: as `prior`.
        """
        return self.running(load_weights(card, self.build)[0])

    def running(self, network: Network) -> Network:
        """The same map in the form in which it runs."""
        return network

    def matrices(self, network: nn.Module) -> list[Matrix]:
        """The filters of which only the direction counts, so that Muon may move them."""
        return []

    def settle(self, network: nn.Module, steps: int = 20) -> None:
        """Brings what is estimated of the weights up to weights that were set from outside."""

    def calibrate(self, network: nn.Module) -> None:
        """Ties what is estimated of the weights to what is proven of them."""


class DenoiserFamily(Family[Network]):
    """Networks called as network(x, sigma), with `config.channels` and `recipe()`."""

    def prior(self, card: Card, options: Options) -> Denoiser | LearnedEnergy:
        """See `Family`."""
        return self.denoiser(card, options)

    def denoiser(self, card: Card, options: Options) -> Denoiser:
        """The model as a denoiser.

        Raises:
            WeightsError: as `Family.prior`; or the weights were exported with another constant.
            InputError: bfloat16 with weights of another precision.
        """
        if options.precision == "bfloat16" and options.dtype != torch.float32:
            raise InputError(f"precision bfloat16 goes with float32 weights, found {options.dtype}")
        if card.sigma_range is None:
            raise WeightsError(f"the card of {card.name} has no noise levels")
        network, metadata = load_weights(card, self.build)
        self.compare(card, metadata)
        network = self.running(network)
        denoiser = Denoiser(
            network.to(device=options.device, dtype=options.dtype),
            card.name,
            self.declared(card),
            channels=network.config.channels,  # type: ignore[union-attr, arg-type]
            sigma_range=card.sigma_range,
            card=card.fields,
            tile=options.tile,
            precision=options.precision,
        ).eval()
        self.prove(denoiser, card)
        return denoiser

    def declared(self, card: Card) -> Guarantee | None:
        """What is said of the network; None where its weights are to prove it."""
        return self.guarantee(card)

    def prove(self, denoiser: Denoiser, card: Card) -> None:
        """Compares what the card claims with what the weights prove.

        Raises:
            WeightsError: the claim is more than that.
        """

    def compare(self, card: Card, metadata: Mapping[str, str]) -> None:
        """Refuses a card that states something else than its weights were exported with."""

    def describe(self, card: Card) -> str:
        low, high = card.fields["sigma_range_255"]
        channels = {1: "grey", 3: "colour"}.get(card.config.get("channels", 0), "any")
        group = card.config.get("group")
        if isinstance(group, str) and group != "C1":  # a ridge's is a number of channels
            channels += f", commutes with {group}"
        what = f"{card.family}, {channels}, σ·255 from {low:g} to {high:g}"
        if deviation := deviation_words(card.fields.get(DEVIATION)):
            what += f"; {deviation}"
        return what


def levels_255(sigma_range: tuple[float, float]) -> list[float]:
    """Noise levels as cards hold them."""
    return [round(level * 255, 6) for level in sigma_range]
