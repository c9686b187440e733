"""Convex functionals with their proximal maps, each with its guarantee and its error bound.

Names are resolved when they are first used (PEP 562), so that the catalogue can be read before
torch is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnp_recon.proximal.catalogue import REGULARISERS
from pnp_recon.registry import by_need

if TYPE_CHECKING:
    from pnp_recon.proximal.base import Composite, Regulariser
    from pnp_recon.proximal.cells import Cells
    from pnp_recon.proximal.coupling import COUPLINGS, Coupling, GradientNorm
    from pnp_recon.proximal.simple import L1, Box, ElasticNet, L2Ball, Ridge
    from pnp_recon.proximal.total import BoxTotal
    from pnp_recon.proximal.total_variation import TotalVariation
    from pnp_recon.proximal.wavelet import OrthogonalWavelets, WaveletL1

_NAMES = {
    "base": ("Composite", "Regulariser"),
    "cells": ("Cells",),
    "coupling": ("COUPLINGS", "Coupling", "GradientNorm"),
    "simple": ("L1", "Box", "ElasticNet", "L2Ball", "Ridge"),
    "total": ("BoxTotal",),
    "total_variation": ("TotalVariation",),
    "wavelet": ("OrthogonalWavelets", "WaveletL1"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = [
    "COUPLINGS",
    "L1",
    "REGULARISERS",
    "Box",
    "BoxTotal",
    "Cells",
    "Composite",
    "Coupling",
    "ElasticNet",
    "GradientNorm",
    "L2Ball",
    "OrthogonalWavelets",
    "Regulariser",
    "Ridge",
    "TotalVariation",
    "WaveletL1",
]


__getattr__ = by_need(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
