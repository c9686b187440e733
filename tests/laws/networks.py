"""Registry of networks, and the laws that every registered one is put to.

What is named in `ACTIVATIONS` or `LIFTINGS` is tested because it is there. A law is a function
that measures; the tests compare, and show with a broken twin that the measurement can fail.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.activations import ACTIVATIONS, Activation, Ball
from pnp_recon.networks.blocks import FlowBlock
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet
from pnp_recon.networks.lifting import LIFTINGS

Map = Callable[[Tensor], Tensor]

# Rounding of a difference quotient in float64 at the scales used here.
ROUNDING = 1e-8
# Picture sizes and noise levels of an attack: odd, oblong, and smaller than a filter's reach.
CASES = [((8, 8), 10 / 255), ((7, 10), 1 / 255), ((3, 5), 50 / 255)]
# Features for each picture channel: as few as the lifting needs, so that an attack on pictures
# reaches every feature.
WIDTHS = {"pad": 3, "unshuffle": 4, "haar": 4, "haar2": 16, "orthonormal": 6}
COMBINATIONS = [(activation, name) for activation in ACTIVATIONS for name in LIFTINGS]


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small_net(
    activation: str = "clip",
    lifting: str = "unshuffle",
    *,
    channels: int = 1,
    blocks: int = 2,
    kernel_size: int = 3,
    seed: int = 0,
    certify: bool = True,
) -> EulerNet:
    """A small net in float64 with every parameter random and steps near their limit."""
    config = EulerConfig(
        channels=channels,
        width=WIDTHS[lifting] * channels,
        hidden=12,
        blocks=blocks,
        kernel_size=kernel_size,
        activation=activation,
        lifting=lifting,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = EulerNet(config)
        with torch.no_grad():
            for block in net.flow_blocks():
                block.bias.normal_(std=0.1)
                block.threshold.copy_(0.3 * torch.randn(block.threshold.shape))
                block.threshold[0] -= 1.0
                block.step_logit.fill_(5.0)
                for parameter in block.activation.parameters():
                    parameter.normal_()
    if certify:
        net.certify()
    return net.double().eval().requires_grad_(False)


def reflected(function: Map, alpha: float) -> Map:
    """R of T = (1 − α)I + αR; T is α-averaged exactly if R is 1-Lipschitz."""
    return lambda x: (function(x) - (1 - alpha) * x) / alpha


def attack(function: Map, x: Tensor, scales: Tensor, steps: int) -> float:
    """Largest ‖f(x+d) − f(x)‖/‖d‖ found: power steps on d, gradient ascent on x.

    d ← J(x+d)ᵀ(f(x+d) − f(x)), rescaled, is power iteration wherever f is linear between the two
    points, and finds the worst direction far sooner than gradient ascent on d. Starts x
    (B, C, H, W) are attacked side by side with offsets of size `scales` (B,) for each entry.
    """
    sizes = (scales * x[0].numel() ** 0.5)[:, None, None, None]
    d = random_tensor(*x.shape, seed=1)
    best = 0.0
    for _ in range(steps):
        d = sizes * _unit(d)
        point, other = x.clone().requires_grad_(), (x + d).requires_grad_()
        difference = function(other) - function(point)
        ratios = difference.detach().flatten(1).norm(dim=1) / d.flatten(1).norm(dim=1)
        best = max(best, float(ratios.max()))
        at_point, d = torch.autograd.grad(0.5 * difference.square().sum(), (point, other))
        x = x + 0.1 * sizes * _unit(at_point + d)
    return best


def _unit(d: Tensor) -> Tensor:
    return d / d.flatten(1).norm(dim=1).clamp_min(1e-30)[:, None, None, None]


def attacked(function: Map, channels: int, size: tuple[int, int], steps: int = 8) -> float:
    """The worst of attacks from a random picture, black and mid-grey, small and large offsets."""
    random = picture(1, channels, *size)
    starts = torch.cat([random, random, 0 * random, 0 * random + 0.5])
    return attack(function, starts, torch.tensor([1e-2, 1.0, 1e-3, 1e-3]).double(), steps)


def slopes(activation: nn.Module, channels: int = 12) -> tuple[float, float]:
    """Smallest and largest difference quotient on a dense grid."""
    z = torch.linspace(-12, 12, 24001, dtype=torch.float64)
    values = activation(z.expand(1, channels, 1, -1)).detach()
    quotients = torch.diff(values, dim=-1) / torch.diff(z)
    return float(quotients.min()), float(quotients.max())


def slope_matrices(activation: nn.Module, channels: int = 12, points: int = 40) -> Tensor:
    """Jacobians (points, channels, channels) at random pre-activations of different sizes."""
    sizes = torch.logspace(-1, 1, points, dtype=torch.float64)[:, None, None, None]
    z = sizes * random_tensor(points, channels, 1, 1, seed=5)
    rows = [torch.autograd.functional.jacobian(activation, value[None]) for value in z]
    return torch.stack([row.reshape(channels, channels) for row in rows]).detach()


def sharp_block(activation: str, seed: int = 8) -> FlowBlock:
    """A block in float64 on four feature channels, certified, its step near the limit."""
    (block,) = small_net(activation, "unshuffle", blocks=1, seed=seed).flow_blocks()
    return block


def at_level(module: nn.Module, sigma: float) -> Map:
    """x ↦ module(x, sigma) for a network or a block."""
    level = torch.tensor([sigma], dtype=torch.float64)
    return lambda x: module(x, level)


def dense(function: Map, shape: tuple[int, int, int]) -> Tensor:
    """The matrix of a linear map on pictures (C, H, W)."""
    eye = torch.eye(shape[0] * shape[1] * shape[2], dtype=torch.float64)
    return function(eye.reshape(-1, *shape)).flatten(1).T


def convolve(weight: Tensor, padding: str) -> Map:
    """conv2d with 'zero' or 'circular' padding, output as large as the input."""
    pads = (weight.shape[-1] // 2,) * 2 + (weight.shape[-2] // 2,) * 2

    def function(x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, pads, "constant" if padding == "zero" else padding), weight)

    return function


def spectral_norm(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, ord=2))


class Steep(Activation):
    """A broken twin: slope 1.5."""

    def forward(self, z: Tensor) -> Tensor:
        return 1.5 * z


class Skewed(Activation):
    """A broken twin: t φ(z/t) with thresholds that differ inside a group, which is no gradient."""

    def forward(self, z: Tensor) -> Tensor:
        t = torch.logspace(-2, 2, z.shape[1], dtype=z.dtype)[:, None, None]
        return Ball(z.shape[1], 4)(z / t) * t


class Wavy(Activation):
    """A broken twin: not monotone."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.sin(z)
