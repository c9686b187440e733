"""DnCNN as models: a denoiser without a theorem, whose card says so, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pnp_recon.models.unproven import UnprovenFamily
from pnp_recon.networks.configs import DnCNNConfig
from pnp_recon.networks.dncnn import NO_GUARANTEE, DnCNN


class DnCNNFamily(UnprovenFamily[DnCNN]):
    """See `networks.dncnn`."""

    reason = NO_GUARANTEE

    def build(self, config: Mapping[str, Any]) -> DnCNN:
        return DnCNN(DnCNNConfig(**config))


FAMILY = DnCNNFamily()
