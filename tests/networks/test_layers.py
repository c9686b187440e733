"""Laws of layers: norm bounds against dense matrices, isometric liftings, slopes in [0, 1]."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from laws.networks import (
    Skewed,
    Steep,
    Wavy,
    convolve,
    dense,
    random_tensor,
    slope_matrices,
    slopes,
    spectral_norm,
)
from pnp_recon.networks.activations import ACTIVATIONS, Ball
from pnp_recon.networks.constraints import conv_norm_bound, power_step
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


@pytest.mark.parametrize("exponent", [-1060, -600, -565, -199, 0, 199, 530, 1015])
def test_norm_bound_of_tiny_and_huge_filters(exponent: int) -> None:
    """1e-170 gave 0 and 1e160 inf: the squares left float64."""
    weight = random_tensor(3, 2, 3, 3)
    scaled = torch.ldexp(
        torch.ldexp(weight, torch.tensor(exponent // 2)), torch.tensor(exponent - exponent // 2)
    )
    ordinary, bound = conv_norm_bound(weight), conv_norm_bound(scaled)
    assert math.ldexp(ordinary, exponent) * (1 - 1e-12) <= bound
    assert bound <= math.ldexp(ordinary, exponent) * (1 + 1e-12) + 1e-322
    assert conv_norm_bound(0 * weight) == 0  # the twin: nothing is nothing
    with pytest.raises(ValueError, match="more than float64 holds"):
        conv_norm_bound(torch.full((9, 9, 5, 5), 1.7e308, dtype=torch.float64))
    with pytest.raises(ValueError, match="found none"):
        conv_norm_bound(torch.ones(0, 1, 3, 3))


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
    activation = ACTIVATIONS[name](12, 1).double()
    if seed is not None:
        for parameter in activation.parameters():
            parameter.data = 4 * random_tensor(*parameter.shape, seed=seed)
    low, high = slopes(activation)
    assert low >= -1e-9
    assert high <= 1 + 1e-9


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("order", [1, 3])
def test_activation_is_a_gradient_with_slopes_in_the_unit_interval(name: str, order: int) -> None:
    matrices = slope_matrices(ACTIVATIONS[name](12, order).double())
    assert float((matrices - matrices.mT).abs().max()) < 1e-12
    values = torch.linalg.eigvalsh(matrices)
    assert float(values.min()) > -1e-12
    assert float(values.max()) < 1 + 1e-12


def test_thresholds_that_differ_inside_a_group_are_no_gradient_and_expand() -> None:
    matrices = slope_matrices(Skewed())
    assert float((matrices - matrices.mT).abs().max()) > 0.1
    assert float(torch.linalg.matrix_norm(matrices, 2).max()) > 1.2


def test_channels_that_make_no_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        Ball(6, 4)
    with pytest.raises(ValueError, match="groups of 4 fields of 8; expected a multiple of 32"):
        Ball(48, 4, 8)


def test_balls_of_fields_take_one_channel_of_each() -> None:
    z = torch.randn(1, 24, 2, 2, generator=torch.Generator().manual_seed(0)) * 2
    fields = z.unflatten(1, (2, 4, 3))
    expected = fields / fields.norm(dim=2, keepdim=True).clamp_min(1)
    torch.testing.assert_close(Ball(24, 4, 3)(z), expected.flatten(1, 3))
    assert not torch.allclose(Ball(24, 4)(z), expected.flatten(1, 3))


def test_activation_law_can_fail() -> None:
    assert slopes(Wavy())[0] < -0.9
    assert slopes(Steep())[1] > 1.4
