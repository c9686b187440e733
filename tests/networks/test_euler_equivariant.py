"""Euler networks of a group: they commute with turns and flips and are averaged all the same."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from laws.networks import (
    CASES,
    ROUNDING,
    at_level,
    attacked,
    dense,
    picture,
    random_tensor,
    reflected,
)
from pnp_recon.models.euler import parameter_counts
from pnp_recon.networks.activations import ACTIVATIONS, Ball
from pnp_recon.networks.constraints import conv_norm_bound
from pnp_recon.networks.equivariant import Element, Group, regular, regulars, turn
from pnp_recon.networks.euler import EulerNet
from pnp_recon.networks.lifting import BlockField, Lifting, even_paddings, lifting
from support.euler_groups import EXACT, TINY, tiny_net, turning_error

GROUPS = ("C2", "C4", "D1", "D2", "D4")
SIZES = [(8, 8), (6, 10), (7, 8), (8, 5), (7, 9), (5, 5), (1, 4), (3, 1)]


# ---- lifting -----------------------------------------------------------------------------------


def as_matrix(part: Lifting) -> Tensor:
    return dense(part.lift, (1, 2, 2))


def moved_pixels(group: Group, g: Element) -> Tensor:
    return dense(lambda x: turn(x, group, g), (1, 2, 2))


@pytest.mark.parametrize("name", ["C1", *GROUPS])
def test_pixel_blocks_become_fields_by_an_isometry_that_intertwines(name: str) -> None:
    group = Group.named(name)
    embedding = as_matrix(BlockField(group))
    torch.testing.assert_close(embedding.T @ embedding, torch.eye(4).double())
    fields = len(embedding) // group.order
    assert fields * group.order == len(embedding)
    for g in group.elements:
        moved = moved_pixels(group, g)
        acts = torch.block_diag(*[regular(group)(g)] * fields)
        torch.testing.assert_close(acts @ embedding, embedding @ moved)
    if group.order > 1:  # a twin: the pixels as they come intertwine with nothing
        other = torch.eye(max(4, group.order)).double()[:, :4]
        acts = torch.block_diag(*[regular(group)(group.elements[1])] * (len(other) // group.order))
        moved = moved_pixels(group, group.elements[1])
        assert float((acts @ other - other @ moved).abs().max()) > 0.5


@pytest.mark.parametrize("name", GROUPS)
def test_lifted_pictures_turn_as_fields(name: str) -> None:
    group = Group.named(name)
    chain = lifting("unshuffle", 3, 24, group)
    fields = regulars(group, 24 // group.order)
    x = random_tensor(2, 3, 6, 4)
    z = chain.lift(x)
    torch.testing.assert_close(chain.lower(z), x)
    for g in group.elements:
        torch.testing.assert_close(chain.lift(turn(x, group, g)), fields.act(z, g))


def test_the_isometry_survives_a_lower_precision() -> None:
    embedding = as_matrix(BlockField(Group.named("D4")).float().double())
    assert float((embedding.T @ embedding - torch.eye(4)).abs().max()) < 1e-15


def test_paddings_of_odd_sides() -> None:
    assert even_paddings(4, 6) == [(0, 0, 0, 0)]
    assert len(set(even_paddings(3, 6))) == len(set(even_paddings(4, 5))) == 2
    assert len(set(even_paddings(3, 5))) == 4
    for height, width in SIZES:
        for left, right, top, bottom in even_paddings(height, width):
            assert (width + left + right) % 2 == (height + top + bottom) % 2 == 0


# ---- symmetry ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GROUPS)
def test_network_commutes_with_its_group(name: str) -> None:
    net = tiny_net(name)
    for size in SIZES:
        assert turning_error(net, net.group, size) < EXACT
    assert float((net(picture(1, 1, 8, 8), 0.1) - picture(1, 1, 8, 8)).abs().max()) > 1e-2


def test_larger_filters() -> None:
    net = tiny_net("C4", kernel_size=5)
    assert turning_error(net, net.group, (7, 10)) < EXACT


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_and_colour(activation: str) -> None:
    net = tiny_net("D4", activation, channels=3, width=32, hidden=32, blocks=1)
    assert turning_error(net, net.group, (7, 10), channels=3) < EXACT


def test_balls_that_cut_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of neighbouring channels, not of fields: refused where they cut a field, ...
    monkeypatch.setitem(ACTIVATIONS, "cut", lambda channels, order: Ball(channels, 4))
    with pytest.raises(ValueError, match="whole fields"):
        tiny_net("D4", "cut")
    # ... and where they do so in secret, the network no longer commutes (a turn carries the pair
    # of neighbours {1, r} to {r, r²}, which is none).
    net = tiny_net("D4", "ball4", hidden=32)
    for block in net.flow_blocks():
        block.activation.shape = (-1, 2, 1)
    assert turning_error(net, net.group, (7, 10)) > 1e-3


def test_levels_of_a_batch_equal_a_loop() -> None:
    net, x = tiny_net(), picture(2, 1, 5, 6)
    levels = torch.tensor([0.02, 0.2], dtype=torch.float64)
    together = net(x, levels)
    for i, level in enumerate(levels.tolist()):
        torch.testing.assert_close(together[i : i + 1], net(x[i : i + 1], level))


def test_the_law_fails_for_the_ordinary_network_and_for_a_smaller_group() -> None:
    plain, quarter = tiny_net("C1"), tiny_net("C4")
    everything = Group.named("D4")
    for size in SIZES[:5]:
        assert turning_error(plain, everything, size) > 1e-3
        assert turning_error(quarter, everything, size) > 1e-3
    # Ties taken off and one filter moved: no longer equivariant.
    free = tiny_net().plain()
    free.flow_blocks()[0].weight[0, 0, 0, 0] += 1.0
    assert turning_error(free, everything, (8, 8)) > 1e-4


class OneEnd(nn.Module):
    """A broken twin: pads each odd side at one end."""

    def __init__(self, net: EulerNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, sigma: float) -> Tensor:
        return self.net._centred(x - 0.5, torch.tensor([sigma]).to(x)) + 0.5


def test_one_padding_is_not_enough_on_odd_sides() -> None:
    net = tiny_net()
    for size in SIZES[:2]:
        assert turning_error(OneEnd(net), net.group, size) < EXACT
    for size in SIZES[2:6]:
        assert turning_error(OneEnd(net), net.group, size) > 1e-2


# ---- averagedness ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["C4", "D4"])
@pytest.mark.parametrize("activation", ["clip", "spline"])
def test_network_is_averaged(name: str, activation: str) -> None:
    net = tiny_net(name, activation)
    alpha = net.check().averagedness
    assert alpha is not None
    assert alpha < 1
    assert "paddings" in net.check().source
    for size, sigma in CASES:
        function = at_level(net, sigma)
        assert attacked(function, 1, size) <= 1 + ROUNDING
        assert attacked(reflected(function, alpha), 1, size) <= 1 + ROUNDING


@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_too_large_a_step_is_refused_and_attained(size: tuple[int, int]) -> None:
    net = tiny_net("D4", "clip")
    alpha = net.check().averagedness
    assert alpha is not None
    for block in net.flow_blocks():
        block.norm.mul_(0.4)
    with pytest.raises(ValueError, match="not averaged"):
        net.check()
    assert attacked(at_level(net, 0.2), 1, size) > 1.1
    assert attacked(reflected(at_level(net, 0.2), alpha), 1, size) > 1.1


def test_the_plain_twin_is_the_same_map_with_the_same_certificate() -> None:
    net = tiny_net().float()
    bounds, before = net.certify(), copy.deepcopy(net.state_dict())
    free = net.plain()
    assert free.check() == net.check()
    for block, tied, bound in zip(free.flow_blocks(), net.flow_blocks(), bounds, strict=True):
        assert torch.equal(block.weight, tied.weight)
        assert conv_norm_bound(block.weight) <= bound <= float(block.norm) * (1 + 1e-6)
    assert not any("parametrizations" in key for key in free.state_dict())
    for size in ((8, 8), (7, 9)):
        x = picture(1, 1, *size).float()
        assert torch.equal(free(x, 0.1), net(x, 0.1))
    # The network itself keeps its ties.
    assert net.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert free.plain() is free
    assert tiny_net("C1").plain().tied


@pytest.mark.parametrize(("name", "share"), [("C2", 2), ("C4", 4), ("D2", 4), ("D4", 8)])
def test_parameters_are_shared_by_the_group(name: str, share: int) -> None:
    counts = parameter_counts(tiny_net(name))
    steps = TINY.blocks  # the learned steps are one number a block
    assert (counts["parameters"] - steps) * share == counts["parameters_plain"] - steps


def test_networks_check_themselves() -> None:
    """The public check: rounding for D4, a twin without a group is found out."""
    turning, ordinary = tiny_net("D4"), tiny_net("C1")
    assert turning.check_equivariance().worst < 1e-10
    assert turning.plain().check_equivariance().worst < 1e-6  # filters put together in float32
    assert ordinary.check_equivariance().worst > 1e-4
