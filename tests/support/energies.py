"""Small energies and smooth pictures for tests of their training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pnp_recon.networks.configs import (
    CriticConfig,
    GradientStepConfig,
    PatchFlowConfig,
    RidgeConfig,
)
from pnp_recon.networks.energies.critic import CriticNet
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.networks.energies.gradient_step import GradientStepNet
from pnp_recon.networks.energies.patch_flow import PatchFlowNet
from pnp_recon.networks.energies.ridge import RidgeNet
from pnp_recon.training.seeding import seeded

SIDE = 16
RIDGE = RidgeConfig(widths=(2, 3, 6), size=3)
STEP = GradientStepConfig(widths=(4, 6, 8), embedding=6)
# One level for each of two pictures.
LEVELS = torch.tensor([0.02, 0.15], dtype=torch.float64)


class Steep(GradientStepNet):
    """Drawn weights bend more than trained ones."""

    def bend(self, sigma: Tensor) -> Tensor:
        return torch.full_like(sigma, 4.0)


def energy(family: str) -> Energy:
    with seeded(3):
        if family == "ridge":
            return RidgeNet(RIDGE)
        net = Steep(STEP)
        with torch.no_grad():
            net.exit.mul_(4)  # what is learned weighs something beside the high-pass
        return net


def drawn(family: str) -> PatchFlowNet | CriticNet:
    """A patch flow about the patches of `clean`, or a certified critic, with drawn weights."""
    with seeded(3), torch.no_grad():
        if family == "critic":
            net = CriticNet(CriticConfig(features=6, size=3, blocks=1))
            net.certify()
            return net.eval().requires_grad_(False)
        flow = PatchFlowNet(PatchFlowConfig(size=3, layers=2, hidden=8))
        flow.whiten(F.unfold(clean().float(), 3).transpose(1, 2).flatten(0, 1))
        for layer in flow.couplings:
            layer.last.weight.normal_(0, 0.1)  # type: ignore[operator, union-attr]
        return flow.eval().requires_grad_(False)


def clean(channels: int = 1, side: int = SIDE) -> Tensor:
    """Smooth pictures, in float64."""
    rows = torch.linspace(0, 4, side, dtype=torch.float64)
    waves = (rows[:, None] + 1.7 * rows.square()).sin() * (1.3 * rows).cos()
    return (0.5 + 0.3 * torch.stack([waves, waves.T])[:, None]).expand(-1, channels, -1, -1)


def pictures(count: int = 2) -> list[Tensor]:
    found = clean(side=40)[:, 0]
    return [(255 * found[i % 2]).round().to(torch.uint8)[None] for i in range(count)]


def patch_flow(channels: int = 1) -> PatchFlowNet:
    """A patch flow with drawn weights, in float64."""
    net = PatchFlowNet(PatchFlowConfig(channels=channels, size=4, layers=3, hidden=12))
    net.whiten(torch.randn(200, net.dim).cumsum(1) / 20 + 0.5)
    with torch.no_grad():
        for layer in net.couplings:
            layer.last.weight.normal_(0, 0.3)  # type: ignore[operator, union-attr]
            layer.mix.add_(0.1 * torch.randn_like(layer.mix))  # type: ignore[operator, arg-type]
    return net.double().requires_grad_(False)


def critic(channels: int = 1) -> CriticNet:
    """A certified critic with drawn weights, in float64."""
    net = CriticNet(CriticConfig(channels=channels, features=6, size=3, blocks=2)).double().eval()
    with torch.no_grad():
        for block in net.blocks:
            block.bias.normal_(0, 0.5)  # type: ignore[operator, union-attr]
    net.certify()
    return net.requires_grad_(False)


def gradient_step(channels: int = 1) -> GradientStepNet:
    """A gradient-step energy with drawn weights, in float64."""
    net = GradientStepNet(GradientStepConfig(channels=channels, widths=(4, 6, 8)))
    with torch.no_grad():
        net.exit.mul_(10)  # what is learned weighs as much as the high-pass
    return net.double().requires_grad_(False)


def ridge_net(channels: int = 1, group: int = 1) -> RidgeNet:
    """A ridge energy with drawn weights, in float64."""
    net = RidgeNet(RidgeConfig(channels=channels, widths=(4, 6, 12), size=3, group=group))
    with torch.no_grad():
        for numbers in (net.log_scale, net.logit_mu, net.rise, net.fall, net.drop):
            numbers.add_(0.3 * torch.randn_like(numbers))
    return net.double().requires_grad_(False)


def random_pictures(channels: int, size: tuple[int, int]) -> Tensor:
    """(2, channels, *size) of white noise in [0, 1], float64."""
    return torch.rand(2, channels, *size, dtype=torch.float64)
