"""Small Euler networks of a group, and how far they are from commuting with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from laws.networks import picture
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.equivariant import Group, turn
from pnp_recon.networks.euler import EulerNet
from pnp_recon.training.denoiser.network import build_network

TINY = EulerConfig(width=8, hidden=16, blocks=2, lifting="unshuffle", group="D4")
# Largest error that float64 rounding may make.
EXACT = 1e-10


def stored(module: nn.Module, name: str) -> Tensor:
    """The parameter `name`, or the numbers that a tie makes it from."""
    chain = getattr(module, "parametrizations", {})
    return chain[name].original if name in chain else getattr(module, name)


def tiny_net(group: str = "D4", activation: str = "spline", **changes: Any) -> EulerNet:
    """A certified net in float64, all that is learned random, steps near their limit."""
    config = replace(TINY, group=group, activation=activation, **changes)
    net = build_network(config, 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for block in net.flow_blocks():
            for name in ("bias", "threshold"):
                numbers = stored(block, name)
                numbers.add_(0.3 * torch.randn(numbers.shape, generator=generator))
            if activation == "spline":
                logits = stored(block.activation, "logits")
                logits.copy_(torch.randn(logits.shape, generator=generator))
            block.step_logit.fill_(5.0)
    net.certify()
    return net.double().eval().requires_grad_(False)


def turning_error(net: nn.Module, group: Group, size: tuple[int, int], channels: int = 1) -> float:
    """The largest |N(g·x) − g·N(x)| over the group, the picture random."""
    x = picture(2, channels, *size)
    out = net(x, 0.1)
    return max(
        float((net(turn(x, group, g), 0.1) - turn(out, group, g)).abs().max())
        for g in group.elements
    )
