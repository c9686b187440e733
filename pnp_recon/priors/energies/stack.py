"""An energy of pictures and a bond between neighbours: the prior of a volume, slice upon slice.

R_σ(x) = Σ_s R_σ(x_s) + wσ Σ_s Σ_pixels h_δ(x_{s+1} − x_s), the channels being the slices, with
Huber's function h_δ(t) = t²/2δ up to |t| = δ = σ·EDGE and |t| − δ/2 beyond: total variation across
slices, rounded off at zero. Which data and which descent, is not known here.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from operators.norms import round_up
from pnp_recon.errors import InputError
from pnp_recon.priors.energies.base import LearnedEnergy

# δ in units of σ, and w of a bond of strength one.
EDGE, BOND = 1.0, 0.1
# Slices whose energy is computed at a time.
AT_ONCE = 2


class StackEnergy(nn.Module):
    """See the module; a `SmoothEnergy`.

    Attributes:
        network: the energy of pictures (n, 1, H, W).
        bond: w/BOND, ≥ 0.
    """

    smoothness: ClassVar[str] = (
        "an energy of the package and Huber's function of differences, which is piecewise "
        "quadratic with a Lipschitz derivative"
    )

    def __init__(self, network: nn.Module, bond: float) -> None:
        super().__init__()
        self.network, self.bond = network, float(bond)

    @property
    def sound(self) -> bool:
        """Are its fixed numbers such that it is smooth and not negative? Silence says no."""
        return bool(getattr(self.network, "sound", False)) and 0 <= self.bond < math.inf

    @property
    def denoises_by_gradient_step(self) -> bool:
        """As the energy of pictures does: the bond is one more term of the step."""
        return bool(getattr(self.network, "denoises_by_gradient_step", False))

    @property
    def compute_dtype(self) -> torch.dtype | None:
        """Arithmetic of the network's inner layers."""
        found: torch.dtype | None = getattr(self.network, "compute_dtype", None)
        return found

    @compute_dtype.setter
    def compute_dtype(self, dtype: torch.dtype | None) -> None:
        self.network.compute_dtype = dtype  # type: ignore[assignment]

    def value(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """R_σ of volumes (B, slices, H, W): (B,)."""
        held: Any = self.network
        parts = [held.value(part, sigma) for part in _slices(x)]
        return _per_volume(parts, x) + self._huber(x, float(sigma))[0]

    def value_and_gradient(self, x: Tensor, sigma: Tensor | float) -> tuple[Tensor, Tensor]:
        """R_σ, (B,), and ∇R_σ, (B, slices, H, W)."""
        held: Any = self.network
        found = [held.value_and_gradient(part, sigma) for part in _slices(x)]
        parts, gradient = [one[0] for one in found], torch.cat([one[1] for one in found])
        gradient = gradient.view(x.shape)
        bond, pull = self._huber(x, float(sigma))
        if pull is not None:
            gradient[:, 1:] += pull
            gradient[:, :-1] -= pull
        return _per_volume(parts, x) + bond, gradient

    def lipschitz(self, sigma: float) -> float | None:
        """The constant of the pictures plus w/EDGE·‖D‖² ≤ 4w/EDGE of the bond, D differences."""
        held = getattr(self.network, "lipschitz", lambda _: None)(sigma)
        return None if held is None else round_up(held + 4 * self.bond * BOND / EDGE)

    def weak_convexity(self, sigma: float) -> float | None:
        """The constant of the pictures, as the bond is convex."""
        found: float | None = getattr(self.network, "weak_convexity", lambda _: None)(sigma)
        return found

    def _huber(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor | None]:
        """The bond's value, (B,), and its derivative in the differences, (B, slices − 1, H, W)."""
        if x.shape[1] == 1 or self.bond == 0:
            return x.new_zeros(len(x)), None
        weight, edge = self.bond * BOND * sigma, EDGE * sigma
        t = x[:, 1:] - x[:, :-1]
        # With t' = t clipped to [−δ, δ], h = t'(t − t'/2)/δ and h' = t'/δ.
        clipped = t.clamp(-edge, edge)
        value = (clipped * (t - 0.5 * clipped)).flatten(1).sum(1)
        return weight / edge * value, weight / edge * clipped


def _slices(x: Tensor) -> tuple[Tensor, ...]:
    """The slices of all volumes as pictures (n, 1, H, W), a few at a time; views of x."""
    return x.flatten(0, 1)[:, None].split(AT_ONCE)


def _per_volume(parts: list[Tensor], x: Tensor) -> Tensor:
    return torch.cat(parts).view(len(x), -1).sum(1)


def across_slices(prior: LearnedEnergy, bond: float = 1.0) -> LearnedEnergy:
    """The prior of volumes (B, slices, H, W) that an energy of grey pictures makes.

    Args:
        prior: an energy of one channel.
        bond: how strongly neighbours are tied; 0: not at all, 1: as was best on the scans of
            docs/results/volumes.md.

    Raises:
        InputError: the energy is for colour, or the bond is no finite number ≥ 0.
    """
    if prior.channels != 1:
        raise InputError(f"energy {prior.name} is for colour; slices of a volume need a grey one")
    if not 0 <= bond < math.inf:
        raise InputError(f"the bond across slices is {bond}; expected a finite number >= 0")
    network = StackEnergy(prior.network, bond)
    name = f"{prior.name} across slices"
    return LearnedEnergy(network, name, None, None, prior.sigma_range, prior.card)
