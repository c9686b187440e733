"""Convolutions a tap at a time are those of torch, and transposed where they say so."""

import pytest
import torch
import torch.nn.functional as F

from pnp_recon.networks.energies.convolutions import TOGETHER, convolve, convolve_transposed

# (B, C, H, W), outputs; the second is more than is summed at a time.
SHAPES = [((2, 3, 5, 8), 4), ((1, 2, TOGETHER // 64, 130), 3), ((1, 1, 1, 1), 1)]


def _draw(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.rand(shape, generator=generator, dtype=torch.float64) - 0.5


def _convolved(x: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return convolve(x, filters)


@pytest.mark.parametrize(("shape", "outputs"), SHAPES)
def test_they_are_those_of_torch(shape: tuple[int, ...], outputs: int) -> None:
    x, filters = _draw(*shape), _draw(outputs, shape[1], 3, 3)
    torch.testing.assert_close(_convolved(x, filters), F.conv2d(x, filters, padding=1))
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(_convolved(last, filters), _convolved(x, filters))


@pytest.mark.parametrize(("shape", "outputs"), SHAPES)
def test_the_transposed_one_is_the_transpose(shape: tuple[int, ...], outputs: int) -> None:
    x, filters = _draw(*shape), _draw(outputs, shape[1], 3, 3)
    g = _draw(shape[0], outputs, *shape[2:])
    with torch.no_grad():
        back = convolve_transposed(g, filters)
    left, right = (_convolved(x, filters) * g).sum(), (x * back).sum()
    torch.testing.assert_close(left, right)


def test_filters_that_are_not_turned_are_no_transpose() -> None:
    """The broken twin: the comparison above can fail."""
    x, filters, g = _draw(1, 2, 6, 7), _draw(3, 2, 3, 3), _draw(1, 3, 6, 7)
    back = _convolved(g, filters.transpose(0, 1))
    left, right = (_convolved(x, filters) * g).sum(), (x * back).sum()
    assert (left - right).abs() > 1e-3 * left.abs()


def test_what_is_differentiated_is_the_same() -> None:
    x, filters = _draw(1, 2, 6, 7), _draw(3, 2, 3, 3).requires_grad_()
    with_gradient = convolve(x, filters)
    with_gradient.sum().backward()
    assert filters.grad is not None
    torch.testing.assert_close(with_gradient.detach(), _convolved(x, filters.detach()))
