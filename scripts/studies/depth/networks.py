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

from pnp_recon.networks.blocks import STEP_LIMIT, FlowBlock
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet
from pnp_recon.proximal.simplex import project_capped_simplex

# Largest relative step: below STEP_LIMIT, so that an ordinary block can hold it.
LARGEST = 0.98


class ShareBlock(FlowBlock):
    """An Euler block whose relative step is an entry of its network's `shares`."""

    def __init__(self, config: EulerConfig, shares: nn.Parameter, index: int) -> None:
        super().__init__(
            config.width,
            config.hidden,
            config.kernel_size,
            config.activation,
            method=config.integrator,
        )
        del self.step_logit
        self.index = index
        self.owner = [shares]  # in a list: the parameter is the network's, and copied with it

    @property
    def relative_step(self) -> Tensor:
        return self.owner[0][self.index]


class ShareNet(EulerNet):
    """`EulerNet` of such blocks, without a group; begins as the given network.

    The mean is taken out of the shares' gradient, which leaves where the steps should go: how much
    they sum to is given. Of what is left Adam makes steps of full size.
    """

    def __init__(self, beginning: EulerNet) -> None:
        super().__init__(beginning.config)
        steps = [block.relative_step.detach() for block in beginning.flow_blocks()]
        self.shares = nn.Parameter(torch.stack(steps))
        self.shares.register_hook(lambda slope: slope - slope.mean())
        self.blocks = nn.ModuleList(
            ShareBlock(self.config, self.shares, index) for index in range(len(steps))
        )
        state = {"shares": self.shares.detach().clone(), **beginning.state_dict()}
        for index in range(len(steps)):
            del state[f"blocks.{index}.step_logit"]
        self.load_state_dict(state)

    @torch.no_grad()
    def project(self, total: float) -> None:
        """The nearest shares in [0, `LARGEST`] whose sum is `total`."""
        self.shares.copy_(project_capped_simplex(self.shares, total, LARGEST))

    def kept(self) -> list[int]:
        """The blocks whose share is not zero."""
        return self.shares.detach().nonzero().flatten().tolist()

    def pruned(self) -> EulerNet:
        """The same map as an ordinary network of the blocks that are not the identity."""
        return keep(self, self.kept())


def keep(network: EulerNet, kept: list[int]) -> EulerNet:
    """An ordinary network of the given blocks, in their order, with their weights and steps."""
    found = EulerNet(replace(network.config, blocks=len(kept)))
    found = found.to(next(network.parameters()).dtype)
    state = found.state_dict()
    held = network.state_dict()
    for key in state:
        if not key.startswith("blocks."):
            state[key] = held[key]
    for new, old in enumerate(kept):
        block = network.flow_blocks()[old]
        for key in list(state):
            name = key.removeprefix(f"blocks.{new}.")
            if name != key and f"blocks.{old}.{name}" in held:
                state[key] = held[f"blocks.{old}.{name}"]
        share = float(block.relative_step.detach()) / STEP_LIMIT
        state[f"blocks.{new}.step_logit"] = torch.tensor(math.log(share / (1 - share)))
    found.load_state_dict(state)
    for block, old in zip(found.flow_blocks(), kept, strict=True):
        block.certified = network.flow_blocks()[old].certified
    return found.train(network.training)
