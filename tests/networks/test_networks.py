"""Laws of blocks and whole networks: proven constants against what attacks attain."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from laws.networks import (
    CASES,
    COMBINATIONS,
    ROUNDING,
    Map,
    Steep,
    Wavy,
    at_level,
    attacked,
    convolve,
    dense,
    picture,
    reflected,
    sharp_block,
    small_net,
    spectral_norm,
)
from pnp_recon.errors import InputError
from pnp_recon.models.euler import parameter_counts
from pnp_recon.models.families import FAMILIES
from pnp_recon.models.load import load_network
from pnp_recon.models.store import find_card, read_card, shipped_models
from pnp_recon.networks.activations import ACTIVATIONS
from pnp_recon.networks.blocks import FlowBlock
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet
from pnp_recon.networks.lifting import LIFTINGS
from pnp_recon.priors.attack import attained_ratio
from support.waits import waits

Size = tuple[int, int]

# ---- Euler networks ----------------------------------------------------------------------------


def assert_averaged(function: Map, alpha: float | None, channels: int, *sizes: Size) -> None:
    """The law: neither f nor the R of f = (1 − α)I + αR is found to expand anything."""
    assert alpha is not None
    assert alpha < 1
    for size in sizes:
        assert attacked(function, channels, size) <= 1 + ROUNDING
        held = reflected(function, alpha)
        assert attacked(held, channels, size) <= 1 + ROUNDING


@pytest.mark.parametrize(("activation", "name"), COMBINATIONS)
def test_network_is_averaged(activation: str, name: str) -> None:
    net = small_net(activation, name)
    alpha = net.check().averagedness
    for size, sigma in CASES:
        assert_averaged(at_level(net, sigma), alpha, 1, size)


@pytest.mark.parametrize("kernel_size", [1, 5])
def test_colour_network_and_other_filter_sizes(kernel_size: int) -> None:
    net = small_net("spline", channels=3, kernel_size=kernel_size)
    assert_averaged(at_level(net, 0.05), net.check().averagedness, 3, (6, 9))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_block_is_averaged_and_nearly_attains_it(activation: str) -> None:
    block = sharp_block(activation)
    for logits in block.activation.parameters():
        logits[:, -1] = -20  # the steepest spline: slope 1 at zero
    function, alpha = at_level(block, 0.1), block.averagedness()
    assert_averaged(function, alpha, 4, (8, 8), (5, 7))
    # The law can fail: with a constant of three quarters the same attack expands.
    with pytest.raises(AssertionError):
        assert_averaged(function, 0.75 * alpha, 4, (8, 8))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_too_large_a_step_is_refused_and_attained(activation: str) -> None:
    block = sharp_block(activation)
    alpha = block.averagedness()
    block.norm.mul_(0.5)
    with pytest.raises(ValueError, match="not averaged"):
        block.averagedness()
    function = at_level(block, 0.1)
    assert attacked(function, 4, (8, 8)) > 1.5
    assert attacked(reflected(function, alpha), 4, (8, 8)) > 1.5


def test_a_network_with_too_large_a_step_is_refused_and_attained() -> None:
    net = small_net()
    net.flow_blocks()[0].norm.mul_(0.5)
    with pytest.raises(ValueError, match="not averaged"):
        net.check()
    assert attacked(at_level(net, 0.1), 1, (8, 8)) > 1.2
    # The public attack finds it too, from where the clips are not yet active.
    flat = torch.full((1, 1, 8, 8), 0.5, dtype=torch.float64)
    assert attained_ratio(at_level(net, 0.1), flat, steps=40, scale=1e-3) > 1.1


@pytest.mark.parametrize("broken", [Steep(), Wavy()])
def test_an_unlawful_activation_is_attained(broken: nn.Module) -> None:
    block = sharp_block("clip")
    alpha = block.averagedness()
    block.activation = broken
    with pytest.raises(AssertionError):
        assert_averaged(at_level(block, 0.1), alpha, 4, (8, 8))


def test_uncertified_training_norm_is_held_against_the_bound() -> None:
    net = small_net(certify=False)
    estimated = [float(block.norm) for block in net.flow_blocks()]
    bounds = net.certify()
    for block, estimate, bound in zip(net.flow_blocks(), estimated, bounds, strict=True):
        assert estimate < bound <= float(block.norm) * (1 + 1e-12)
        assert spectral_norm(dense(convolve(block.weight, "zero"), (4, 4, 4))) <= bound
        block.norm.fill_(math.nan)
    with pytest.raises(ValueError, match="not finite"):
        net.check()


def test_levels_of_a_batch_equal_a_loop() -> None:
    net = small_net("spline", "haar")
    x, levels = picture(3, 1, 6, 7), torch.tensor([0.01, 0.05, 0.2], dtype=torch.float64)
    together = net(x, levels)
    for i, level in enumerate(levels.tolist()):
        torch.testing.assert_close(together[i : i + 1], net(x[i : i + 1], level))
        torch.testing.assert_close(net(x, level)[i : i + 1], together[i : i + 1])
    assert float((together[:1] - net(x[:1], 0.05)).abs().max()) > 1e-4


@pytest.mark.parametrize("name", LIFTINGS)
def test_state_does_not_depend_on_the_mode(name: str) -> None:
    net = small_net("spline", name)
    states = [
        {k: v.clone() for k, v in net.train(mode).state_dict().items()} for mode in (True, False)
    ]
    assert list(states[0]) == list(states[1])
    for key, value in states[0].items():
        torch.testing.assert_close(value, states[1][key], rtol=0, atol=0)
    net.train()
    net(picture(1, 1, 8, 8), 0.1)
    assert list(net.state_dict()) == list(states[0])
    fresh = EulerNet(net.config).double().eval()
    fresh.load_state_dict(states[0])
    net.load_state_dict(states[0])
    torch.testing.assert_close(
        fresh(picture(1, 1, 8, 8), 0.1), net.eval()(picture(1, 1, 8, 8), 0.1)
    )


def test_training_changes_every_parameter_and_needs_torch_alone() -> None:
    code = """
import sys
for name in ("deepinv", "torchvision", "odl", "matplotlib", "skimage", "scipy"):
    sys.modules[name] = None
import torch
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet
net = EulerNet(EulerConfig(width=8, hidden=6, blocks=1, activation="spline")).train()
levels = torch.tensor([0.1, 0.05])
net(torch.rand(2, 1, 8, 8), levels).square().sum().backward()
assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in net.parameters())
"""
    root = Path(__file__).resolve().parents[2]
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_block_arguments() -> None:
    with pytest.raises(ValueError, match="odd"):
        FlowBlock(2, 2, 4, "clip")
    with pytest.raises(ValueError, match="known: relu"):
        FlowBlock(2, 2, 3, "sine")
    assert EulerNet(EulerConfig(width=4, hidden=4, blocks=1)).recipe()["class"] == "EulerNet"


# ---- whole shipped networks --------------------------------------------------------------------


def certified(name: str) -> bool:
    return FAMILIES[read_card(find_card(name)).family].certified


def _shipped() -> list[str]:
    try:
        return [name for name in shipped_models("denoiser") if certified(name)]
    except InputError:  # no folder: `test_the_two_models_are_shipped` says so
        return []


def test_the_two_models_are_shipped() -> None:
    assert {"euler_grey", "euler_colour"} <= set(_shipped())


@pytest.mark.parametrize("name", _shipped())
def test_shipped_network(name: str) -> None:
    net, read = load_network(name)
    proven, card = read.certificate, read.fields
    alpha = net.check().averagedness
    assert alpha is not None
    assert alpha <= proven["averagedness"] * (1 + 1e-9)
    assert proven["averagedness"] < 1
    assert proven["lipschitz"] <= 1
    assert len(proven["layer_norm_bounds"]) == len(net.flow_blocks()) == net.config.blocks
    assert max(proven["block_averagedness"]) < 1
    assert card["name"] == name
    counts = parameter_counts(EulerNet(net.config))
    assert counts == {key: card[key] for key in counts}
    assert card.get("parameters_plain", card["parameters"]) == sum(
        p.numel() for p in net.parameters()
    )
    low, high = card["sigma_range_255"]
    assert low <= 2.55
    assert high >= 38.25
    net = net.double()
    for level in (low / 255, high / 255):
        function = at_level(net.double(), level)
        alpha = proven["averagedness"]
        assert_averaged(function, alpha, net.config.channels, (8, 8), (7, 12), (14, 10))


def test_a_level_reaches_the_device_without_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    # The meta device knows no autocast, which the lifting switches off.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    net = small_net("ball4", "haar").to("meta").eval()
    x = torch.empty(1, net.config.channels, 16, 16, device="meta", dtype=torch.float64)
    assert waits(lambda: net(x, 0.1)) == []
    assert waits(lambda: net(x, torch.tensor(0.1))) == ["to"]


@pytest.mark.parametrize("name", ["bias", "threshold"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nothing_is_proven_of_weights_that_are_no_numbers(name: str, value: float) -> None:
    """Neither enters the constant of a block."""
    net = small_net()
    assert net.check().is_averaged  # the twin
    with torch.no_grad():
        getattr(net.flow_blocks()[-1], name).view(-1)[0] = value
    with pytest.raises(ValueError, match="not finite"):
        net.check()
