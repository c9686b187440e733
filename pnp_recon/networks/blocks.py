"""The gradient-flow block: one step of ẋ = −Wᵀ φ(W x + b), by explicit Euler unless said otherwise.

The field is the negative gradient of the convex potential Σ ψ(Wx + b), ψ' = φ, whose gradient is
‖W‖²-Lipschitz because φ has slopes in [0, 1]. An Euler step x − h Wᵀ φ(W x + b) is therefore
1-Lipschitz for h‖W‖² ≤ 2 and (h‖W‖²/2)-averaged for h‖W‖² < 2 (Celledoni et al. 2021; Sherry et
al. 2024); a Runge–Kutta step with the radius r of circle contractivity for h‖W‖² ≤ 2r
(`flows.integrators`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.activations import ACTIVATIONS, Activation
from pnp_recon.networks.constraints import conv_norm_bound, power_step
from pnp_recon.networks.finite import NOT_FINITE, all_finite
from pnp_recon.networks.flows.integrators import DAHLQUIST_JELTSCH, RungeKutta, averagedness
from pnp_recon.networks.flows.registry import integrator

# Largest relative step h‖W‖²/2r of a block: below one, so that every block is averaged.
STEP_LIMIT = 0.99
# Mean of log(t/σ) at the start; its spread is one. Training moves thresholds little: from equal
# ones it ends lower at every level (rows muon_ball4 and small of scripts/studies/research/rows.py).
FIRST_THRESHOLD = -2.5
# Side of the picture on which training estimates the norm: small, since the filters are.
ESTIMATE_SIDE = 16
# Power iterations after which an estimate has settled enough to be compared with the bound.
SETTLE = 20
# Noise level at which the thresholds' polynomial in log σ is centred.
SIGMA_CENTRE = 10 / 255


class FlowBlock(nn.Module):
    """x − 2s·Vᵀ t φ(V x / t + b) with V = W/n, where n ≥ ‖W‖ and 0 < s < 1.

    That is the Euler step; another integrator takes a step h = 2rs of the same field, r its radius
    of circle contractivity. The relative step s is learned inside its proven range; the thresholds
    t = σ·exp(c₀ + c₁ℓ + c₂ℓ²), ℓ = log(σ/σ₀), follow the noise level and leave the slopes of
    t φ(·/t + b) alone. `norm` is n: after `certify()` the proven bound; in training an estimate
    that follows the weights, times `margin`, the ratio of bound and estimate at the last
    `calibrate()`, so that certifying changes little. A certified block never writes its norm,
    whatever its mode; `settle` or `calibrate` make it one that is trained again.

    Args:
        channels: feature channels (input and output).
        hidden: rows of W.
        kernel_size: odd.
        activation: a name from `ACTIVATIONS`.
        order: size of the group that will tie the parameters, 1 without one.
        method: the name of an explicit integrator with a radius (`flows.tableaux`).
    """

    norm: Tensor
    margin: Tensor
    vector: Tensor

    def __init__(
        self,
        channels: int,
        hidden: int,
        kernel_size: int,
        activation: str,
        order: int = 1,
        method: str = "euler",
    ) -> None:
        super().__init__()
        self.integrator = explicit(method)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, found {kernel_size}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation {activation!r}; known: {', '.join(ACTIVATIONS)}")
        shape = (hidden, channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.randn(shape) / (kernel_size * math.sqrt(channels)))
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.activation = ACTIVATIONS[activation](hidden, order)
        # One threshold a group: with several, t φ(·/t) would be no gradient.
        groups = hidden // self.activation.group_size
        exponents = torch.stack([FIRST_THRESHOLD + torch.randn(groups), *torch.zeros(2, groups)])
        self.threshold = nn.Parameter(exponents)
        self.step_logit = nn.Parameter(torch.tensor(3.0))
        vector = torch.randn(1, channels, ESTIMATE_SIDE, ESTIMATE_SIDE)
        self.register_buffer("vector", vector / vector.norm())
        self.register_buffer("norm", torch.tensor(1.0))
        self.register_buffer("margin", torch.tensor(1.0))
        self.certified = False
        self.settle()

    def settle(self, steps: int = 5) -> None:
        """Brings the norm's estimate up to filters that were set from outside."""
        self.certified = False
        with torch.no_grad():
            for _ in range(steps):
                self._estimate()

    def _estimate(self, weight: Tensor | None = None) -> Tensor:
        weight = self.weight if weight is None else weight
        estimate, vector = power_step(weight, self.vector)
        estimate = estimate * self.margin
        with torch.no_grad():
            self.vector.copy_(vector)
            self.norm.copy_(estimate)
        return estimate

    @torch.no_grad()
    def calibrate(self) -> None:
        """Sets `margin` so that the estimate agrees with the proven bound for these weights."""
        self.certified = False
        self.margin.fill_(1.0)
        for _ in range(SETTLE):
            estimate = self._estimate()
        self.margin.fill_(conv_norm_bound(self.weight) / float(estimate))
        self.norm.copy_(estimate * self.margin)

    @property
    def relative_step(self) -> Tensor:
        """s = h‖V‖²/2r in (0, STEP_LIMIT): for Euler (r = 1) the averagedness of the block."""
        return STEP_LIMIT * torch.sigmoid(self.step_logit)

    def scale(self, sigma: Tensor) -> Tensor:
        """The thresholds t > 0 of all hidden channels at noise levels (B,): (B, hidden)."""
        level = torch.log(sigma / SIGMA_CENTRE)
        powers = torch.stack([torch.ones_like(level), level, level**2], 1)
        scale = sigma[:, None] * torch.exp(powers @ self.threshold)
        if self.activation.group_size > 1:
            scale = scale.repeat_interleave(self.activation.group_size, 1)
        return scale

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Features (B, C, H, W) and noise levels (B,) or (1,) to features (B, C, H, W)."""
        filters = self.weight  # once: tied filters are put together at every access
        estimated = self.training and not self.certified
        norm = self._estimate(filters) if estimated else self.norm
        weight = filters / norm
        pad = filters.shape[-1] // 2
        scale = self.scale(sigma)
        if sigma.numel() == 1:
            # One level for the batch: the thresholds go into the filters, which are small.
            t = scale[0, :, None, None, None]
            into, out = weight / t, weight * t

            def flow(x: Tensor) -> Tensor:
                z = F.conv2d(x, into, self.bias, padding=pad)
                return F.conv_transpose2d(self.activation(z), out, padding=pad)

        else:
            t = scale[:, :, None, None]

            def flow(x: Tensor) -> Tensor:
                z = F.conv2d(x, weight, padding=pad) / t + self.bias[:, None, None]
                return F.conv_transpose2d(self.activation(z) * t, weight, padding=pad)

        return self._step(flow, x)

    def _step(self, flow: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """One step of ẋ = −flow(x), whose slopes lie in [0, 1]."""
        if self.integrator.tableau.stages == 1:
            return torch.addcmul(x, flow(x).to(x.dtype), -2 * self.relative_step)
        h = 2 * self.integrator.tableau.radius * self.relative_step
        return self.integrator.step(lambda z: -flow(z).to(z.dtype), x, h)

    @property
    def source(self) -> str:
        """By what theorem it is averaged."""
        if self.integrator.name == "euler":
            return "Euler block with h‖W‖²/2 < 1 (Sherry et al. 2024)"
        return f"{self.integrator.name} step within its circle ({DAHLQUIST_JELTSCH})"

    @torch.no_grad()
    def certify(self, grid: int = 64) -> float:
        """Sets n to the proven bound of ‖W‖ (float64, any picture size); returns it.

        Rounded up once more to the weights' own precision, so that ‖W/n‖ ≤ 1 holds in it.
        """
        bound = conv_norm_bound(self.weight, grid) * (1 + 1e-6)
        self.norm.fill_(bound)
        self.certified = True
        return bound

    def averagedness(self) -> float:
        """The proven averagedness constant for the stored weights; needs `certify()` first.

        Raises:
            ValueError: the stored normaliser is too far below the proven bound, or an estimate
                that the next call in training mode replaces.
        """
        if self.training and not self.certified:
            raise ValueError("in training mode the norm is an estimate; call eval()")
        self._check_form()
        bound = conv_norm_bound(self.weight)
        ratio = bound / float(self.norm)
        share = float(self.relative_step.detach().double()) * ratio**2 * (1 + 1e-6)
        if share >= 1:
            raise ValueError(f"the block is not averaged: h‖W‖²/2r ≤ {share:.6f} is not below 1")
        tableau = self.integrator.tableau
        return averagedness(2 * tableau.radius * share, float(tableau.inverse_radius))

    def _check_form(self) -> None:
        """Refuses parts that are not those of the proof.

        Raises:
            ValueError: weights that are no numbers, an activation with other slopes, or thresholds
                that an activation's group does not share: then t φ(·/t) would be no gradient.
        """
        if not all_finite(self):
            raise ValueError(NOT_FINITE)
        if not isinstance(self.activation, Activation):
            raise ValueError(
                f"its activation {type(self.activation).__name__} is none of those whose slopes "
                "are known to lie in [0, 1]"
            )
        groups = self.weight.shape[0] // self.activation.group_size
        if tuple(self.threshold.shape) != (3, groups):
            raise ValueError(f"its thresholds have the shape {tuple(self.threshold.shape)}")


def explicit(name: str) -> RungeKutta:
    """The explicit integrator of that name, with a radius of circle contractivity.

    Raises:
        ValueError: there is none, it is implicit, or nothing is proven of it.
    """
    found = integrator(name)
    if not isinstance(found, RungeKutta) or not found.tableau.is_explicit:
        raise ValueError(f"{name} is no explicit Runge–Kutta method")
    _ = found.tableau.radius  # refuses with the reason
    return found
