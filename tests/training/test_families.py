"""What training asks of the families of networks, and of networks that are of none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pnp_recon.networks.blocks import FlowBlock
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.constraints import conv_norm_bound
from pnp_recon.networks.euler import EulerNet
from pnp_recon.training.families import calibrate, matrices, parts, refreshed
from support.cli import light

CONFIG = EulerConfig(width=4, hidden=4, blocks=2)


class Wrapped(nn.Module):
    """A network of no family that holds one of a family."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Conv2d(1, 1, 1)
        self.net = EulerNet(CONFIG)

    def forward(self, x: Tensor, sigma: float) -> Tensor:
        out: Tensor = self.net(self.before(x), sigma)
        return out


class Derived(EulerNet):
    """A variant of a family's network is of its family."""


@pytest.mark.parametrize("build", [lambda: EulerNet(CONFIG), lambda: Derived(CONFIG), Wrapped])
def test_a_family_serves_its_networks_variants_of_them_and_those_inside_others(build) -> None:
    network = build()
    blocks = [module for module in network.modules() if isinstance(module, FlowBlock)]
    found = matrices(network)
    assert len(found) == len(blocks) == 2
    for (numbers, _), block in zip(found, blocks, strict=True):
        assert numbers is block.weight
    with torch.no_grad():
        for block in blocks:
            block.weight.mul_(3)
    fresh = [module for module in refreshed(network).modules() if isinstance(module, FlowBlock)]
    for new, old in zip(fresh, blocks, strict=True):
        bound = conv_norm_bound(new.weight)
        assert 0.8 * bound < float(new.norm) < 1.03 * bound
        assert float(old.norm) < 0.5 * bound  # the original is left alone
    calibrate(network)
    for block in blocks:
        assert float(block.norm) == pytest.approx(conv_norm_bound(block.weight))


def test_a_network_without_a_family_is_left_alone() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())
    assert list(parts(network)) == []
    assert matrices(network) == []
    calibrate(network)
    copied = refreshed(network)
    assert copied is not network
    assert not copied.training
    assert network.training


def test_training_loads_what_a_bare_machine_has() -> None:
    """Neither pictures nor files of weights: both are read elsewhere."""
    light("import pnp_recon.training.denoiser.trainer", {"PIL", "safetensors", "tifffile"})
    with pytest.raises(AssertionError, match="loaded"):
        light("import pnp_recon.training.denoiser.trainer, PIL", {"PIL"})
