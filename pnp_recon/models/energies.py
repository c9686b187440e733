"""Learned energies as models: denoisers whose cards say what is known of them, without a theorem.

`verify` compares the gradient with differences of the energy, so that the two are of one function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

import torch

from pnp_recon.models.card import Card
from pnp_recon.models.family import Certified, Check, Options
from pnp_recon.models.unproven import ATTACK_LEVEL, UnprovenFamily
from pnp_recon.networks.configs import (
    CriticConfig,
    GradientStepConfig,
    PatchFlowConfig,
    RidgeConfig,
)
from pnp_recon.networks.energies import critic, gradient_step, patch_flow, ridge
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.priors.energies.base import LearnedEnergy

Network = TypeVar("Network", bound=Energy)

# Sides of the picture at which gradient and energy are compared, and the step between energies.
SIDES = (17, 21)
STEP = 1e-5
# Largest relative difference; rounding and the curvature of the energy stay far below.
AGREEMENT = 1e-6


class EnergyFamily(UnprovenFamily[Network]):
    """See `networks.energies`."""

    def prior(self, card: Card, options: Options) -> LearnedEnergy:
        """The energy, with the denoiser that belongs to it."""
        denoiser = self.denoiser(card, options)
        return LearnedEnergy(
            cast(Energy, denoiser.function),
            card.name,
            denoiser,
            denoiser.channels,
            denoiser.sigma_range,
            card.fields,
        ).eval()

    def verify(self, card: Card, attack_steps: int) -> Check:
        """See `UnprovenFamily`; also that the gradient is that of the energy, in float64."""
        found = super().verify(card, attack_steps)
        error = gradient_error(self.load(card).double())
        problems = list(found.problems)
        if not error <= AGREEMENT:
            problems.append(f"the gradient differs by {error:.1e} from differences of the energy")
        line = f"the gradient agrees with differences of the energy to {error:.1e}"
        return replace(found, problems=problems, lines=[*found.lines, line])


def gradient_error(energy: Energy) -> float:
    """How far ⟨∇R(x), d⟩ is from (R(x + hd) − R(x − hd))/2h for a random x, relatively.

    The direction d is mostly the gradient's, so that the slope is not small by chance.

    Args:
        energy: in float64.
    """
    generator = torch.Generator().manual_seed(1)
    shape = (1, energy.config.channels, *SIDES)
    x = torch.rand(shape, generator=generator, dtype=torch.float64)
    other = torch.randn(shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        gradient = energy.gradient(x, ATTACK_LEVEL)
        d = gradient / gradient.norm() + other / other.norm()
        ahead, behind = (energy.value(x + h * d, ATTACK_LEVEL) for h in (STEP, -STEP))
        slope = (gradient * d).sum()
        return float(((ahead - behind) / (2 * STEP) - slope).abs() / slope.abs())


class GradientStepFamily(EnergyFamily[gradient_step.GradientStepNet]):
    """See `networks.energies.gradient_step`."""

    reason = gradient_step.NO_GUARANTEE

    def build(self, config: Mapping[str, Any]) -> gradient_step.GradientStepNet:
        return gradient_step.GradientStepNet(GradientStepConfig(**config))


class RidgeFamily(EnergyFamily[ridge.RidgeNet]):
    """See `networks.energies.ridge`."""

    reason = ridge.NO_GUARANTEE

    def build(self, config: Mapping[str, Any]) -> ridge.RidgeNet:
        return ridge.RidgeNet(RidgeConfig(**config))


class PatchFlowFamily(EnergyFamily[patch_flow.PatchFlowNet]):
    """See `networks.energies.patch_flow`."""

    reason = patch_flow.NO_GUARANTEE

    def build(self, config: Mapping[str, Any]) -> patch_flow.PatchFlowNet:
        return patch_flow.PatchFlowNet(PatchFlowConfig(**config))


class CriticFamily(EnergyFamily[critic.CriticNet]):
    """See `networks.energies.critic`; the card states the proven constants."""

    reason = critic.NO_GUARANTEE

    def build(self, config: Mapping[str, Any]) -> critic.CriticNet:
        return critic.CriticNet(CriticConfig(**config))

    def certify(
        self, network: critic.CriticNet, name: str, meant_for: tuple[float, float]
    ) -> Certified:
        network.certify()
        found = super().certify(network, name, meant_for)
        return replace(found, fields={**found.fields, "constants": network.constants()})

    def verify(self, card: Card, attack_steps: int) -> Check:
        """See `EnergyFamily`; also the constants, found anew from the weights."""
        found, network = super().verify(card, attack_steps), self.load(card)
        proven = network.constants()
        stated = card.fields.get("constants", {})
        problems = [
            f"the card states {key} {stated[key]:.6g}, proven is {value:.6g}"
            for key, value in proven.items()
            if key in stated and not value <= stated[key] * (1 + 1e-6)
        ]
        if not proven["critic"] <= 1:
            problems.append(f"the critic is only proven to be {proven['critic']:.6g}-Lipschitz")
        line = ", ".join(f"{key} {value:.6g}" for key, value in proven.items())
        return replace(
            found, problems=[*found.problems, *problems], lines=[*found.lines, f"proven: {line}"]
        )


GRADIENT_STEP = GradientStepFamily()
RIDGE = RidgeFamily()
PATCH_FLOW = PatchFlowFamily()
CRITIC = CriticFamily()
