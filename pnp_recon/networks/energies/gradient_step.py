"""Gradient-step energies R_σ(x) = ½‖x − N_σ(x)‖², whose denoiser is the gradient step x − ∇R_σ(x).

The idea is that of Hurault, Leclaire & Papadakis (2022, Gradient Step Denoiser for convergent
Plug-and-Play): a denoiser that is a gradient step on a function leads plug-and-play iterations to
critical points of an explicit energy. N is a small U-shaped network with SiLU, without
normalisation, ReLU or pooling, so that R is real analytic in x, and so has the
Kurdyka–Łojasiewicz property that Attouch, Bolte & Svaiter (2013) ask for. No theorem about a solver
is stated here.

The residual is r(x) = x − N(x) = H x − F(x): H removes a fixed binomial average, F is learned. As r
starts at H x and not at 0, training does not begin at the saddle N = id. The gradient J_r(x)ᵀ r(x)
is written out as ordinary tensor operations, so that the denoiser is a feed-forward graph: training
it takes one reverse pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.configs import GradientStepConfig
from pnp_recon.networks.energies.borders import (
    highpass,
    highpass_transposed,
    pad_to,
    pad_to_transposed,
)
from pnp_recon.networks.energies.convolutions import convolve, convolve_transposed
from pnp_recon.networks.energies.energy import Energy, as_levels

NO_GUARANTEE = (
    "the denoiser is the gradient step x − ∇R_σ(x) of an explicit energy (Hurault et al. 2022), "
    "and no Lipschitz constant of it is proven; solver descent proves convergence to critical "
    "points of the energy with the data"
)

# What a block hands to its pullback: two derivatives and two filters.
BlockTape = tuple[Tensor, Tensor, Tensor, Tensor]


class Block(nn.Module):
    """h + C₂ silu(C₁ silu(h) + b(σ)) with two 3 × 3 convolutions, and its transposed derivative."""

    def __init__(self, width: int, embedding: int, gain: float) -> None:
        super().__init__()
        spread = 1.6 / math.sqrt(9 * width)
        self.first = nn.Parameter(torch.randn(width, width, 3, 3) * spread)
        self.second = nn.Parameter(torch.randn(width, width, 3, 3) * spread * gain)
        self.shift = nn.Linear(embedding, width)

    def forward(self, h: Tensor, embedded: Tensor) -> tuple[Tensor, BlockTape]:
        first, second = _cast(self.first, h), _cast(self.second, h)
        a, slope_a = _silu(h)
        shift = self.shift(embedded).to(h.dtype)[:, :, None, None]
        v, slope_v = _silu(convolve(a, first) + shift)
        return h + convolve(v, second), (slope_a, slope_v, first, second)

    def pullback(self, g: Tensor, tape: BlockTape) -> Tensor:
        """J(h)ᵀ g at the h of the forward pass."""
        slope_a, slope_v, first, second = tape
        inner = convolve_transposed(g, second) * slope_v
        return g + convolve_transposed(inner, first) * slope_a


# Blocks in the order in which they ran, filters between the scales on the way down and up.
Tape = tuple[list[tuple[Block, BlockTape]], list[Tensor], list[Tensor]]


class GradientStepNet(Energy):
    """R_σ(x) = ½‖r_σ(x)‖², r = x − N_σ(x); `forward(x, sigma)` is x − ∇R_σ(x), see `Energy`.

    Attributes:
        compute_dtype: arithmetic of the inner layers, None for that of the picture. bfloat16 is
            for training; entry, exit and H stay in the dtype of the picture.
    """

    config: GradientStepConfig
    denoises_by_gradient_step: ClassVar[bool] = True
    smoothness: ClassVar[str] = (
        "half the squared norm of convolutions, SiLU and sums: real analytic, definable with the "
        "exponential function"
    )

    def __init__(self, config: GradientStepConfig) -> None:
        super().__init__()
        self.config = config
        packed, widths, embedding = 4 * config.channels, config.widths, config.embedding
        self.embed = nn.Linear(4, embedding)
        self.mix = nn.Linear(embedding, embedding)
        self.entry = nn.Parameter(torch.randn(widths[0], packed, 3, 3) / math.sqrt(9 * packed))
        self.entry_shift = nn.Linear(embedding, widths[0])
        spread = 0.1 / math.sqrt(9 * widths[0])
        self.exit = nn.Parameter(torch.randn(packed, widths[0], 3, 3) * spread)
        gain = 1 / math.sqrt(2 * max(1, sum(config.down) + sum(config.up)))

        def scales(widths: Iterable[int], counts: Iterable[int]) -> nn.ModuleList:
            return nn.ModuleList(
                nn.ModuleList(Block(width, embedding, gain) for _ in range(count))
                for width, count in zip(widths, counts, strict=True)
            )

        self.down_blocks = scales(widths, config.down)
        self.up_blocks = scales(widths[:-1], config.up)
        pairs = list(pairwise(widths))
        self.shrink = nn.ParameterList(
            nn.Parameter(torch.randn(b, a, 2, 2) / math.sqrt(4 * a)) for a, b in pairs
        )
        self.grow = nn.ParameterList(
            nn.Parameter(torch.randn(b, a, 2, 2) * 0.7 / math.sqrt(b)) for a, b in pairs
        )

    # ---- the energy ------------------------------------------------------------------------------

    def value(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        residual, _ = self._residual(x, as_levels(x, sigma), keep=False)
        return 0.5 * residual.square().sum((1, 2, 3))

    def value_and_gradient(self, x: Tensor, sigma: Tensor | float) -> tuple[Tensor, Tensor]:
        residual, tape = self._residual(x, as_levels(x, sigma), keep=True)
        height, width = x.shape[-2:]
        g = F.pad(residual, (0, (-width) % self._multiple, 0, (-height) % self._multiple))
        learned = pad_to_transposed(self._pullback(g, tape), height, width)
        return 0.5 * residual.square().sum((1, 2, 3)), highpass_transposed(residual) - learned

    def denoise(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """D_σ(x) = x − ∇R_σ(x)."""
        return x - self.gradient(x, sigma)

    def multiplications(self) -> float:
        """The multiplications of N for each pixel; the gradient takes twice as many."""
        c = self.config
        total = 2 * 9 * 4 * c.channels * c.widths[0] / 4
        for k, width in enumerate(c.widths):
            blocks = c.down[k] + (c.up[k] if k < len(c.up) else 0)
            total += blocks * 2 * 9 * width**2 / 4 ** (k + 1)
        for k, (a, b) in enumerate(pairwise(c.widths)):
            total += 2 * 4 * a * b / 4 ** (k + 2)
        return total

    def inner_filters(self) -> list[nn.Parameter]:
        """The filters between features, which an orthogonalised update may move."""
        named = self.named_parameters()
        return [p for name, p in named if p.ndim == 4 and name not in ("entry", "exit")]

    # ---- the network -----------------------------------------------------------------------------

    @property
    def _multiple(self) -> int:
        return int(2 ** len(self.config.widths))

    def _residual(self, x: Tensor, sigma: Tensor, keep: bool) -> tuple[Tensor, Tape]:
        scale = ((self.config.sigma_ref / sigma) ** self.config.power)[:, None, None, None]
        learned, tape = self._learned(scale * (pad_to(x, self._multiple) - 0.5), sigma, keep)
        return highpass(x) - learned[..., : x.shape[-2], : x.shape[-1]] / scale, tape

    def _embedded(self, sigma: Tensor) -> Tensor:
        t = torch.log(sigma / self.config.sigma_ref)
        features = torch.stack((t / 2, t * t / 8, sigma * 5, torch.ones_like(t)), -1)
        return F.silu(self.mix(F.silu(self.embed(features))))

    def _learned(self, x: Tensor, sigma: Tensor, keep: bool) -> tuple[Tensor, Tape]:
        """F(x), and with `keep` what the pullback needs; both sides multiples of `_multiple`."""
        embedded = self._embedded(sigma)
        packed = _channels_last(F.pixel_unshuffle(x, 2))
        h = convolve(packed, _cast(self.entry, packed))
        h = (h + self.entry_shift(embedded)[:, :, None, None]).to(self.compute_dtype or x.dtype)
        shrink, grow = ([_cast(p, h) for p in filters] for filters in (self.shrink, self.grow))
        tapes: list[tuple[Block, BlockTape]] = []
        skips: list[Tensor] = []
        for k in range(len(self.down_blocks)):
            for block in _blocks(self.down_blocks[k]):
                h, tape = block(h, embedded)
                if keep:
                    tapes.append((block, tape))
            if k < len(shrink):
                skips.append(h)
                h = F.conv2d(h, shrink[k], stride=2)
        for k in reversed(range(len(grow))):
            h = F.conv_transpose2d(h, grow[k], stride=2) + skips[k]
            for block in _blocks(self.up_blocks[k]):
                h, tape = block(h, embedded)
                if keep:
                    tapes.append((block, tape))
        out = convolve(h.to(x.dtype), _cast(self.exit, x))
        return F.pixel_shuffle(out, 2), (tapes, shrink, grow)

    def _pullback(self, g: Tensor, tape: Tape) -> Tensor:
        """J_F(x)ᵀ g."""
        ran, shrink, grow = tape
        ran = list(ran)
        packed = _channels_last(F.pixel_unshuffle(g, 2))
        h = convolve_transposed(packed, _cast(self.exit, packed))
        h = h.to(self.compute_dtype or g.dtype)
        skips: list[Tensor] = []
        for k in range(len(grow)):
            for _ in range(self.config.up[k]):
                block, kept = ran.pop()
                h = block.pullback(h, kept)
            skips.append(h)
            h = F.conv2d(h, grow[k], stride=2)
        for k in reversed(range(len(self.config.down))):
            if k < len(shrink):
                h = F.conv_transpose2d(h, shrink[k], stride=2) + skips[k]
            for _ in range(self.config.down[k]):
                block, kept = ran.pop()
                h = block.pullback(h, kept)
        h = convolve_transposed(h.to(g.dtype), _cast(self.entry, g))
        return F.pixel_shuffle(h, 2)


def _silu(h: Tensor) -> tuple[Tensor, Tensor]:
    """SiLU and its derivative."""
    s = torch.sigmoid(h)
    a = h * s
    return a, s + a * (1 - s)


def _blocks(scale: nn.Module) -> list[Block]:
    return list(cast("Iterable[Block]", scale))


def _cast(weight: Tensor, like: Tensor) -> Tensor:
    """A filter in the dtype of the activations, and channels last, which convolves faster."""
    return weight.to(like.dtype, memory_format=torch.channels_last)


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
