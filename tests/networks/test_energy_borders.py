"""Maps at the border of a picture: transposes are transposes, extensions symmetric."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pnp_recon.networks.energies.borders import (
    extend,
    extend_transposed,
    highpass,
    highpass_transposed,
    pad_to,
    pad_to_transposed,
)


@pytest.mark.parametrize("size", [(13, 18), (7, 3), (1, 1)])
def test_transposes_are_transposes(size: tuple[int, int]) -> None:
    x = torch.randn(1, 2, *size, dtype=torch.float64)
    maps: list[tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = [
        (highpass, highpass_transposed),
        (lambda z: extend(z, 6), lambda g: extend_transposed(g, 6)),
        (lambda z: pad_to(z, 8), lambda g: pad_to_transposed(g, *size)),
    ]
    for forward, transposed in maps:
        y = torch.randn_like(forward(x))
        back = transposed(y)
        assert back.shape == x.shape
        assert float((forward(x) * y).sum()) == pytest.approx(float((x * back).sum()), abs=1e-9)
    if min(size) > 1:  # the twin: the high-pass is not symmetric
        y = torch.randn_like(x)
        assert float((highpass(x) * y).sum()) != pytest.approx(float((x * highpass(y)).sum()))


def test_the_extension_is_symmetric_and_periodic() -> None:
    expected = torch.tensor([1.0, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1])
    assert torch.equal(extend(torch.arange(3.0)[None, None, None], 5)[0, 0, 0], expected)
    assert torch.equal(highpass(torch.ones(1, 1, 4, 7)), torch.zeros(1, 1, 4, 7))
