"""Unrolled reconstruction networks as models.

The weights are the learned ones, tied by the group; a loaded model holds plain convolutions. The
card says what the network was trained for, and claims no convergence: there is no certificate.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from pnp_recon import guarantees
from pnp_recon.errors import InputError, WeightsError
from pnp_recon.guarantees import Guarantee
from pnp_recon.models.card import Card, load_weights
from pnp_recon.models.family import Certified, Check, Family, Options
from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.networks.invertible.unrolled import unrolled_network
from pnp_recon.networks.unrolled import UnrolledNetwork
from pnp_recon.priors.unrolled import LearnedReconstruction, count_parameters
from pnp_recon.priors.unrolled_domain import TrainedOn

# Above this a map is not equivariant up to rounding in float32.
ROUNDING = 1e-4
# Errors above it are a property of the weights; machines agree on them up to this share.
AGREEMENT = 0.05


class UnrolledFamily(Family[UnrolledNetwork]):
    """See `networks.unrolled`."""

    def build(self, config: Mapping[str, Any]) -> UnrolledNetwork:
        return unrolled_network(UnrolledConfig(**config))

    def certify(
        self, network: UnrolledNetwork, name: str, meant_for: Mapping[str, Any]
    ) -> Certified:
        """See `Family`; the network is not changed.

        Raises:
            InputError: `meant_for` cannot be read, or a weight is not a finite number.
        """
        network = copy.deepcopy(network).to("cpu", torch.float32)
        state = network.state_dict()
        if not all(bool(torch.isfinite(weights).all()) for weights in state.values()):
            raise InputError(f"{name} holds weights that are not finite; it is not exported")
        model = LearnedReconstruction(network, name, TrainedOn.from_dict(meant_for))
        fields = {
            "network": network.recipe(),
            "parameters": model.parameters,
            "parameters_of_ordinary_twin": ordinary_twin_parameters(network.config),
            "guarantee": str(model.guarantee),
            "equivariance_error": model.equivariance.error,
            "trained_on": dict(meant_for),
        }
        return Certified(state, fields)

    def guarantee(self, card: Card) -> Guarantee:
        return guarantees.none(str(card.fields["guarantee"]).removeprefix("no guarantee: "))

    def describe(self, card: Card) -> str:
        config = card.config
        return (
            f"{card.family}, {config.get('scheme')}, group {config.get('group')}, "
            f"{config.get('depth')} iterations, for {card.trained_on}"
        )

    def prior(self, card: Card, options: Options) -> LearnedReconstruction:
        """See `Family`; it has neither tiles nor bfloat16."""
        if card.trained_on is None:
            raise WeightsError(f"the card of {card.name} does not say what it was trained on")
        network, _ = load_weights(card, self.build)
        network = network.to(device=options.device, dtype=options.dtype)
        return LearnedReconstruction(network, card.name, card.trained_on, card.fields)

    def verify(self, card: Card, attack_steps: int) -> Check:
        """See `Family`: hash, parameter counts and equivariance; there is nothing to attack.

        There is no certificate to check, and a card that has one is refused.
        """
        model = self.prior(card, Options())
        fields, found = card.fields, model.equivariance
        counts = {
            "parameters": model.parameters,
            "parameters_of_ordinary_twin": ordinary_twin_parameters(model.network.config),
        }
        lines = [f"sha256: {card.sha256[:12]}… as in the card"]
        problems = []
        for key, count in counts.items():
            lines.append(
                f"{key.replace('_', ' ')}: {count} in the weights, {fields.get(key)} in the card"
            )
            if fields.get(key) != count:
                problems.append(lines[-1])
        said = fields.get("equivariance_error")
        lines.append(
            f"equivariance error: {found.error:.2e} measured, {said} in the card ({found})"
        )
        if found.promised and found.error > ROUNDING:
            problems.append(f"equivariance: error {found.error:.2e}, more than rounding")
        if not _agree(said, found.error):
            problems.append(f"equivariance error: {found.error:.2e} measured, {said} in the card")
        if "certificate" in fields:
            problems.append(
                "the card holds a certificate; nothing is proven about an unrolled network"
            )
        lines.append(f"no certificate: {model.guarantee}")
        return Check(card.name, problems, lines=lines)


def _agree(said: object, measured: float) -> bool:
    """Two measurements of one error; below rounding they differ from machine to machine."""
    if not isinstance(said, int | float):
        return False
    return max(said, measured) <= ROUNDING or abs(said - measured) <= AGREEMENT * measured


def ordinary_twin_parameters(config: UnrolledConfig) -> int:
    """How many parameters the network of the same width and depth has without a group."""
    # The twin's weights are drawn and thrown away: nobody else's random numbers change.
    with torch.random.fork_rng(devices=[]):
        twin = unrolled_network(replace(config, group="C1", filters=None))
    return count_parameters(twin)


FAMILY = UnrolledFamily()
