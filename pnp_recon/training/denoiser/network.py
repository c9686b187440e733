"""The certified denoiser at its first step."""

from __future__ import annotations

from pnp_recon.errors import InputError
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet
from pnp_recon.training.seeding import seeded


def build_network(config: EulerConfig, seed: int) -> EulerNet:
    """The network at its first step; the weights follow from the seed.

    Raises:
        InputError: the configuration cannot be built.
    """
    for name in ("channels", "blocks", "width", "hidden", "kernel_size"):
        if getattr(config, name) < 1:
            raise InputError(f"{name} is {getattr(config, name)}; expected at least 1")
    with seeded(seed):
        return EulerNet(config)
