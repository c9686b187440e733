"""Denoisers that exist already as methods: shipped models, exported ones, a user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from pnp_recon.benchmark.methods.base import Method
from pnp_recon.models.load import load, load_denoiser
from pnp_recon.priors.denoiser import Denoiser


class Given(Method):
    """A `Denoiser` as a method; its own guarantee, range and SHA-256.

    Args:
        denoiser: what runs.
        differentiable: see `Method`.
        dtype: the precision that it runs in; None: that of the pictures.
        energy: see `Method`.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        *,
        differentiable: bool,
        dtype: torch.dtype | None = None,
        energy: Any = None,
    ) -> None:
        self._denoiser, self._dtype = denoiser, dtype
        self.name, self.channels = denoiser.name, denoiser.channels
        self.guarantee, self.sigma_range = denoiser.guarantee, denoiser.sigma_range
        self.proven = denoiser.proven
        self.sha256 = str(denoiser.card.get("sha256", ""))
        self.differentiable, self.energy = differentiable, energy

    def denoise(self, x: Tensor, sigma: float, *args: Any, **parameters: Any) -> Tensor:
        """D(x, sigma); x (B, C, H, W).

        Raises:
            InputError: sigma lies outside the range, or the channels do not fit.
        """
        if self._dtype is None:
            return self._denoiser(x, sigma)
        return self._denoiser(x.to(self._dtype), sigma).to(x.dtype)

    def prior(
        self, parameters_at: Callable[[float], Mapping[str, float]] | None = None
    ) -> Denoiser:
        """The denoiser itself, whose proof is about its weights; it has nothing to tune."""
        return self._denoiser


def model(name: str, device: str = "cpu") -> Method:
    """A shipped model by name, or an exported one by the path of its card; single precision.

    Raises:
        WeightsError: see `load_denoiser`.
    """
    prior = load(name, device=device)
    return Given(
        load_denoiser(name, device=device),
        differentiable=True,
        dtype=torch.float32,
        energy=prior if prior.kind == "energy" else None,
    )
