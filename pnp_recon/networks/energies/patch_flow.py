"""Patch-flow energies: −log p of all overlapping patches, p the density of a normalising flow.

After PatchNR (Altekrüger, Denker, Hagemann, Hertrich, Maass & Steidl 2023), where a flow learns the
patches of very few pictures. Here it learns the density p_σ of patches *with noise* of level σ, for
all levels at once, so that σ²∇log p_σ points from a noisy patch to its mean (Tweedie's formula) and
the energy has the units of the others:

    R_σ(x) = σ²/d · Σ_P w_P (−log p_σ(P x) + const_σ),

P over all patches of d numbers of the half-sample symmetric extension, those across a border with
half the weight for each border: on the mirrored torus, whose fundamental domain the picture is,
every pixel then lies in d patches. The constant makes R_σ ≥ 0: log-scales of the couplings stay
within ±`stretch`, so that the density is bounded.

All layers are tanh, exp, SiLU and affine: R_σ is real analytic. Its gradient grows faster than
linearly and has no Lipschitz constant on the whole space; none is stated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.configs import PatchFlowConfig
from pnp_recon.networks.constraints import ROUNDING
from pnp_recon.networks.energies.borders import extend, extend_transposed
from pnp_recon.networks.energies.energy import Energy, as_levels

NO_GUARANTEE = (
    "the denoiser is the step x − ∇R_σ(x) of an explicit energy, −log of a density of patches "
    "(after PatchNR, Altekrüger et al. 2023), and no Lipschitz constant of it is proven; solver "
    "descent proves convergence to critical points of the energy with the data"
)

# Numbers that tell a coupling the noise level.
TOLD = 3
# Patches that go through the flow at a time.
TOGETHER = 2048
# What a coupling hands to its pullback: the second half, its scale, and four derivatives.
Tape = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


class Coupling(nn.Module):
    """u ↦ (v₁, e^s v₂ + t), v = W u, with s and t functions of v₁ and of the noise level.

    s = c tanh(·/c) lies within (−c, c). `forward` gives the image and Σ (c − s) ≥ 0 for each patch,
    which is minus the logarithm of the determinant but for a constant.
    """

    def __init__(self, dim: int, hidden: int, stretch: float) -> None:
        super().__init__()
        self.kept, self.moved, self.stretch = dim // 2, dim - dim // 2, stretch
        order = torch.eye(dim)[torch.randperm(dim)]
        self.mix = nn.Parameter(order)
        self.first = nn.Linear(self.kept + TOLD, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 2 * self.moved)
        with torch.no_grad():
            self.last.weight.zero_()
            self.last.bias.zero_()

    def forward(self, u: Tensor, told: Tensor) -> tuple[Tensor, Tensor, Tape]:
        v = F.linear(u, self.mix)
        kept, moved = v.split((self.kept, self.moved), 1)
        weight, level = self.first.weight.split((self.kept, TOLD), 1)
        h, slope_h = _silu(kept @ weight.T + F.linear(told, level, self.first.bias))
        h, slope_k = _silu(self.second(h))
        raw, shift = self.last(h).split((self.moved, self.moved), 1)
        bounded = torch.tanh(raw / self.stretch)
        scale = torch.exp(self.stretch * bounded)
        stretched = moved * scale
        cost = (self.stretch * (1 - bounded)).sum(1)
        tape = (stretched, scale, 1 - bounded * bounded, slope_h, slope_k)
        return torch.cat((kept, stretched + shift), 1), cost, tape

    def pullback(self, g: Tensor, tape: Tape) -> Tensor:
        """The gradient at u of a function with gradient g at the image, plus that of the cost."""
        stretched, scale, slope_s, slope_h, slope_k = tape
        g_kept, g_moved = g.split((self.kept, self.moved), 1)
        inner = torch.cat(((g_moved * stretched - 1) * slope_s, g_moved), 1)
        inner = (inner @ self.last.weight) * slope_k
        inner = (inner @ self.second.weight) * slope_h
        inner = inner @ self.first.weight[:, : self.kept]
        return torch.cat((g_kept + inner, g_moved * scale), 1) @ self.mix


class PatchFlowNet(Energy):
    """R_σ(x) = σ²/d Σ w (−log p_σ(patch) + const); see the module and `Energy`.

    The flow begins with the whitening of Gaussian patches with noise, (Bᵀ(p − m))/√(v + σ²), whose
    numbers are set from patches (`whiten`) and not trained.
    """

    config: PatchFlowConfig
    denoises_by_gradient_step: ClassVar[bool] = True
    smoothness: ClassVar[str] = (
        "minus the logarithm of a density made of affine maps, SiLU, tanh and exp, with bounded "
        "scales: real analytic, definable with the exponential function, bounded below"
    )
    mean: Tensor
    basis: Tensor
    variance: Tensor

    def __init__(self, config: PatchFlowConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.channels * config.size**2
        self.register_buffer("mean", torch.full((dim,), 0.5))
        self.register_buffer("basis", torch.eye(dim))
        self.register_buffer("variance", torch.full((dim,), 0.05))
        self.couplings = nn.ModuleList(
            Coupling(dim, config.hidden, config.stretch) for _ in range(config.layers)
        )

    @property
    def dim(self) -> int:
        """Numbers of a patch."""
        return int(self.variance.numel())

    @property
    def sound(self) -> bool:
        """Are variances of the whitening ≥ 0, scales bounded, all linear maps regular?

        A singular map has no density behind it.
        """
        bounds = [layer.stretch for layer in self._layers()]
        linear = (self.basis, *(layer.mix for layer in self._layers()))
        return (
            super().sound
            and bool((self.variance >= 0).all())
            and all(0 < c < math.inf for c in bounds)
            and all(map(_regular, linear))
        )

    # ---- patches ---------------------------------------------------------------------------------

    @torch.no_grad()
    def whiten(self, patches: Tensor) -> None:
        """Sets mean, principal axes and variances from patches (N, d) without noise."""
        wide = patches.double()
        mean = wide.mean(0)
        spread = (wide - mean).T @ (wide - mean) / max(1, len(wide) - 1)
        variance, basis = torch.linalg.eigh(spread)
        self.mean.copy_(mean)
        self.basis.copy_(basis.flip(1))
        self.variance.copy_(variance.flip(0).clamp_min(0))

    def flow(self, patches: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Where patches (N, d) at levels (N,) go, (N, d), and the logarithm of the determinant."""
        u, spread = self._whitened(patches, sigma)
        told, fixed = self._told(sigma), -spread.log().sum(1)
        for layer in self._layers():
            u, cost, _ = layer(u, told)
            fixed = fixed + layer.moved * layer.stretch + torch.linalg.slogdet(layer.mix)[1] - cost
        return u, fixed

    def log_density(self, patches: Tensor, sigma: Tensor) -> Tensor:
        """log p_σ of patches (N, d) with noise of levels (N,), (N,)."""
        z, logdet = self.flow(patches, sigma)
        return logdet - 0.5 * z.square().sum(1) - self.dim / 2 * math.log(2 * math.pi)

    @torch.no_grad()
    def sample(self, noise: Tensor, sigma: Tensor) -> Tensor:
        """The patches that the flow takes to noise (N, d): with Gaussian noise, samples of p_σ."""
        told, u = self._told(sigma), noise
        for layer in reversed(self._layers()):
            kept, moved = u.split((layer.kept, layer.moved), 1)
            # The coupling itself, of a second half of zeros, tells its shift; of ones, its scale.
            v = torch.linalg.solve(layer.mix, torch.cat((kept, torch.zeros_like(moved)), 1).T).T
            image, _, tape = layer(v, told)
            shift, scale = image[:, layer.kept :], tape[1]
            v = torch.cat((kept, (moved - shift) / scale), 1)
            u = torch.linalg.solve(layer.mix, v.T).T
        spread = (self.variance + sigma.square()[:, None]).sqrt()
        return (u * spread) @ self.basis.T + self.mean

    # ---- the energy ------------------------------------------------------------------------------

    def value(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        return self._energy(x, sigma, keep=False)[0]

    def value_and_gradient(self, x: Tensor, sigma: Tensor | float) -> tuple[Tensor, Tensor]:
        value, gradient = self._energy(x, sigma, keep=True)
        assert gradient is not None
        return value, gradient

    def denoise(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """D_σ(x) = x − ∇R_σ(x): the mean of what the flow makes of the patches over a pixel."""
        return x - self.gradient(x, sigma)

    def multiplications(self) -> float:
        """The multiplications for each patch; the gradient takes twice as many."""
        per = sum(p.numel() for layer in self._layers() for p in layer.parameters())
        return float(self.dim**2 + per)

    def inner_filters(self) -> list[nn.Parameter]:
        return []

    def patch_cost(
        self, patches: Tensor, sigma: Tensor, keep: bool
    ) -> tuple[Tensor, Tensor | None]:
        """−log p_σ + const ≥ 0 of patches (N, d), levels (N,) or (1,); and its gradient (N, d)."""
        u, spread = self._whitened(patches, sigma)
        told, cost, tapes = self._told(sigma), patches.new_zeros(len(patches)), []
        for layer in self._layers():
            u, added, tape = layer(u, told)
            cost = cost + added
            if keep:
                tapes.append(tape)
        cost = cost + 0.5 * u.square().sum(1)
        if not keep:
            return cost, None
        g = u
        for layer, tape in zip(reversed(self._layers()), reversed(tapes), strict=True):
            g = layer.pullback(g, tape)
        return cost, (g / spread) @ self.basis.T

    def left_out(self, sigma: Tensor) -> Tensor:
        """What −log p_σ has beside `patch_cost`: a constant for each level, (N,)."""
        spread = 0.5 * (self.variance + sigma.square()[:, None]).log().sum(1)
        mixed = sum(torch.linalg.slogdet(layer.mix)[1] for layer in self._layers())
        bound = sum(layer.moved * layer.stretch for layer in self._layers())
        return spread - mixed - bound + self.dim / 2 * math.log(2 * math.pi)

    def _energy(self, x: Tensor, sigma: Tensor | float, keep: bool) -> tuple[Tensor, Tensor | None]:
        levels, size = as_levels(x, sigma), self.config.size
        wide = extend(x, size - 1)
        patches = F.unfold(wide, size).transpose(1, 2)
        count = patches.shape[1]
        cost, slope = self._costs(patches.flatten(0, 1), levels, count, keep)
        weights = _weights(x, size)
        unit = levels.square() / self.dim
        value = unit * (cost.view(len(x), count) * weights).sum(1)
        if slope is None:
            return value, None
        pulled = slope.view(len(x), count, -1) * (unit[:, None, None] * weights[:, None])
        folded = F.fold(pulled.transpose(1, 2), tuple(wide.shape[-2:]), size)
        return value, extend_transposed(folded, size - 1)

    # ---- inside ----------------------------------------------------------------------------------

    def _costs(
        self, patches: Tensor, levels: Tensor, count: int, keep: bool
    ) -> tuple[Tensor, Tensor | None]:
        """`patch_cost` a few patches at a time: what is kept for the gradient stays small."""
        parts = []
        for first in range(0, len(patches), TOGETHER):
            some = patches[first : first + TOGETHER]
            which = torch.arange(first, first + len(some), device=patches.device) // count
            # One level for all is told once.
            sigma = levels if len(levels) == 1 else levels[which]
            parts.append(self.patch_cost(some, sigma, keep))
        costs, slopes = zip(*parts, strict=True)
        return torch.cat(costs), torch.cat(slopes) if keep else None

    def _layers(self) -> list[Coupling]:
        return list(cast("Iterable[Coupling]", self.couplings))

    def _whitened(self, patches: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        spread = (self.variance + sigma.square()[:, None]).sqrt()
        return ((patches - self.mean) @ self.basis) / spread, spread

    def _told(self, sigma: Tensor) -> Tensor:
        t = torch.log(sigma / self.config.sigma_ref)
        return torch.stack((t / 2, t * t / 8, sigma * 5), 1)


def _weights(x: Tensor, size: int) -> Tensor:
    """Weights of patches of the extension, in the order of `unfold`: half across each border."""

    def along(n: int) -> Tensor:
        start = torch.arange(1 - size, n, device=x.device)
        inside = (start >= 0) & (start <= n - size)
        return torch.where(inside, 1.0, 0.5).to(x.dtype)

    rows, columns = (along(n) for n in x.shape[-2:])
    return (rows[:, None] * columns[None, :]).flatten()


@torch.no_grad()
def _regular(matrix: Tensor) -> bool:
    """Is its smallest singular value more than rounding may feign?"""
    values = torch.linalg.svdvals(matrix.double())
    return bool(values[-1] > ROUNDING * values[0])


def _silu(h: Tensor) -> tuple[Tensor, Tensor]:
    """SiLU and its derivative."""
    s = torch.sigmoid(h)
    a = h * s
    return a, s + a * (1 - s)
