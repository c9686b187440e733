"""The Euler denoiser: gradient-flow blocks between an isometric lifting and its transpose.

N_σ(x) = c + Qᵀ (Φ_m ∘ … ∘ Φ_1) Q (x − c): each block averaged, the lifting isometric, the shift
a translation; so N_σ is averaged for every noise level and every picture size.

With a group other than C1 it also commutes with the group's turns and flips of the picture:
Q carries 2×2 pixel blocks into regular fields, with which the tied blocks commute. An odd side has
to be padded to an even one, and whichever end is padded, a flip would notice; so the network is
the mean over both ends of each odd side. A flip permutes the terms of that mean. Each term is
averaged with the same constant (the padding is isometric, its transpose the crop), and so is their
mean (Bauschke & Combettes 2017, Prop. 4.42).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from operators.values import values_like
from pnp_recon.guarantees import Guarantee, averaged, compose, isometric_lifting, padding_average
from pnp_recon.networks.blocks import FlowBlock
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.equivariant.checks import (
    QUARTERS,
    EquivarianceReport,
    check_equivariance,
)
from pnp_recon.networks.equivariant.groups import Group
from pnp_recon.networks.equivariant.plain import export
from pnp_recon.networks.lifting import even_paddings, lifting
from pnp_recon.networks.tied_blocks import Ties, tie_block

# Largest entry of QᵀQ − I that rounding may leave: an isometry in float32.
ISOMETRY = 1e-5
# Mid-grey goes to zero, so that the zero padding of the convolutions is no dark frame.
SHIFT = 0.5


class EulerNet(nn.Module):
    """Averaged denoising network; `forward(x, sigma)` with x (B, C, H, W) in [0, 1].

    `sigma` is a noise level in (0, 1], a float or a tensor of shape (1,) or (B,).

    Attributes:
        tied: whether the symmetry is built into what is learned; not in the `plain` twin.

    Raises:
        ValueError: an unknown group, activation or lifting, or a width that does not fit.
    """

    def __init__(self, config: EulerConfig) -> None:
        super().__init__()
        self.config = config
        self.group = Group.named(config.group)
        self.lifting = lifting(config.lifting, config.channels, config.width, self.group)
        self.blocks = nn.ModuleList(
            FlowBlock(
                config.width,
                config.hidden,
                config.kernel_size,
                config.activation,
                self.group.order,
                config.integrator,
            )
            for _ in range(config.blocks)
        )
        self.tied = True
        if self.group.order > 1:
            ties = Ties.of(self.group, config.width, config.hidden, config.kernel_size)
            for block in self.flow_blocks():
                tie_block(block, ties)

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        level = values_like(sigma, x)
        shifted = x - SHIFT
        height, width = x.shape[-2:]
        paddings = self.paddings(height, width)
        if paddings == [(0, 0, 0, 0)]:
            return self._centred(shifted, level) + SHIFT
        total = torch.zeros_like(shifted)
        for left, right, top, bottom in paddings:
            out = self._centred(F.pad(shifted, (left, right, top, bottom)), level)
            total = total + out[..., top : top + height, left : left + width]
        return total / len(paddings) + SHIFT

    def _centred(self, x: Tensor, level: Tensor) -> Tensor:
        """N_σ without the shift."""
        z = self.lifting.lift(x)
        if x.device.type == "cpu" or x.is_cuda:
            z = z.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            z = block(z, level)
        return self.lifting.lower(z, (x.shape[-2], x.shape[-1]))

    @property
    def alignment(self) -> int:
        """Sides are padded to a multiple of it; tiles start at multiples of it (see `tiling`)."""
        return self.lifting.factor

    @property
    def halo(self) -> int:
        """Pixels around an aligned block of `alignment`² pixels that its result depends on.

        A stage of a block reaches 2⌊k/2⌋ feature pixels, ⌊k/2⌋ by the convolution and as far
        again by its transpose.
        """
        stages = sum(block.integrator.tableau.stages for block in self.flow_blocks())
        return stages * 2 * (self.config.kernel_size // 2) * self.lifting.factor

    def paddings(self, height: int, width: int) -> list[tuple[int, int, int, int]]:
        """The paddings (left, right, top, bottom) with mid-grey over which the network averages."""
        return [(0, 0, 0, 0)] if self.group.order == 1 else even_paddings(height, width)

    def plain(self) -> EulerNet:
        """The same map without ties: a group's filters and biases put together once.

        For inference, at the cost of the ordinary network. Without ties it is this very network.
        """
        if self.group.order == 1 or not self.tied:
            return self
        twin = cast(EulerNet, export(self))
        twin.tied = False
        return twin

    def flow_blocks(self) -> list[FlowBlock]:
        return [block for block in self.blocks if isinstance(block, FlowBlock)]

    def certify(self) -> list[float]:
        """Rescales every block once by its proven norm bound; returns the bounds."""
        return [block.certify() for block in self.flow_blocks()]

    def check(self) -> Guarantee:
        """The proven guarantee of the very weights held now, from float64 bounds.

        Raises:
            ValueError: a block is not averaged, has no proven norm, or is none of these blocks; or
                the lifting is no isometry.
        """
        if len(self.flow_blocks()) != len(self.blocks):
            raise ValueError("not all of its blocks are steps of a gradient flow")
        if not (defect := self.lifting.defect()) <= ISOMETRY:
            raise ValueError(f"its lifting is no isometry: QᵀQ is off the identity by {defect:.1e}")
        return self.combined([block.averagedness() for block in self.flow_blocks()])

    prove = check

    def combined(self, constants: Sequence[float]) -> Guarantee:
        """The guarantee that follows from proven averagedness constants of the blocks."""
        blocks = zip(self.flow_blocks(), constants, strict=True)
        parts = [averaged(constant, block.source) for block, constant in blocks]
        whole = isometric_lifting(compose(*parts))
        # On odd sides the mean over the paddings; it leaves the constant as it is.
        return whole if self.group.order == 1 else padding_average(whole)

    def check_equivariance(
        self,
        sigma: float = 25 / 255,
        angles: Sequence[float] = QUARTERS,
        reflections: bool = True,
    ) -> EquivarianceReport:
        """Does the network commute with turns and flips? See `equivariant.check_equivariance`.

        Rounding for C4 (without `reflections`) and D4 on grids of any size; a measured number for
        C1 and for other angles.
        """
        exact = copy.deepcopy(self).double()
        channels = self.config.channels
        return check_equivariance(
            lambda x: exact(x, sigma), channels, channels, angles=angles, reflections=reflections
        )

    def recipe(self) -> dict[str, object]:
        return {"class": "EulerNet", **asdict(self.config)}
