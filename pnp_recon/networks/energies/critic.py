"""Critics as energies: functions of proven Lipschitz constant that tell bad pictures from good.

A 1-Lipschitz function C bounds the Wasserstein-1 distance of two sets of pictures from below,
E C(bad) − E C(good) ≤ W₁ (Kantorovich & Rubinstein 1958); trained for the largest difference it
is a regulariser (Lunz, Öktem & Schönlieb 2018, Adversarial regularizers in inverse problems).
There a penalty asks for the constant, here it is proven, for pictures of every size:

    R_σ(x) = σ² Σ_p Σ_g w_g ρ(|Φ(x/σ)|_{p,g}),   ρ(t) = √(ε² + t²) − ε,   ‖w‖ ≤ 1,

Φ being filters without a mean, of norm at most 1, and nonexpansive blocks of gradient flow (Euler,
tanh). The vector of σ Σ_g w_g ρ over the n pixels is a 1-Lipschitz function of x, hence so is the
critic C(x) = R_σ(x)/(σ√n). All is real analytic, R_σ ≥ 0, and ∇R_σ has a Lipschitz constant on the
whole space that does not depend on σ or on the size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.configs import CriticConfig
from pnp_recon.networks.constraints import conv_norm_bound, power_step
from pnp_recon.networks.energies.borders import extend, extend_transposed
from pnp_recon.networks.energies.bounds import squared_norm
from pnp_recon.networks.energies.convolutions import convolve, convolve_transposed
from pnp_recon.networks.energies.energy import Energy, as_levels

NO_GUARANTEE = (
    "the denoiser is the step x − ∇R_σ(x) of an explicit energy, a critic with a proven Lipschitz "
    "constant (after Lunz et al. 2018), and of the step itself no constant is proven; solver "
    "descent proves convergence to critical points of the energy with the data"
)

# max |tanh''| = 4/(3√3), rounded up.
BEND = 0.7698003589195011
# Relative allowance for the rounding of sums and products of a few thousand terms.
ROUNDING = 1e-9
# Frequencies in each direction that training looks at.
GRID = 32


@dataclass(frozen=True)
class Facts:
    """Proven of a block. |g| stands for the largest length over the pixels of what g has there.

    Attributes:
        lipschitz: a Lipschitz constant of the block.
        bend: 2s‖V‖² max|tanh″| maxᵢ Σ_taps|vᵢ|: its second derivative, contracted with g, is
            −2sVᵀ diag(tanh″·(Vg)) V, of norm at most bend·|g|.
        growth: |I − 2sVᵀDV g| ≤ growth·|g| for 0 ≤ D ≤ 1, by the norms of the taps.
    """

    lipschitz: float
    bend: float
    growth: float


class CriticBlock(nn.Module):
    """z − 2s Vᵀ tanh(Vz + b), V = W/n, 0 < s < 1: nonexpansive where n ≥ ‖W‖, see `blocks`."""

    norm: Tensor
    vector: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, features, 3, 3) / (3 * features**0.5))
        self.bias = nn.Parameter(torch.zeros(features))
        self.step_logit = nn.Parameter(torch.zeros(()))
        self.register_buffer("norm", torch.ones(()))
        self.register_buffer("vector", torch.randn(1, features, 16, 16))
        for _ in range(5):
            self.estimate()

    def estimate(self) -> Tensor:
        """‖W‖ by a power iteration, for training alone; differentiable."""
        norm, vector = power_step(self.weight, self.vector)
        with torch.no_grad():
            self.vector.copy_(vector)
            self.norm.copy_(norm)
        return norm

    def forward(self, z: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        v = self.weight / (self.estimate() if self.training else self.norm)
        a = torch.tanh(convolve(z, v) + self.bias[:, None, None])
        step = 2 * torch.sigmoid(self.step_logit)
        return z - step * convolve_transposed(a, v), (v, step * (1 - a * a))

    def pullback(self, g: Tensor, tape: tuple[Tensor, Tensor]) -> Tensor:
        v, slope = tape
        return g - convolve_transposed(slope * convolve(g, v), v)

    def facts(self) -> Facts:
        """What is proven for the weights held now, every picture size."""
        v = (self.weight.detach().double() / self.norm.double()).permute(2, 3, 0, 1).flatten(0, 1)
        step = 2 * float(torch.sigmoid(self.step_logit.detach().double())) * (1 + 1e-6)
        square = (_norm(self.weight) / float(self.norm)) ** 2
        rows = float(v.norm(dim=2).sum(0).max()) * (1 + ROUNDING)
        taps = float(torch.linalg.matrix_norm(v, 2).sum()) * (1 + ROUNDING)
        return Facts(
            lipschitz=max(step * square * (1 + ROUNDING) - 1, 1.0),  # NaN stays NaN in this order
            bend=step * square * BEND * rows * (1 + ROUNDING),
            growth=(1 + step * taps**2) * (1 + ROUNDING),
        )


class CriticNet(Energy):
    """R_σ(x) = σ² Σ w ρ(|Φ(x/σ)|); see the module and `Energy`."""

    config: CriticConfig
    smoothness: ClassVar[str] = (
        "rounded norms √(ε² + t²) − ε ≥ 0 of convolutions and tanh: real analytic, definable with "
        "the exponential function, its gradient Lipschitz"
    )
    scale: Tensor

    def __init__(self, config: CriticConfig) -> None:
        super().__init__()
        self.config = config
        shape = (config.features, config.channels, config.size, config.size)
        self.filters = nn.Parameter(torch.randn(shape))
        self.blocks = nn.ModuleList(CriticBlock(config.features) for _ in range(config.blocks))
        self.share = nn.Parameter(torch.zeros(config.features // config.group))
        self.register_buffer("scale", torch.ones(()))

    @property
    def sound(self) -> bool:
        """Is the critic proven to be 1-Lipschitz, and are norms rounded?"""
        return super().sound and 0 < self.config.softness < math.inf and self.constant() <= 1

    # ---- the energy ------------------------------------------------------------------------------

    def value(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        return self._energy(x, sigma, keep=False)[0]

    def value_and_gradient(self, x: Tensor, sigma: Tensor | float) -> tuple[Tensor, Tensor]:
        value, gradient = self._energy(x, sigma, keep=True)
        assert gradient is not None
        return value, gradient

    def critic(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """C(x) = R_σ(x)/(σ√n), (B,), with n pixels: 1-Lipschitz once `certify` was called."""
        levels = as_levels(x, sigma)
        return self.value(x, levels) / (levels * math.sqrt(x.shape[-1] * x.shape[-2]))

    def denoise(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """x − ∇R_σ(x)."""
        return x - self.gradient(x, sigma)

    # ---- what is proven --------------------------------------------------------------------------

    @torch.no_grad()
    def certify(self) -> None:
        """Sets the normalisers to proven bounds of the norms, a little more for float32."""
        self.scale.fill_(_extended_norm(self._centred()) * (1 + 1e-6))
        for block in self._blocks():
            block.norm.fill_(_norm(block.weight) * (1 + 1e-6))

    def constant(self) -> float:
        """A proven Lipschitz constant of the critic for the weights held now, every size."""
        return self._inner() * float(self._weights().double().norm().detach()) * (1 + ROUNDING)

    def constants(self) -> dict[str, float]:
        """All that is proven, for every level: of the critic, of ∇R_σ, of how R_σ bends down."""
        return {
            "critic": self.constant(),
            "gradient": self.lipschitz(1.0),
            "weak_convexity": self.weak_convexity(1.0),
        }

    def lipschitz(self, sigma: float) -> float:
        """∇²R_σ = JᵀDJ + Σ gᵢ∇²Φᵢ: the first is at most ‖J‖² max w/ε, the second `weak_convexity`.

        It holds on the whole space and for every level.
        """
        top = float(self._weights().detach().max())
        bound = self._inner() ** 2 * top / self.config.softness
        return (bound + self.weak_convexity(sigma)) * (1 + ROUNDING)

    def weak_convexity(self, sigma: float) -> float:
        """A bound of the term that may bend down, block by block, from the last one.

        There |g| ≤ ‖w‖, as rounded norms are 1-Lipschitz; what lies before a block counts with its
        Lipschitz constant squared.
        """
        g = float(self._weights().double().norm().detach()) * (1 + ROUNDING)
        facts, total = [block.facts() for block in self._blocks()], 0.0
        for k in reversed(range(len(facts))):
            before = self._entry() * math.prod(fact.lipschitz for fact in facts[:k])
            total += before**2 * facts[k].bend * g
            g *= facts[k].growth
        return total * (1 + ROUNDING)

    # ---- inside ----------------------------------------------------------------------------------

    def _entry(self) -> float:
        """A bound of the norm of the filters."""
        return _extended_norm(self._centred()) / float(self.scale) * (1 + ROUNDING)

    def _inner(self) -> float:
        """A Lipschitz constant of Φ."""
        constants = [block.facts().lipschitz for block in self._blocks()]
        return self._entry() * math.prod(constants) * (1 + ROUNDING)

    def _blocks(self) -> list[CriticBlock]:
        return list(cast("Iterable[CriticBlock]", self.blocks))

    def _centred(self) -> Tensor:
        """The filters without their means: flat pictures cost nothing at first."""
        return self.filters - self.filters.mean((2, 3), keepdim=True)

    def _weights(self) -> Tensor:
        """w ≥ 0, a little below norm 1."""
        raw = F.softplus(self.share)
        return raw / (raw.norm() * (1 + 1e-6))

    def _first(self) -> Tensor:
        filters = self._centred()
        if not self.training:
            return filters / self.scale
        symbol = torch.fft.rfft2(filters, s=(GRID, GRID))
        gram = torch.einsum("fcij,fdij->ijcd", symbol.conj(), symbol)
        top = torch.linalg.eigvalsh(gram)[..., -1].max()
        with torch.no_grad():
            self.scale.copy_(top.sqrt())
        return filters / top.sqrt()

    def _energy(self, x: Tensor, sigma: Tensor | float, keep: bool) -> tuple[Tensor, Tensor | None]:
        level = as_levels(x, sigma)[:, None, None, None]
        reach, filters, soft = self.config.size // 2, self._first(), self.config.softness
        z = F.conv2d(extend(x / level, reach), filters)
        tapes = []
        for block in self._blocks():
            z, tape = block(z)
            tapes.append((block, tape))
        groups = z.unflatten(1, (-1, self.config.group))
        norms = torch.sqrt(groups.square().sum(2) + soft**2)
        weights = self._weights()[:, None, None]
        value = level.flatten().square() * (weights * (norms - soft)).sum((1, 2, 3))
        if not keep:
            return value, None
        g = (groups * (weights / norms)[:, :, None]).flatten(1, 2)
        for block, tape in reversed(tapes):
            g = block.pullback(g, tape)
        return value, level * extend_transposed(F.conv_transpose2d(g, filters), reach)


def _norm(weight: Tensor) -> float:
    """A proven bound of the norm of filters with zeros around."""
    return _bound(_written(weight), tuple(weight.shape), False)


def _extended_norm(filters: Tensor) -> float:
    """The same of pictures that are extended symmetrically."""
    return _bound(_written(filters), tuple(filters.shape), True)


def _written(weight: Tensor) -> bytes:
    return weight.detach().cpu().double().contiguous().numpy().tobytes()


@lru_cache(maxsize=32)
def _bound(data: bytes, shape: tuple[int, ...], extended: bool) -> float:
    """Kept by the weights themselves: a run asks many times, and a bound takes long."""
    weight = torch.frombuffer(bytearray(data), dtype=torch.float64).view(shape)
    return math.sqrt(squared_norm(weight)) if extended else conv_norm_bound(weight)
