"""A certified denoiser whose relative steps are numbers on a simplex, and the one that is left.

A block of `EulerNet` takes a share 0 < s < 1 of its proven range, which a logit holds, so that no
step is ever zero. Here the share is a number of its own: with 0 ≤ s ≤ `LARGEST` and Σ s given, by
projection after every step of the optimiser, some become exactly zero. Such a block is the
identity; what is left is an ordinary `EulerNet`, whose constant is computed anew.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from pnp_recon.networks.blocks import STEP_LIMIT, EulerBlock
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet
from pnp_recon.proximal.simplex import project_capped_simplex

# Largest relative step: below STEP_LIMIT, so that an ordinary block can hold it.
LARGEST = 0.98


class ShareBlock(EulerBlock):
    """An Euler block whose relative step is the parameter `share`."""

    def __init__(self, config: EulerConfig) -> None:
        super().__init__(
            config.width,
            config.hidden,
            config.kernel_size,
            config.activation,
            method=config.integrator,
        )
        self.share = nn.Parameter(super().relative_step.detach())
        del self.step_logit

    @property
    def relative_step(self) -> Tensor:
        return self.share


class ShareNet(EulerNet):
    """`EulerNet` of such blocks, without a group; begins as the given network."""

    def __init__(self, beginning: EulerNet) -> None:
        super().__init__(beginning.config)
        self.blocks = nn.ModuleList(ShareBlock(self.config) for _ in beginning.blocks)
        state = beginning.state_dict()
        for index, block in enumerate(beginning.euler_blocks()):
            del state[f"blocks.{index}.step_logit"]
            state[f"blocks.{index}.share"] = block.relative_step.detach()
        self.load_state_dict(state)

    def share_blocks(self) -> list[ShareBlock]:
        return [block for block in self.blocks if isinstance(block, ShareBlock)]

    @torch.no_grad()
    def project(self, total: float) -> None:
        """The nearest shares in [0, `LARGEST`] whose sum is `total`."""
        blocks = self.share_blocks()
        held = torch.stack([block.share for block in blocks])
        for block, share in zip(blocks, project_capped_simplex(held, total, LARGEST), strict=True):
            block.share.copy_(share)

    def kept(self) -> list[int]:
        """The blocks whose share is not zero."""
        return [
            index
            for index, block in enumerate(self.share_blocks())
            if float(block.share.detach()) > 0
        ]

    def pruned(self) -> EulerNet:
        """The same map as an ordinary network of the blocks that are not the identity."""
        return keep(self, self.kept())


def keep(network: EulerNet, kept: list[int]) -> EulerNet:
    """An ordinary network of the given blocks, in their order, with their weights and steps."""
    found = EulerNet(replace(network.config, blocks=len(kept)))
    state = found.state_dict()
    held = network.state_dict()
    for key in state:
        if not key.startswith("blocks."):
            state[key] = held[key]
    for new, old in enumerate(kept):
        block = network.euler_blocks()[old]
        for key in list(state):
            name = key.removeprefix(f"blocks.{new}.")
            if name != key and f"blocks.{old}.{name}" in held:
                state[key] = held[f"blocks.{old}.{name}"]
        share = float(block.relative_step.detach()) / STEP_LIMIT
        state[f"blocks.{new}.step_logit"] = torch.tensor(math.log(share / (1 - share)))
    found.load_state_dict(state)
    for block, old in zip(found.euler_blocks(), kept, strict=True):
        block.certified = network.euler_blocks()[old].certified
    return found.train(network.training)
