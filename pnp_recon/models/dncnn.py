"""DnCNN as models: a denoiser without a theorem, whose card says so, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from pnp_recon import guarantees
from pnp_recon.guarantees import Guarantee
from pnp_recon.models.card import Card
from pnp_recon.models.family import Certified, Check, DenoiserFamily, levels_255
from pnp_recon.networks.configs import DnCNNConfig
from pnp_recon.networks.dncnn import NO_GUARANTEE, DnCNN
from pnp_recon.priors.attack import attained_ratio

# Side of the attacked picture.
ATTACK_SIDE = 24
# Relative excess over 1 that float64 rounding may feign in an attack.
ATTACK_ROUNDING = 1e-9


class DnCNNFamily(DenoiserFamily[DnCNN]):
    """See `networks.dncnn`."""

    def build(self, config: Mapping[str, Any]) -> DnCNN:
        return DnCNN(DnCNNConfig(**config))

    def certify(self, network: DnCNN, name: str, meant_for: tuple[float, float]) -> Certified:
        fields = {
            "network": network.recipe(),
            "parameters": sum(p.numel() for p in network.parameters()),
            "sigma_range_255": levels_255(meant_for),
            "guarantee": str(guarantees.none(NO_GUARANTEE)),
            "certificate": {"averagedness": None, "lipschitz": None, "source": NO_GUARANTEE},
        }
        return Certified(network.cpu().eval().state_dict(), fields)

    def guarantee(self, card: Card) -> Guarantee:
        return guarantees.none(NO_GUARANTEE)

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
        lines = [f"no guarantee: {NO_GUARANTEE}", f"parameters: {count}"]
        if attack_steps:
            network, generator = network.double(), torch.Generator().manual_seed(1)
            shape = (1, network.config.channels, ATTACK_SIDE, ATTACK_SIDE)
            x = torch.rand(shape, generator=generator, dtype=torch.float64)
            attained = attained_ratio(network, x, attack_steps)
            words = "expansive" if attained > 1 + ATTACK_ROUNDING else "not found expansive"
            lines.append(f"an attack attains a Lipschitz constant of {attained:.4f}: {words}")
        return Check(card.name, problems, lines=lines)


FAMILY = DnCNNFamily()
