"""Exported networks as methods: the shipped ones by name, any other by the path of its card."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pnp_recon.benchmark.methods.base import Method
from pnp_recon.models.weights import load_denoiser
from pnp_recon.priors.denoiser import Denoiser


class Model(Method):
    """A `Denoiser` as a method, in single precision; its own guarantee, range and SHA-256."""

    differentiable = True

    def __init__(self, denoiser: Denoiser) -> None:
        self._denoiser = denoiser
        self.name, self.channels = denoiser.name, denoiser.channels
        self.guarantee, self.sigma_range = denoiser.guarantee, denoiser.sigma_range
        self.sha256 = str(denoiser.card.get("sha256", ""))

    def denoise(self, x: Tensor, sigma: float, *args: Any, **parameters: Any) -> Tensor:
        """D(x, sigma); x (B, C, H, W).

        Raises:
            InputError: sigma lies outside the range, or the channels do not fit.
        """
        return self._denoiser(x.float(), sigma).to(x.dtype)


def shipped_model(name: str, device: str = "cpu") -> Model:
    """A shipped model by name, or an exported one by the path of its card.

    Raises:
        WeightsError: see `weights.load_denoiser`.
    """
    return Model(load_denoiser(name, device=device))
