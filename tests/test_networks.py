"""Laws of layers and networks: proven constants against what dense matrices and attacks attain."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from net_laws import (
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
    random_tensor,
    reflected,
    sharp_block,
    slopes,
    small_net,
    spectral_norm,
)
from pnp_recon import weights
from pnp_recon.denoisers import attained_ratio
from pnp_recon.errors import InputError
from pnp_recon.networks.activations import ACTIVATIONS
from pnp_recon.networks.blocks import EulerBlock
from pnp_recon.networks.constraints import conv_norm_bound, power_step
from pnp_recon.networks.euler import EulerConfig, EulerNet
from pnp_recon.networks.lifting import LIFTINGS, Orthonormal, lifting

Size = tuple[int, int]

# ---- norm of a convolution layer ---------------------------------------------------------------


@pytest.mark.parametrize("padding", ["zero", "circular"])
@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
@pytest.mark.parametrize("channels", [(2, 3), (3, 1), (1, 1)])
def test_norm_bound_is_never_exceeded(
    channels: tuple[int, int], kernel_size: int, padding: str
) -> None:
    rows, columns = channels
    for size in ((7, 5), (8, 8), (3, 11)):
        for seed in range(8):
            weight = random_tensor(rows, columns, kernel_size, kernel_size, seed=seed)
            if seed % 2:  # smooth filters peak at low frequencies, where the border matters
                weight = weight.abs()
            attained = spectral_norm(dense(convolve(weight, padding), (columns, *size)))
            assert attained <= conv_norm_bound(weight, grid=8)


@pytest.mark.parametrize("shape", [(2, 2, 1, 5), (3, 2, 5, 3)])
def test_norm_bound_of_oblong_filters(shape: tuple[int, ...]) -> None:
    weight = random_tensor(*shape)
    attained = spectral_norm(dense(convolve(weight, "circular"), (shape[1], 9, 10)))
    assert attained <= conv_norm_bound(weight) <= 1.15 * attained


def circular_norm(weight: Tensor, size: int) -> float:
    """Exact norm with circular padding: the transform block-diagonalises the layer."""
    symbol = torch.fft.fft2(weight, s=(size, size)).permute(2, 3, 0, 1)
    return float(torch.linalg.svdvals(symbol)[..., 0].max())


@pytest.mark.parametrize("seed", range(6))
def test_norm_bound_is_not_loose(seed: int) -> None:
    weight = random_tensor(4, 6, 3, 3, seed=seed)
    matrix = dense(convolve(weight, "circular"), (6, 6, 6))
    assert circular_norm(weight, 6) == pytest.approx(spectral_norm(matrix), rel=1e-12)
    attained = circular_norm(weight, 191)
    assert attained <= conv_norm_bound(weight, grid=64) <= 1.01 * attained


def test_without_the_cosine_the_bound_would_be_violated() -> None:
    # |Ŵ| peaks at 75°, halfway between two of twelve grid points: cos ω = −b(a+c)/(4ac).
    a, c = 1.0, -0.5
    b = -4 * a * c * math.cos(math.radians(75)) / (a + c)
    weight = torch.tensor([a, b, c], dtype=torch.float64).reshape(1, 1, 1, 3)
    attained = spectral_norm(dense(convolve(weight, "circular"), (1, 1, 24)))
    bound = conv_norm_bound(weight, grid=12)
    assert attained <= bound
    assert attained > 1.0005 * bound * math.cos(math.pi / 12)


def test_power_iteration_stays_below_and_would_be_violated() -> None:
    weight = random_tensor(4, 4, 3, 3)
    vector = random_tensor(1, 4, 16, 16)
    for _ in range(5):
        estimate, vector = power_step(weight, vector / vector.norm())
    attained = spectral_norm(dense(convolve(weight, "circular"), (4, 8, 8)))
    assert float(estimate) < attained <= conv_norm_bound(weight)


def test_norm_bound_refuses_what_is_no_filter() -> None:
    for weight in (torch.ones(3, 3), torch.full((1, 1, 3, 3), math.nan)):
        with pytest.raises(ValueError, match="finite convolution filters"):
            conv_norm_bound(weight)


# ---- liftings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(4, 4), (5, 8), (6, 7), (1, 1), (9, 3)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", LIFTINGS)
def test_lifting_is_an_isometry_and_lower_its_transpose(
    name: str, channels: int, size: tuple[int, int]
) -> None:
    q = lifting(name, channels, 64).double().requires_grad_(False)
    x = random_tensor(2, channels, *size)
    lifted = q.lift(x)
    assert lifted.shape[1] == q.channels_out(channels) == 64
    torch.testing.assert_close(q.lower(lifted, size), x, rtol=0, atol=1e-12)
    assert float(lifted.norm()) == pytest.approx(float(x.norm()), rel=1e-12)
    z = random_tensor(*lifted.shape, seed=1)
    there, back = float((lifted * z).sum()), float((x * q.lower(z, size)).sum())
    assert there == pytest.approx(back, rel=1e-11, abs=1e-11)


def test_lifting_laws_can_fail() -> None:
    q = lifting("haar", 1, 4).double()
    x = random_tensor(1, 1, 4, 4)
    q.liftings[0].get_buffer("matrix").mul_(1.01)
    assert float(q.lift(x).norm()) != pytest.approx(float(x.norm()), rel=1e-3)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(q.lower(q.lift(x), (4, 4)), x)


def test_unknown_or_narrow_lifting() -> None:
    with pytest.raises(ValueError, match="known: pad"):
        lifting("wavelets", 1, 8)
    with pytest.raises(ValueError, match="width 2 is below"):
        lifting("haar", 1, 2)


def test_learned_lifting_is_orthonormal_whatever_its_parameters_hold() -> None:
    q = Orthonormal(4, 6).double().requires_grad_(False)
    for parameter in q.parameters():
        parameter.data = 5 * random_tensor(*parameter.shape)
    x = random_tensor(1, 4, 3, 3)
    torch.testing.assert_close(q.lower(q.lift(x)), x, rtol=0, atol=1e-12)


# ---- activations -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_slopes(name: str, seed: int | None) -> None:
    activation = ACTIVATIONS[name](3).double()
    if seed is not None:
        for parameter in activation.parameters():
            parameter.data = 4 * random_tensor(*parameter.shape, seed=seed)
    low, high = slopes(activation)
    assert low >= -1e-9
    assert high <= 1 + 1e-9


def test_activation_law_can_fail() -> None:
    assert slopes(Wavy())[0] < -0.9
    assert slopes(Steep())[1] > 1.4


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
    net.euler_blocks()[0].norm.mul_(0.5)
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
    estimated = [float(block.norm) for block in net.euler_blocks()]
    bounds = net.certify()
    for block, estimate, bound in zip(net.euler_blocks(), estimated, bounds, strict=True):
        assert estimate < bound <= float(block.norm) * (1 + 1e-12)
        assert spectral_norm(dense(convolve(block.weight, "zero"), (4, 4, 4))) <= bound
        block.norm.fill_(math.nan)
    with pytest.raises(ValueError, match="found nan"):
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
from pnp_recon.networks.euler import EulerConfig, EulerNet
net = EulerNet(EulerConfig(width=8, hidden=6, blocks=1, activation="spline")).train()
levels = torch.tensor([0.1, 0.05])
net(torch.rand(2, 1, 8, 8), levels).square().sum().backward()
assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in net.parameters())
"""
    root = Path(__file__).resolve().parents[1]
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_block_arguments() -> None:
    with pytest.raises(ValueError, match="odd"):
        EulerBlock(2, 2, 4, "clip")
    with pytest.raises(ValueError, match="known: relu"):
        EulerBlock(2, 2, 3, "sine")
    assert EulerNet(EulerConfig(width=4, hidden=4, blocks=1)).recipe()["class"] == "EulerNet"


# ---- whole shipped networks --------------------------------------------------------------------


def _shipped() -> list[str]:
    try:
        return weights.shipped_models()
    except InputError:  # no folder: `test_the_two_models_are_shipped` says so
        return []


def test_the_two_models_are_shipped() -> None:
    assert {"euler_grey", "euler_colour"} <= set(_shipped())


@pytest.mark.parametrize("name", _shipped())
def test_shipped_network(name: str) -> None:
    net, card = weights.load_network(name)
    proven = card["certificate"]
    alpha = net.check().averagedness
    assert alpha is not None
    assert alpha <= proven["averagedness"] * (1 + 1e-9)
    assert proven["averagedness"] < 1
    assert proven["lipschitz"] <= 1
    assert len(proven["layer_norm_bounds"]) == len(net.euler_blocks()) == net.config.blocks
    assert max(proven["block_averagedness"]) < 1
    assert card["name"] == name
    assert card["parameters"] == sum(p.numel() for p in net.parameters())
    low, high = card["sigma_range_255"]
    assert low <= 2.55
    assert high >= 38.25
    net = net.double()
    for level in (low / 255, high / 255):
        function = at_level(net.double(), level)
        alpha = proven["averagedness"]
        assert_averaged(function, alpha, net.config.channels, (16, 16), (13, 22), (24, 18))
