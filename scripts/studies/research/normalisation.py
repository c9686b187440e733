"""Other ways to norm one than the division by the largest singular value.

Each keeps the block x − 2s·Vᵀ t φ(V x / t + b); only how V comes from its parameters differs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from pnp_recon.networks.blocks import FlowBlock
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.constraints import conv_norm_bound
from pnp_recon.networks.euler import EulerNet


class Columns(FlowBlock):
    """V = W P^{-1/2} with one number for each feature channel (AOL, Prach & Lampert 2022).

    P = diag(Σⱼ |WᵀW|ᵢⱼ) ⪰ WᵀW by diagonal dominance, so ‖V‖ ≤ 1, for every picture size: the
    convolution on a picture is a compression of that on the infinite grid, whose rows are summed.

    `norm` holds the roots of P; they belong to the weights at once, without any iteration.
    """

    def __init__(self, channels: int, hidden: int, kernel_size: int, activation: str) -> None:
        super().__init__(channels, hidden, kernel_size, activation)
        self.norm = self.roots(self.weight).detach()

    def roots(self, weight: Tensor) -> Tensor:
        """The divisors, (1, channels, 1, 1)."""
        return sums(weight.transpose(0, 1)).sum(1).sqrt()[None, :, None, None]

    def calibrate(self) -> None:
        pass

    def _estimate(self, weight: Tensor | None = None) -> Tensor:
        roots = self.roots(self.weight if weight is None else weight)
        if roots.shape == self.norm.shape:  # the parent's constructor asks before there are any
            with torch.no_grad():
                self.norm.copy_(roots)
        return roots

    @torch.no_grad()
    def certify(self, grid: int = 64) -> float:
        """Sets the divisors from float64; returns the bound of ‖V‖."""
        self.norm.copy_(self.roots(self.weight.double()) * (1 + 1e-6))
        return conv_norm_bound(self.weight / self.norm, grid)

    def averagedness(self) -> float:
        bound = conv_norm_bound(self.weight / self.norm)
        alpha = float(self.relative_step.detach().double()) * bound**2 * (1 + 1e-6)
        if alpha >= 1:
            raise ValueError(f"the block is not averaged: {alpha:.6f} is not below 1")
        return alpha


class Rows(Columns):
    """V = T^{-1/2} W, Tᵢ = Σⱼ |WWᵀ|ᵢⱼ qⱼ/qᵢ with learned q > 0 (SLL, Araujo et al. 2023).

    T ⪰ WWᵀ by diagonal dominance of Q⁻¹(T − WWᵀ)Q, so ‖V‖ ≤ 1. Their layer x − 2WᵀT⁻¹φ(Wx + b)
    is this one up to thresholds, which are learned here in any case.
    """

    def __init__(self, channels: int, hidden: int, kernel_size: int, activation: str) -> None:
        super().__init__(channels, hidden, kernel_size, activation)
        self.balance = nn.Parameter(torch.zeros(hidden))
        self.norm = self.roots(self.weight).detach()

    def roots(self, weight: Tensor) -> Tensor:
        """The divisors, (hidden, 1, 1, 1)."""
        if not hasattr(self, "balance"):
            return weight.new_ones(())
        q = torch.exp(self.balance)
        return ((sums(weight) @ q[:, None].to(weight))[:, 0] / q).sqrt()[:, None, None, None]


def sums(weight: Tensor) -> Tensor:
    """Σ_δ |(WWᵀ)ᵢⱼ(δ)|, (hidden, hidden): the filters' correlations at all shifts."""
    with torch.autocast(weight.device.type, enabled=False):
        gram = F.conv2d(weight, weight, padding=weight.shape[-1] - 1)
        return gram.abs().sum((2, 3))


class Bjorck(nn.Module):
    """The nearest matrix with orthonormal rows to the kernel (hidden, channels·k²).

    By the iteration of Björck & Bowie (1971). The filters are then orthonormal on patches; as a
    convolution they are not of norm one, so that the block divides by the norm as ever.
    """

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            matrix = matrix / matrix.norm()
            for _ in range(14):
                matrix = 1.5 * matrix - 0.5 * matrix @ (matrix.mT @ matrix)
            return matrix.view_as(weight)


class Orthogonal(nn.Module):
    """An orthogonal 3×3 convolution (Li et al. 2019): every singular value is one.

    A composition of an orthogonal matrix and of maps z ↦ Pz + S(1 − P)z, P an orthogonal
    projection, S a shift by a pixel: each is orthogonal on the infinite grid, since the two parts
    are. The matrices are Cayley transforms of skew ones, (1 − A)(1 + A)⁻¹.
    """

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Five matrices to start from; of other filters than a constructor's it is no inverse."""
        return weight.flatten(2)[..., :5].permute(2, 0, 1) * weight.shape[-1]

    def forward(self, matrices: Tensor) -> Tensor:
        with torch.autocast(matrices.device.type, enabled=False):
            eye = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
            skew = matrices - matrices.mT
            first, *others = torch.linalg.solve(eye + skew, eye - skew)
            kernel = first[:, :, None, None]
            for index, matrix in enumerate(others):
                half = matrix[:, : len(eye) // 2]
                kept = torch.einsum("ijhw,jk->ikhw", kernel, half @ half.mT)
                here, there = ((0, 1), (1, 0)) if index % 2 else ((0, 0, 0, 1), (0, 0, 1, 0))
                kernel = F.pad(kept, here) + F.pad(kernel - kept, there)
            return kernel


class Tightened(FlowBlock):
    """A block whose step may be `slack` times as long: no guarantee until the slack is one."""

    slack: Tensor

    def __init__(self, channels: int, hidden: int, kernel_size: int, activation: str) -> None:
        super().__init__(channels, hidden, kernel_size, activation)
        self.register_buffer("slack", torch.tensor(4.0))

    @property
    def relative_step(self) -> Tensor:
        return super().relative_step * self.slack

    def follow(self, progress: float) -> None:
        """From 4 down to 1 over the first half of a training."""
        self.slack.fill_(4.0 ** max(0.0, 1 - 2 * progress))


def with_blocks(block: type[FlowBlock]) -> Callable[[EulerConfig], EulerNet]:
    """The builder of a network of other blocks."""

    def build(config: EulerConfig) -> EulerNet:
        net = EulerNet(config)
        sizes = (config.width, config.hidden, config.kernel_size, config.activation)
        net.blocks = nn.ModuleList(block(*sizes) for _ in range(config.blocks))
        return net

    return build


def with_filters(form: Callable[[], nn.Module]) -> Callable[[EulerConfig], EulerNet]:
    """The builder of a network whose filters are a function of what is learned."""

    def build(config: EulerConfig) -> EulerNet:
        net = EulerNet(config)
        for block in net.flow_blocks():
            parametrize.register_parametrization(block, "weight", form())
            block.settle()
        return net

    return build


def singular_values(block: FlowBlock, grid: int = 32) -> Tensor:
    """All singular values of V at all frequencies of a grid, in ascending order (float64)."""
    filters = cast(Tensor, block.weight).detach().double() / block.norm.double()
    symbol = torch.fft.fft2(filters, s=(grid, grid)).permute(2, 3, 0, 1)
    return torch.linalg.svdvals(symbol).flatten().sort().values
