"""DnCNN (Zhang et al. 2017): the unconstrained denoiser that the certified ones are compared with.

Nothing is proven about it, and nothing can be: its layers may stretch as they like. The network is
deepinv's, without batch normalisation; what is here says how to build it and why it has no theorem.
"""

from __future__ import annotations

from dataclasses import asdict

import torch
from torch import Tensor, nn

from pnp_recon.networks.configs import DnCNNConfig

NO_GUARANTEE = "DnCNN is trained without a constraint: no Lipschitz constant of it is proven"


class DnCNN(nn.Module):
    """x − R(x), R a plain convolutional network that predicts the noise; blind to the noise level.

    `forward(x, sigma)` with x (B, C, H, W) in [0, 1]; `sigma` is not used.

    Raises:
        ValueError: channels or width below 1, or fewer than 3 layers.
    """

    def __init__(self, config: DnCNNConfig) -> None:
        from deepinv.models import DnCNN as Layers

        super().__init__()
        if min(config.channels, config.width) < 1 or config.depth < 3:
            raise ValueError(f"channels and width at least 1, depth at least 3; found {config}")
        self.config = config
        self.layers = Layers(
            config.channels, config.channels, config.depth, nf=config.width, pretrained=None
        )
        # The identity at the start: a random guess takes thousands of steps to unlearn.
        nn.init.zeros_(self.layers.out_conv.weight)
        nn.init.zeros_(self.layers.out_conv.bias)

    def forward(self, x: Tensor, sigma: Tensor | float | None = None) -> Tensor:
        found: Tensor = self.layers(x.contiguous(memory_format=torch.channels_last))
        return found.contiguous()

    def recipe(self) -> dict[str, object]:
        return {"class": "DnCNN", **asdict(self.config)}
