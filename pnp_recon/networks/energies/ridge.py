"""Ridge energies R_σ(x) = Σ ψ_{c,σ}(|(W x)_c|) with learned filters and potentials; denoiser: prox.

The idea is that of Goujon, Neumayer & Unser (2024, Learning weakly convex regularizers for
convergent image-reconstruction algorithms); the parameters are our own. W is three convolutions
without activation in a row, with zero mean, of the picture extended symmetrically, divided by an
estimate of the largest singular value of its transfer function. At the border ‖W‖ exceeds 1, so
that proven constants (`lipschitz`, `weak_convexity`) bound W anew, see `bounds`. Potentials act on
single channels or, for colour, on the norms of groups of them, and depend on σ. ψ′ is odd and
piecewise linear,

    ψ′(r) = φ′(a r)/a,   φ′(t) = Σⱼ (μ pⱼ − ν qⱼ) min(t, τⱼ),   a = a_c(σ),

with p, q on the simplex, slopes in [−ν, μ], ν ≤ 0.98, and ν so small that φ′(∞) ≥ 0: R is bounded
below. Where ‖W‖² ν < 1, ½‖x − y‖² + R_σ(x) is strongly convex and its minimiser unique. With one
channel in each group R is piecewise polynomial, so semialgebraic, which is what the
Kurdyka–Łojasiewicz property asks for in Attouch, Bolte & Svaiter (2013).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.configs import RidgeConfig
from pnp_recon.networks.energies.borders import extend, extend_transposed
from pnp_recon.networks.energies.bounds import squared_norm
from pnp_recon.networks.energies.conjugate import solve
from pnp_recon.networks.energies.energy import Energy, as_levels
from pnp_recon.networks.energies.potentials import (
    Pointwise,
    Potentials,
    potential,
    potential_and_secant,
    secant,
    slope,
)
from pnp_recon.networks.energies.proximal import minimised
from pnp_recon.networks.energies.spectrum import largest_square, waves

NO_GUARANTEE = (
    "the denoiser is the proximal map of an explicit energy (after Goujon et al. 2024), computed "
    "by inner iterations, and no Lipschitz constant of it is proven; solver descent proves "
    "convergence to critical points of the energy with the data"
)

# No potential bends down by more than this.
NU_MAX = 0.98
# The proximal map stops at ‖x − y + ∇R(x)‖ ≤ TOLERANCE ‖x − y‖, or after so many iterations.
TOLERANCE, ITERATIONS = 1e-3, 300
# Steps of conjugate gradients in the derivative of the proximal map.
CG_ITERATIONS = 50

Filters = tuple[Tensor, ...]


class RidgeNet(Energy):
    """R_σ(x) = Σ ψ(|W x|); `forward(x, sigma)` is prox_{R_σ}(x), see `Energy`.

    Attributes:
        secant, slope, potential: the pointwise functions; training may compile them.
    """

    config: RidgeConfig
    smoothness: ClassVar[str] = (
        "potentials whose derivatives are continuous, piecewise linear and not negative, of norms "
        "of linear maps: semialgebraic, with a Lipschitz gradient"
    )
    knots: Tensor
    cos: Tensor
    sin: Tensor
    impulse: Tensor

    def __init__(self, config: RidgeConfig) -> None:
        super().__init__()
        self.config = config
        size, channels = config.size, config.channels
        self.filters = nn.ParameterList(
            nn.Parameter(torch.randn(o, i, size, size) / math.sqrt(i * size**2))
            for i, o in zip((channels, *config.widths[:-1]), config.widths, strict=True)
        )
        groups, levels = config.widths[-1] // config.group, config.levels
        self.log_scale = nn.Parameter(torch.zeros(groups, levels))
        start = -math.log(config.mu_max / min(5.0, config.mu_max / 2) - 1)
        self.logit_mu = nn.Parameter(torch.full((groups, levels), start))
        knots = torch.logspace(math.log10(0.05), math.log10(12.0), config.knots)
        rise, fall = (-((knots.log() - math.log(t)) ** 2) for t in (0.25, 2.5))
        self.rise = nn.Parameter(rise.repeat(groups, 1))
        self.fall = nn.Parameter(fall.repeat(groups, 1))
        self.drop = nn.Parameter(torch.full((groups,), 1.5))
        width = 3 * (size - 1) + 1
        cos, sin = waves(width)
        impulse = torch.zeros(channels, channels, width, width)
        impulse[range(channels), range(channels), width // 2, width // 2] = 1
        for name, value in (("knots", knots), ("cos", cos), ("sin", sin), ("impulse", impulse)):
            self.register_buffer(name, value, persistent=False)
        with torch.no_grad():  # at first radii are measured in standard deviations of noise
            power = self._response(self.normalised_filters()).square().sum((0, 2, 3))
            norms = power.view(groups, config.group).mean(1).sqrt()
            self.log_scale.copy_(-norms.log()[:, None].expand(groups, levels))
        self.secant: Pointwise = secant
        self.slope: Pointwise = slope
        self.potential: Pointwise = potential
        # Weights and levels, and what was made of them: see `parts` and `_constants`.
        self._proven: tuple[tuple[Tensor, ...], tuple[float, float]] | None = None
        self._kept: tuple[tuple[Tensor, ...], Filters, Potentials] | None = None

    @property
    def sound(self) -> bool:
        """Knots are positive and rise: what is said of the potentials rests on it."""
        return super().sound and bool((self.knots > 0).all() and (self.knots.diff() > 0).all())

    # ---- the energy ------------------------------------------------------------------------------

    def value(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        w, pot = self.parts(as_levels(x, sigma))
        radius = self._radius(self.apply_filters(x, w))
        return pot.of(self.potential, radius).sum((1, 2, 3))

    def value_and_gradient(self, x: Tensor, sigma: Tensor | float) -> tuple[Tensor, Tensor]:
        w, pot = self.parts(as_levels(x, sigma))
        v = self.apply_filters(x, w)
        values, factor = pot.pair_of(potential_and_secant, self._radius(v))
        return values.sum((1, 2, 3)), self.apply_transposed(self._scaled(factor, v), w)

    def gradient(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        return self.gradient_with(x, *self.parts(as_levels(x, sigma)))

    def lipschitz(self, sigma: float) -> float:
        """A Lipschitz constant of ∇R_σ that is proven for pictures of every size.

        −Wᵀ diag(ν_c) W ⪯ ∇²R ⪯ Wᵀ diag(μ_c) W with the extreme slopes of each potential; it takes
        a second or two.
        """
        return max(self._constants(sigma))

    def weak_convexity(self, sigma: float) -> float:
        """A ρ for which R_σ + ρ/2 ‖·‖² is convex, proven for pictures of every size."""
        return self._constants(sigma)[1]

    def bend(self, sigma: Tensor) -> Tensor:
        return self.parts(sigma)[1].steepest

    def denoise(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """argmin_z ½‖z − x‖² + R_σ(z), to a relative residual of `TOLERANCE`.

        Its derivative is that of z + ∇R(z) = x: the inverse of I + ∇²R(z), by conjugate gradients.
        """
        w, pot = self.parts(as_levels(x, sigma))
        with torch.no_grad():
            z = self.prox(x, w, pot, ITERATIONS, TOLERANCE)
            bend = self.hessian(z, w, pot)
        moved = x - self.gradient_with(z, w, pot)
        if not moved.requires_grad:
            return z
        moved.register_hook(lambda g: solve(lambda u: u + bend(u), g, CG_ITERATIONS))
        return z + (moved - moved.detach())

    def multiplications(self) -> float:
        """The multiplications of W for each pixel; its transpose takes as many."""
        return float(sum(p.numel() for p in self.filters))

    def inner_filters(self) -> list[nn.Parameter]:
        """No filter may move by an orthogonalised update: W is normalised as a whole."""
        return []

    # ---- parts, for training and for solvers that compute W once ---------------------------------

    def parts(self, sigma: Tensor) -> tuple[Filters, Potentials]:
        """Normalised filters, and potentials at the levels sigma (B,), as iterations need them.

        Where no derivative with respect to weights is asked for, the last ones are kept, as long
        as no weight and no level has changed.
        """
        named = (*self.parameters(), self.knots, sigma)
        if torch.is_grad_enabled() and any(x.requires_grad for x in named):
            return self.normalised_filters(), self.potentials(sigma)
        if self._kept is None or not _same(named, self._kept[0]):
            held = tuple(x.detach().clone() for x in named)
            self._kept = (held, self.normalised_filters(), self.potentials(sigma))
        return self._kept[1:]

    def normalised_filters(self) -> Filters:
        """Filters with zero mean, ‖W‖ about 1: the largest Schatten-32 norm over frequencies."""
        first, second, third = self.filters
        first = first - first.mean((2, 3), keepdim=True)
        response = self._response((first, second, third)).flatten(2)  # (C, out, pixels)
        top = largest_square(response, self.cos, self.sin)
        return first, second, third * torch.rsqrt(top)

    def potentials(self, sigma: Tensor) -> Potentials:
        """The potentials at the levels sigma (B,)."""
        hats = self._hats(sigma)
        scale = torch.exp(hats @ self.log_scale.T) / sigma[:, None]
        mu = self.config.mu_max * torch.sigmoid(hats @ self.logit_mu.T)
        p, q = self.rise.softmax(-1), self.fall.softmax(-1)
        bounded = mu * ((p @ self.knots) / (q @ self.knots))
        nu = torch.minimum(NU_MAX * torch.sigmoid(self.drop).expand_as(mu), bounded)
        jumps = mu[:, :, None] * p - nu[:, :, None] * q
        return Potentials(scale[:, :, None, None], jumps, self.knots, mu.amax(1))

    @staticmethod
    def apply_filters(x: Tensor, w: Filters) -> Tensor:
        """W x, (B, last width, H, W)."""
        x = extend(x, len(w) * (w[0].shape[-1] // 2))
        for kernel in w:
            x = F.conv2d(x, kernel)
        return x

    @staticmethod
    def apply_transposed(v: Tensor, w: Filters) -> Tensor:
        """Wᵀ v."""
        for kernel in reversed(w):
            v = F.conv_transpose2d(v, kernel)
        return extend_transposed(v, len(w) * (w[0].shape[-1] // 2))

    def gradient_with(self, x: Tensor, w: Filters, pot: Potentials) -> Tensor:
        """∇R(x) = Wᵀ ψ′(W x)."""
        v = self.apply_filters(x, w)
        return self.apply_transposed(self._scaled(pot.of(self.secant, self._radius(v)), v), w)

    def hessian(self, x: Tensor, w: Filters, pot: Potentials) -> Callable[[Tensor], Tensor]:
        """u ↦ ∇²R(x) u, a generalised Hessian at knots."""
        v = self.apply_filters(x, w)
        radius = self._radius(v)
        second = pot.of(self.slope, radius)
        if self.config.group == 1:
            return lambda u: self.apply_transposed(second * self.apply_filters(u, w), w)
        first = pot.of(self.secant, radius)
        direction = self._split(v) / radius[:, :, None]

        def product(u: Tensor) -> Tensor:
            z = self._split(self.apply_filters(u, w))
            along = (second - first) * (direction * z).sum(2)
            z = first[:, :, None] * z + direction * along[:, :, None]
            return self.apply_transposed(z.flatten(1, 2), w)

        return product

    def prox(
        self, y: Tensor, w: Filters, pot: Potentials, iterations: int, tolerance: float = 0.0
    ) -> Tensor:
        """argmin ½‖x − y‖² + R(x) by accelerated gradient steps of 1/(1 + μ), restarted.

        With `tolerance` a picture is ready where ‖x − y + ∇R(x)‖ ≤ tolerance ‖x − y‖; it does not
        depend on the others of the batch.
        """
        step = (1 / (1 + pot.steepest))[:, None, None, None]

        def gradient(z: Tensor) -> Tensor:
            return z - y + self.gradient_with(z, w, pot)

        return minimised(gradient, y, step, iterations, tolerance)

    @torch.no_grad()
    def _constants(self, sigma: float) -> tuple[float, float]:
        """Bounds of Wᵀ diag(μ_c) W and Wᵀ diag(ν_c) W."""
        level = self.log_scale.new_tensor([sigma])
        named = (*self.parameters(), self.knots, level)
        if self._proven is None or not _same(named, self._proven[0]):
            held = tuple(x.detach().clone() for x in named)
            w, pot = self.parts(level)
            response = self._response(tuple(k.double() for k in w))
            taps = response.permute(1, 0, 2, 3).flip(2, 3)
            slopes = pot.slopes()[0].double().repeat_interleave(self.config.group, 0)
            extremes = (slopes.amax(1).clamp_min(0), (-slopes).amax(1).clamp_min(0))
            upper, lower = (
                squared_norm(taps * extreme.sqrt()[:, None, None, None]) for extreme in extremes
            )
            self._proven = (held, (upper, lower))
        return self._proven[1]

    # ---- inside ----------------------------------------------------------------------------------

    def _response(self, w: Filters) -> Tensor:
        """The impulse response of W without borders, (C, out, n, n)."""
        v = self.impulse.to(w[0])
        for kernel in w:
            v = F.conv2d(v, kernel, padding=self.config.size // 2)
        return v

    def _hats(self, sigma: Tensor) -> Tensor:
        """Weights of the noise levels between which is interpolated in log σ, (B, levels)."""
        c = self.config
        t = torch.log(sigma / c.sigma_min) / math.log(c.sigma_max / c.sigma_min) * (c.levels - 1)
        grid = torch.arange(c.levels, dtype=t.dtype, device=t.device)
        return (1 - (t.clamp(0, c.levels - 1)[:, None] - grid).abs()).clamp_min(0)

    def _split(self, v: Tensor) -> Tensor:
        """(B, channels, h, w) as (B, groups, channels of each, h, w)."""
        return v.unflatten(1, (-1, self.config.group))

    def _radius(self, v: Tensor) -> Tensor:
        """|v| over the channels of each group."""
        if self.config.group == 1:
            return v.abs()
        return (self._split(v).square().sum(2) + 1e-20).sqrt()  # smooth at 0

    def _scaled(self, factor: Tensor, v: Tensor) -> Tensor:
        if self.config.group == 1:
            return factor * v
        return (factor[:, :, None] * self._split(v)).flatten(1, 2)


def _same(a: tuple[Tensor, ...], b: tuple[Tensor, ...]) -> bool:
    """Equal in number, type, place and value; comparing some 10⁴ numbers costs microseconds."""
    pairs = zip(a, b, strict=True)
    return all(x.dtype == y.dtype and x.device == y.device and torch.equal(x, y) for x, y in pairs)
