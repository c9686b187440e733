"""Tiles: the same map as without them, from an exact receptive field, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from laws.networks import WIDTHS, picture, small_net
from pnp_recon import guarantees
from pnp_recon.errors import InputError
from pnp_recon.networks.euler import EulerNet
from pnp_recon.priors import tiling
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.tiling import Tileable, tiled, tiled_network
from support.euler_groups import tiny_net

LEVEL = 25 / 255
# Even, odd, oblong, narrower than a halo, and a multiple of the tile.
SIZES = [(48, 64), (45, 70), (71, 33), (50, 41), (3, 90), (32, 32)]
ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-13}


def nets() -> dict[str, EulerNet]:
    ordinary = {f"C1, {lifting}": small_net("relu", lifting) for lifting in WIDTHS}
    return {
        **ordinary,
        "C1, colour": small_net("spline", "haar", channels=3),
        "C1, 5×5": small_net("clip", "unshuffle", kernel_size=5, blocks=1),
        "D4, grey": tiny_net("D4"),
        "D4, colour": tiny_net("D4", channels=3, width=24),
        "C4, grey": tiny_net("C4", activation="relu"),
    }


NETS = nets()


def difference(net: EulerNet, size: tuple[int, int], dtype: torch.dtype, tile: int = 16) -> float:
    x = picture(2, net.config.channels, *size).to(dtype)
    net = net.to(dtype)
    found = float((tiled_network(net, x, LEVEL, tile) - net(x, LEVEL)).abs().max())
    net.double()
    return found


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", NETS)
def test_tiled_is_untiled(name: str, size: tuple[int, int]) -> None:
    net = NETS[name].requires_grad_(False)
    assert isinstance(net, Tileable)
    for dtype, rounding in ROUNDING.items():
        assert difference(net, size, dtype) < rounding
    assert difference(net, size, torch.float64, tile=13) < 1e-13  # rounded up to the alignment


@pytest.mark.parametrize("name", ["C1, haar", "C1, haar2", "D4, grey"])
def test_a_halo_below_the_receptive_field_is_caught(name: str) -> None:
    net = NETS[name].requires_grad_(False)
    x, alignment = picture(1, 1, 48, 64), net.alignment
    whole = net(x, LEVEL)

    def error(halo: int) -> float:
        out = tiled(net, x, LEVEL, tile=16, halo=halo, alignment=alignment)
        return float((out - whole).abs().max())

    assert error(net.halo) < 1e-13
    assert error(net.halo - alignment) > 1e-9
    assert error(0) > 1e-4


def test_a_tile_that_is_not_aligned_is_caught() -> None:
    net = NETS["C1, haar"].requires_grad_(False)
    x = picture(1, 1, 48, 64)
    out = tiled(net, x, LEVEL, tile=15, halo=net.halo + 1, alignment=1)
    assert float((out - net(x, LEVEL)).abs().max()) > 1e-3


def test_padding_inside_the_tiles_is_caught() -> None:
    """A D4 net averages over paddings of odd sides; done for each tile that is another map."""
    net = NETS["D4, grey"].requires_grad_(False)
    x = picture(1, 1, 47, 64)
    out = tiled(net, x, LEVEL, tile=16, halo=net.halo, alignment=net.alignment)
    assert float((out - net(x, LEVEL)).abs().max()) > 1e-4


@pytest.mark.parametrize("name", NETS)
def test_the_halo_is_the_receptive_field(name: str) -> None:
    """Nothing outside it matters, and the outermost block within it does, on all four sides."""
    net = NETS[name].requires_grad_(False)
    side, alignment = net.alignment, net.halo // net.alignment
    size = (2 * net.halo // side + 5) * side
    x = picture(1, net.config.channels, size, size)
    whole, centre = net(x, LEVEL), (net.halo // side + 2) * side

    def change(rows: int, columns: int) -> float:
        """Of the central block, when the block so many blocks away is replaced."""
        y, top, left = x.clone(), centre + rows * side, centre + columns * side
        y[..., top : top + side, left : left + side] += 0.3
        block = slice(centre, centre + side)
        return float((net(y, LEVEL) - whole)[..., block, block].abs().max())

    for sign in (-1, 1):
        assert change(sign * (alignment + 1), 0) == 0
        assert change(0, sign * (alignment + 1)) == 0
        assert change(sign * alignment, 0) > 0
        assert change(0, sign * alignment) > 0


@contextmanager
def largest_tensor(net: nn.Module) -> Iterator[list[int]]:
    """The number of entries of the largest tensor that goes into or out of a module of the net."""
    found = [0]

    def look(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        tensors = [item for item in (*inputs, output) if isinstance(item, Tensor)]
        found[0] = max([found[0], *(tensor.numel() for tensor in tensors)])

    handles = [module.register_forward_hook(look) for module in net.modules()]
    yield found
    for handle in handles:
        handle.remove()


def test_activations_are_those_of_a_tile() -> None:
    net = NETS["C1, haar"].requires_grad_(False)
    tile, features = 32, max(net.config.width, net.config.hidden)
    bound = features * ((tile + 2 * net.halo) // net.alignment) ** 2
    found = []
    for size in ((96, 160), (192, 320)):
        with largest_tensor(net) as largest:
            tiled_network(net, picture(3, 1, *size), LEVEL, tile)
        found.append(largest[0])
    assert found[0] == found[1] <= bound
    with largest_tensor(net) as largest:
        net(picture(3, 1, 192, 320), LEVEL)
    assert largest[0] > 10 * bound


# ---- Denoiser ----------------------------------------------------------------------------------


def denoiser(net: EulerNet, **options: object) -> Denoiser:
    return Denoiser(net, "net", channels=net.config.channels, **options)  # type: ignore[arg-type]


def test_a_denoiser_tiles_large_pictures_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    net = NETS["C1, haar"].requires_grad_(False)
    x = picture(1, 3, 41, 60)  # a grey denoiser on colour
    whole = denoiser(net, tile=None)(x, LEVEL)
    monkeypatch.setattr("pnp_recon.priors.denoiser.TILE", 16)
    with largest_tensor(net) as largest:
        denoiser(net)(x, LEVEL)
        below = largest[0]
        monkeypatch.setattr("pnp_recon.priors.denoiser.TILING_PIXELS", 41 * 60 - 1)
        largest[0] = 0
        out = denoiser(net)(x, LEVEL)
        assert largest[0] < below / 3
    torch.testing.assert_close(out, whole, rtol=0, atol=1e-13)
    torch.testing.assert_close(denoiser(net, tile=20)(x, LEVEL), whole, rtol=0, atol=1e-13)
    assert denoiser(net).guarantee == denoiser(net, tile=16).guarantee


def test_two_megapixels_of_every_shape_start_tiling() -> None:
    assert 1920 * 1080 > tiling.TILING_PIXELS > 1440 * 1080


def test_gradients_go_through_tiles() -> None:
    net = NETS["C1, haar"].requires_grad_(False)
    x = picture(1, 1, 33, 40).requires_grad_()
    (whole,) = torch.autograd.grad(net(x, LEVEL).square().sum(), x)
    (parts,) = torch.autograd.grad(tiled_network(net, x, LEVEL, 16).square().sum(), x)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-12)


def test_refusals() -> None:
    x = picture(1, 1, 8, 8)
    with pytest.raises(InputError, match="tile 0, halo 2, alignment 1"):
        tiled(lambda x, sigma: x, x, LEVEL, tile=0, halo=2)
    with pytest.raises(InputError, match="does not tell its receptive field"):
        Denoiser(lambda x, sigma: x, "identity", guarantees.none("test"), tile=64)
