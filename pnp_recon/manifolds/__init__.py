"""Pictures whose pixels are no numbers: phases, tensors, rotations, and how they are denoised.

A field is a tensor (H, W, *point) of float64; `Circle`, `PositiveDefinite`, `Rotations` say what a
point is, and `denoise` smooths a field where its distances are, with a certificate on a Hadamard
manifold and without one elsewhere.
"""

from pnp_recon.manifolds.base import Manifold
from pnp_recon.manifolds.circle import Circle
from pnp_recon.manifolds.denoising import Denoised, denoise
from pnp_recon.manifolds.flat import Flat
from pnp_recon.manifolds.rotations import Rotations
from pnp_recon.manifolds.spd import PositiveDefinite
from pnp_recon.manifolds.variation import Variation

__all__ = [
    "Circle",
    "Denoised",
    "Flat",
    "Manifold",
    "PositiveDefinite",
    "Rotations",
    "Variation",
    "denoise",
]
