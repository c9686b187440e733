"""The classical denoisers of `priors.catalogue` as methods, with the values that are tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from torch import Tensor

from pnp_recon.benchmark.methods.base import Method
from pnp_recon.errors import InputError
from pnp_recon.priors.catalogue import CLASSICAL
from pnp_recon.priors.classical.base import ClassicalMap
from pnp_recon.proximal import Regulariser

# The values that `pnp-bench tune` tries; a denoiser that is not named here has nothing to tune.
TRIED: Mapping[str, Mapping[str, Sequence[float]]] = {
    "tv": {"weight": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6)},
    "wavelet": {"threshold": (0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)},
    "nlm": {
        "h": (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        "patch": (3, 5, 7),
        "distance": (7, 10),
    },
    "bilateral": {
        "colour": (1.0, 1.25, 1.5, 2.0, 2.5, 3.0),
        "spatial": (1.0, 1.5, 2.0, 3.0),
    },
    "median": {"size": (1, 3, 5, 7)},
    "bm3d": {"level": (0.9, 0.95, 1.0, 1.05, 1.1)},
}


class Classical(Method):
    """A classical denoiser, made anew with the parameters of each call.

    Raises:
        InputError: it needs a library that is not installed.
    """

    def __init__(self, name: str) -> None:
        missing = CLASSICAL[name].missing()
        if missing:
            raise InputError(f"method {name}: {missing}")
        self._map: type[ClassicalMap] = CLASSICAL[name].load()
        self.name, self.guarantee = name, self._map.guarantee
        self.proven = True
        self.inexactness = self._map.inexactness
        self.differentiable = self._map.differentiable
        self.tuned_by = TRIED.get(name, {})
        self.defaults = {item.name: getattr(self._map, item.name) for item in fields(self._map)}

    def denoise(self, x: Tensor, sigma: float, *args: Any, **parameters: Any) -> Tensor:
        """See the map; x (B, C, H, W)."""
        known = {key: value for key, value in parameters.items() if key in self.defaults}
        return self._map(**known)(x, sigma)

    def regulariser(self, weight: float, channels: int) -> Regulariser | None:
        return self._map().regulariser(weight, channels)
