"""Which functions of pictures count as smooth and definable, and which operations are named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pnp_recon.priors.energies.smooth import rough_operations

PICTURE = torch.linspace(-1, 1, 64, dtype=torch.float64).view(1, 1, 8, 8)


def total(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: total(x.square()),
        lambda x: total((x * x + 1e-3).sqrt()),
        lambda x: total((1 + x**2).log()),
        lambda x: total(x**2 / (1 + x**2)),
        lambda x: total(F.silu(x)),
        lambda x: total(F.softplus(x)),
        lambda x: total(F.elu(x)),
        lambda x: total(F.gelu(x)),
        lambda x: total(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), x.new_ones(1, 1, 3, 3))),
        lambda x: total(torch.fft.rfft2(x).real.square()),
        lambda x: torch.logsumexp(x.flatten(1), 1),
    ],
)
def test_smooth_functions_pass(function: Callable[[Tensor], Tensor]) -> None:
    assert rough_operations(function, PICTURE) == ()


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (F.relu, "relu"),
        (torch.abs, "abs"),
        (lambda x: x.clamp(0, 1), "clamp"),
        (lambda x: torch.maximum(x, -x), "maximum"),
        (lambda x: torch.where(x > 0, x, 0.1 * x), "where"),
        (lambda x: x.sort(-1).values, "sort"),
        (torch.round, "round"),
        (lambda x: F.elu(x, alpha=2.0), "elu"),
        (F.selu, "elu"),
        (lambda x: torch.ops.aten.elu(x, alpha=2.0), "elu"),
        (lambda x: torch.ops.aten.elu(x, 1.0, 1.0, 3.0), "elu"),
        (lambda x: x.long().double(), "_to_copy"),
        (lambda x: F.max_pool2d(x, 2), "max_pool2d"),
        (torch.sqrt, "sqrt"),
        (torch.log, "log"),
        (lambda x: (x - x[..., :1]).reciprocal(), "reciprocal"),
        (lambda x: x / (x - x[..., :1]), "div"),
        (lambda x: x**1.5, "pow"),
        (lambda x: x**-1, "pow"),
        (lambda x: x.norm(dim=-1), "norm"),
    ],
)
def test_what_bends_sharply_is_named(function: Callable[[Tensor], Tensor], name: str) -> None:
    found = rough_operations(function, PICTURE)
    assert found
    assert any(name in word for word in found)


def test_a_function_outside_of_torch_is_not_believed() -> None:
    def elsewhere(x: Tensor) -> list[float]:
        return [1.0]

    assert rough_operations(elsewhere, PICTURE) == ("no operation of torch at all",)  # type: ignore[arg-type]
