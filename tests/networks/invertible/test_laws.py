"""Every registered block: inverse, determinant, constants attacked; and twins that fail."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.guarantees import INVERTIBLE, VOLUME, inverse
from pnp_recon.networks.invertible.base import Chain, Invertible, round_trip_error
from pnp_recon.networks.invertible.conditioners import Dense
from pnp_recon.networks.invertible.linear import NORM, ChannelMixing, OrthogonalDownsampling
from pnp_recon.networks.invertible.registry import BLOCKS, FEATURES_ONLY
from pnp_recon.networks.invertible.residual import ResidualBlock
from support.invertible import determinants, points, stretch

CASES = [
    (name, kind)
    for name in BLOCKS
    for kind in ("vectors", "features")
    if kind == "features" or name not in FEATURES_ONLY
]


def made(name: str, kind: str) -> Invertible:
    """With weights that are none of the first ones."""
    torch.manual_seed(0)
    block = BLOCKS[name](4, kind, hidden=8).double()
    with torch.no_grad():
        for weights in block.parameters():
            weights.add_(0.1 * torch.randn_like(weights))
    block.settle()
    if isinstance(block, ResidualBlock):
        block.tolerance = 1e-13
    return block.requires_grad_(False)


def inputs(kind: str) -> Tensor:
    return points(kind, 4, 2) if kind == "vectors" else points(kind, 4, 2)[..., :2, :]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_blocks_keep_every_law(name: str, kind: str) -> None:
    block, x = made(name, kind), inputs(kind)
    y, logdet = block(x)
    assert y.numel() == x.numel()
    assert round_trip_error(block, x) < 1e-9
    expected = determinants(lambda z: block(z)[0], x)
    torch.testing.assert_close(logdet, expected, atol=1e-9, rtol=0)
    held = block.check()
    assert INVERTIBLE in held.keeps
    if VOLUME in held.keeps:
        assert float(expected.abs().max()) < 1e-9
    high, low = stretch(block, x)
    if held.lipschitz is not None:
        assert high <= held.lipschitz
        assert low >= held.lower > 0
        assert 1 / low <= (inverse(held).lipschitz or 0) * (1 + 1e-9)


def test_a_chain_of_all_blocks() -> None:
    chain = Chain([made(name, "features") for name in BLOCKS])
    x = inputs("features")
    assert round_trip_error(chain, x) < 1e-9
    expected = determinants(lambda z: chain(z)[0], x)
    torch.testing.assert_close(chain(x)[1], expected, atol=1e-8, rtol=0)
    assert chain.check().keeps == {INVERTIBLE}


# ---- residual blocks --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["vectors", "features"])
def test_the_error_of_the_inverse_is_below_its_bounds(kind: str) -> None:
    block, x = made("residual", kind), inputs(kind)
    assert isinstance(block, ResidualBlock)
    y = block.map(x)
    ratios = []
    for i in range(1, 12):
        found = block.fixed_point(y, i)
        error = torch.linalg.vector_norm((found.x - x).flatten(1), dim=1)
        assert bool((error <= found.error * (1 + 1e-9)).all())
        assert bool((found.error <= found.a_priori * (1 + 1e-9)).all())
        ratios.append(float((error / found.a_priori).max()))
    assert max(ratios) > 1e-8
    asked = block.fixed_point(y)
    assert float(torch.minimum(asked.error, asked.a_priori).max()) <= block.tolerance


def test_the_bounds_are_attained_by_a_linear_block() -> None:
    """f = cx: xⁱ − x = ∓cⁱ(y − x), against cⁱ/(1−c)·c‖y‖; and with f = −cx it is an equality."""
    block = ResidualBlock(1, bound=0.5, depth=0).double().requires_grad_(False)
    block.inner.layers[0].weight.fill_(-0.5)
    block.inner.layers[0].bias.zero_()
    y = torch.ones(1, 1).double()
    for i in (1, 3, 6):
        found = block.fixed_point(y, i)
        error = float((found.x - 2).abs())
        assert error == pytest.approx(float(found.a_priori), rel=1e-9)
        assert error == pytest.approx(float(found.error), rel=1e-9)
        # The twin with a constant declared too small claims less than the error.
        assert error > 0.25**i / 0.75 * 0.5


def test_a_residual_beyond_one_diverges_and_is_refused() -> None:
    block = made("residual", "vectors")
    assert isinstance(block, ResidualBlock)
    x = inputs("vectors")
    for layer in block.inner.layers:
        layer.weight.mul_(3)  # type: ignore[operator]
        layer.bias.zero_()  # type: ignore[operator]
    block.inner.activation = "identity"
    assert block.check().lower == 0
    assert INVERTIBLE not in block.check().keeps
    y = block.map(x)
    with pytest.raises(InputError, match="Lipschitz, so that the block need have no inverse"):
        block.inverse(y)
    x_found = y
    for _ in range(200):
        x_found = y - block.inner(x_found)
    assert not float((x_found - x).norm()) < 1e3, "the iteration that was refused diverges"
    block.settle()
    assert block.inner.lipschitz() <= 0.9
    assert round_trip_error(block, x) < 1e-11


def test_the_constant_holds_for_every_size_where_a_power_step_does_not() -> None:
    """One power step on a small picture, as the source takes it, is below the attained norm."""
    block = made("residual", "features")
    assert isinstance(block, ResidualBlock)
    weight = block.inner.layers[1].weight
    assert isinstance(weight, Tensor)
    draws = torch.Generator().manual_seed(2)
    x = torch.randn(1, weight.shape[1], 4, 4, generator=draws, dtype=torch.float64)
    conv = torch.nn.functional.conv2d
    estimate = float(conv(x, weight, padding=1).norm() / x.norm())
    v = torch.randn(1, weight.shape[1], 32, 32, generator=draws, dtype=torch.float64)
    for _ in range(200):
        v = torch.nn.functional.conv_transpose2d(conv(v, weight, padding=1), weight, padding=1)
        v = v / v.norm()
    attained = float(conv(v, weight, padding=1).norm())
    assert estimate < attained <= block.inner.bound(weight)


def test_kept_bounds_are_those_of_the_weights_held_now() -> None:
    """Also of equal layers, each of which counts, and of weights that were written behind torch."""
    inner = Dense(3, 3, hidden=3, depth=1, zero=False)
    for layer in inner.layers:
        layer.weight.data.copy_(2 * torch.eye(3))  # type: ignore[union-attr, operator]
    assert inner.lipschitz() == pytest.approx(4)
    assert inner.lipschitz() == pytest.approx(4)
    inner.layers[0].weight.data.mul_(3)  # type: ignore[union-attr, operator]
    assert inner.lipschitz() == pytest.approx(12)


def test_bounds_outside_the_unit_interval_are_refused() -> None:
    for bound in (0.0, 1.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            ResidualBlock(3, bound=bound)


# ---- linear blocks ----------------------------------------------------------------------------


def test_orthogonal_filters_are_a_strided_convolution_and_an_isometry() -> None:
    block = made("orthogonal", "features")
    assert isinstance(block, OrthogonalDownsampling)
    x = inputs("features")
    y = block(x)[0]
    plain = torch.nn.functional.conv2d(x, block.filters(), stride=2)
    torch.testing.assert_close(y, plain, atol=1e-13, rtol=0)
    assert float(y.norm()) == pytest.approx(float(x.norm()), rel=1e-12)
    assert block.check().keeps == {INVERTIBLE, VOLUME, NORM}
    assert NORM in block.float().check().keeps
    with pytest.raises(ValueError, match="even sides"):
        block(torch.zeros(1, 4, 3, 4))


def test_filters_that_are_not_orthogonal_claim_no_isometry() -> None:
    block = OrthogonalDownsampling(2).double()
    torch.nn.utils.parametrize.remove_parametrizations(block.mixing, "weight")
    with torch.no_grad():
        block.mixing.weight.mul_(1.001)
    assert block.check().keeps == {INVERTIBLE}
    assert round_trip_error(block, points("features", 2)[..., :2, :]) > 1e-4


def test_mixing_starts_at_a_rotation_and_has_a_lower_constant() -> None:
    held = ChannelMixing(5).double().check()
    assert held.lipschitz == pytest.approx(1, abs=1e-6)
    assert held.lower == pytest.approx(1, abs=1e-6)
    singular = ChannelMixing(3).double()
    with torch.no_grad():
        singular.log_scales[0] = -60.0
    assert singular.check().lower == 0
    assert INVERTIBLE in singular.check().keeps


def test_a_scale_that_underflowed_is_no_bijection() -> None:
    mixing = ChannelMixing(4)
    with torch.no_grad():
        mixing.log_scales[0] = -100.0
    assert mixing.factors()[1].diagonal()[0] != 0  # twin: tiny in float32, and not zero
    assert INVERTIBLE in mixing.check().keeps
    with torch.no_grad():
        mixing.log_scales[0] = -200.0
    assert mixing.factors()[1].diagonal()[0] == 0
    assert INVERTIBLE not in mixing.check().keeps
    assert INVERTIBLE in mixing.double().check().keeps


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_of_weights_that_are_no_numbers_nothing_is_proven(
    name: str, kind: str, broken: float
) -> None:
    """Biases among them, which no constant looks at."""
    count = len(list(made(name, kind).parameters()))
    for number in range(count):
        block = made(name, kind)
        assert block.check().keeps
        [*block.parameters()][number].data.view(-1)[-1] = broken
        if name == "mixing" and number > 0:  # the triangles hold what they do not use
            continue
        held = block.check()
        assert not held.holds
        assert not held.keeps


def test_an_inverse_of_what_is_no_number_ends() -> None:
    block = made("residual", "vectors")
    assert isinstance(block, ResidualBlock)
    y = inputs("vectors")
    assert torch.isfinite(block.inverse(y)).all()
    for broken in (torch.nan, torch.inf):
        y[0, 0] = broken
        with pytest.raises(InputError, match="not finite"):
            block.inverse(y)
