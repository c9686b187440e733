"""Convex functionals with their proximal maps, each with its guarantee and its error bound."""

from pnp_recon.proximal.base import Composite, Regulariser
from pnp_recon.proximal.coupling import COUPLINGS, Coupling, GradientNorm
from pnp_recon.proximal.simple import L1, Box, ElasticNet, L2Ball, Ridge
from pnp_recon.proximal.total_variation import TotalVariation
from pnp_recon.proximal.wavelet import OrthogonalWavelets, WaveletL1

REGULARISERS: dict[str, type[Regulariser]] = {
    kind.name: kind for kind in (L1, Ridge, ElasticNet, Box, L2Ball, TotalVariation, WaveletL1)
}

__all__ = [
    "COUPLINGS",
    "L1",
    "REGULARISERS",
    "Box",
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
