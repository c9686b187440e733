"""The Euler denoiser: gradient-flow blocks between an isometric lifting and its transpose.

N_σ(x) = c + Qᵀ (Φ_m ∘ … ∘ Φ_1) Q (x − c): each block averaged, the lifting isometric, the shift
a translation; so N_σ is averaged for every noise level and every picture size.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from pnp_recon.guarantees import Guarantee, averaged, compose, isometric_lifting
from pnp_recon.networks.blocks import EulerBlock
from pnp_recon.networks.lifting import lifting

# Mid-grey goes to zero, so that the zero padding of the convolutions is no dark frame.
SHIFT = 0.5


@dataclass(frozen=True)
class EulerConfig:
    """What builds an `EulerNet`; stored in the model card."""

    channels: int = 1
    width: int = 64
    hidden: int = 64
    blocks: int = 8
    kernel_size: int = 3
    activation: str = "clip"
    lifting: str = "unshuffle"


class EulerNet(nn.Module):
    """Averaged denoising network; `forward(x, sigma)` with x (B, C, H, W) in [0, 1].

    `sigma` is a noise level in (0, 1], a float or a tensor of shape (1,) or (B,).
    """

    def __init__(self, config: EulerConfig) -> None:
        super().__init__()
        self.config = config
        self.lifting = lifting(config.lifting, config.channels, config.width)
        self.blocks = nn.ModuleList(
            EulerBlock(config.width, config.hidden, config.kernel_size, config.activation)
            for _ in range(config.blocks)
        )

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        level = torch.as_tensor(sigma, dtype=x.dtype, device=x.device).reshape(-1)
        z = self.lifting.lift(x - SHIFT)
        if x.device.type == "cpu" or x.is_cuda:
            z = z.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            z = block(z, level)
        return self.lifting.lower(z, (x.shape[-2], x.shape[-1])) + SHIFT

    def euler_blocks(self) -> list[EulerBlock]:
        return [block for block in self.blocks if isinstance(block, EulerBlock)]

    def certify(self) -> list[float]:
        """Rescales every block once by its proven norm bound; returns the bounds."""
        return [block.certify() for block in self.euler_blocks()]

    def check(self) -> Guarantee:
        """The proven guarantee of the very weights held now, from float64 bounds.

        Raises:
            ValueError: if a block is not averaged.
        """
        source = "Euler block with h‖W‖²/2 < 1 (Sherry et al. 2024)"
        parts = [averaged(block.averagedness(), source) for block in self.euler_blocks()]
        return isometric_lifting(compose(*parts))

    def recipe(self) -> dict[str, object]:
        return {"class": "EulerNet", **asdict(self.config)}
