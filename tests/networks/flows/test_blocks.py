"""Convolutional blocks by any integrator: proven, attacked, and refused where nothing is proven."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.networks.blocks import FlowBlock, explicit
from pnp_recon.networks.euler import EulerNet
from pnp_recon.networks.flows.tableaux import CONTRACTIVE, TABLEAUX
from pnp_recon.priors.attack import attained_ratio
from tests.laws.networks import attacked, picture, small_net

EXPLICIT = [name for name in CONTRACTIVE if TABLEAUX[name].is_explicit]
OTHERS = [name for name in EXPLICIT if name != "euler"]


def net(method: str) -> EulerNet:
    """Two blocks by the method, in float64, certified, with steps near their limit."""
    like = small_net("clip", "unshuffle")
    torch.manual_seed(0)
    made = EulerNet(replace(like.config, integrator=method)).double()
    made.load_state_dict(like.state_dict())
    made.eval().certify()
    return made


@pytest.mark.parametrize("method", EXPLICIT)
def test_a_network_is_averaged_and_no_attack_says_otherwise(method: str) -> None:
    made = net(method)
    held = made.check()
    assert held.averagedness is not None
    assert held.averagedness < 1

    def reflected(x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = made(x, 10 / 255)
        return (out - (1 - held.averagedness) * x) / held.averagedness  # type: ignore[operator]

    x = picture(1, 1, 6, 6)
    assert attained_ratio(lambda z: made(z, 10 / 255), x, 20) <= 1 + 1e-8
    assert attained_ratio(reflected, x, 20) <= 1 + 1e-8


@pytest.mark.parametrize("method", OTHERS)
def test_the_constant_is_the_methods_own(method: str) -> None:
    """The same weights and shares, another tableau: another map and another constant."""
    mine, euler = net(method), net("euler")
    x = picture(1, 1, 6, 6)
    assert not torch.equal(mine(x, 10 / 255), euler(x, 10 / 255))
    block, plain = mine.flow_blocks()[0], euler.flow_blocks()[0]
    r, s = TABLEAUX[method].radius, plain.averagedness()
    assert block.averagedness() == pytest.approx(r * s / (1 + (r - 1) * s), rel=1e-9)


@pytest.mark.parametrize("method", OTHERS)
def test_a_norm_that_is_too_small_is_refused(method: str) -> None:
    made = net(method)
    made.flow_blocks()[0].norm.mul_(0.5)
    with pytest.raises(ValueError, match="not averaged"):
        made.check()


def test_one_step_longer_than_proven_expands() -> None:
    """The twin: improved Euler at 1.6 times its limit is found to expand by the same attack."""
    made = net("improved_euler")
    for block in made.flow_blocks():
        block.norm.mul_(1.6**-0.5)
    assert attacked(lambda z: made(z, 50 / 255), 1, (8, 8)) > 1.05


def test_the_reach_grows_with_the_stages() -> None:
    assert net("rk4").halo == 4 * net("euler").halo
    made = net("improved_euler")
    x = picture(1, 1, 32, 32).requires_grad_()
    made(x, 10 / 255)[0, 0, 16, 16].backward()
    assert x.grad is not None
    rows = x.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert 16 - int(rows.min()) <= made.halo + made.alignment
    assert 16 - int(rows.min()) > made.halo // 2  # half of it would be too little


@pytest.mark.parametrize("method", ["midpoint", "implicit_euler"])
def test_other_methods_are_refused_with_the_reason(method: str) -> None:
    with pytest.raises((InputError, ValueError), match=r"weight is 0|no explicit"):
        FlowBlock(2, 2, 3, "clip", method=method)
    assert explicit("ssp104").tableau.radius == 6
