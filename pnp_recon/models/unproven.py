"""Families of denoisers without a theorem: a card of one says so, says why, and cannot claim more.

It does not know which networks these are; each family adds its own reason and how it is built.
"""

from __future__ import annotations

from typing import ClassVar, TypeVar

import torch
from torch import nn

from pnp_recon import guarantees
from pnp_recon.guarantees import Guarantee
from pnp_recon.models.card import Card
from pnp_recon.models.family import Certified, Check, DenoiserFamily, levels_255
from pnp_recon.priors.attack import attained_ratio

Network = TypeVar("Network", bound=nn.Module)

# Side of the attacked picture.
ATTACK_SIDE = 24
# Noise level of the attacked denoiser.
ATTACK_LEVEL = 25 / 255
# Relative excess over 1 that float64 rounding may feign in an attack.
ATTACK_ROUNDING = 1e-9


class UnprovenFamily(DenoiserFamily[Network]):
    """Denoisers of which nothing is proven.

    Attributes:
        reason: why there is no guarantee.
    """

    reason: ClassVar[str]

    def certify(self, network: Network, name: str, meant_for: tuple[float, float]) -> Certified:
        fields = {
            "network": network.recipe(),  # type: ignore[operator]
            "parameters": sum(p.numel() for p in network.parameters()),
            "sigma_range_255": levels_255(meant_for),
            "guarantee": str(guarantees.none(self.reason)),
            "certificate": {"averagedness": None, "lipschitz": None, "source": self.reason},
        }
        return Certified(network.cpu().eval().state_dict(), fields)

    def guarantee(self, card: Card) -> Guarantee:
        return guarantees.none(self.reason)

    def verify(self, card: Card, attack_steps: int) -> Check:
        """See `Family`; that the card claims no theorem, and its parameters.

        The attack says how far two pictures move apart; above 1 the denoiser is expansive.
        """
        network = self.load(card)
        problems = []
        claimed = [key for key in ("averagedness", "lipschitz") if card.certificate.get(key)]
        if claimed:
            problems.append(f"{claimed[0]} is claimed, nothing is proven of a {card.family}")
        count = sum(p.numel() for p in network.parameters())
        stated = card.fields.get("parameters", count)
        if stated != count:
            problems.append(f"parameters: {stated} in the card, {count} in the weights")
        lines = [f"no guarantee: {self.reason}", f"parameters: {count}"]
        if attack_steps:
            network, generator = network.double(), torch.Generator().manual_seed(1)
            channels: int = network.config.channels  # type: ignore[union-attr, assignment]
            shape = (1, channels, ATTACK_SIDE, ATTACK_SIDE)
            x = torch.rand(shape, generator=generator, dtype=torch.float64)
            attained = attained_ratio(lambda z: network(z, ATTACK_LEVEL), x, attack_steps)
            words = "expansive" if attained > 1 + ATTACK_ROUNDING else "not found expansive"
            lines.append(f"an attack attains a Lipschitz constant of {attained:.4f}: {words}")
        return Check(card.name, problems, lines=lines)
