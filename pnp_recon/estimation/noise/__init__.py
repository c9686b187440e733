"""The noise of a picture: by what is known of it, from the picture alone to its kernel and file."""

from pnp_recon.estimation.noise.estimate import NoiseCandidate, NoiseEstimate, estimate_noise
from pnp_recon.estimation.noise.sharp import estimate_sharp_noise
from pnp_recon.estimation.noise.white import estimate_noise_level

__all__ = [
    "NoiseCandidate",
    "NoiseEstimate",
    "estimate_noise",
    "estimate_noise_level",
    "estimate_sharp_noise",
]
