"""Linear maps of pictures at their borders, each with its exact transpose.

Padding, symmetric extension and a high-pass filter, for pictures of any size. Gradients of energies
are put together from the transposes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def highpass(x: Tensor) -> Tensor:
    """H x = x − S x; S is the binomial average over the neighbours inside the picture: H 1 = 0."""
    return x - _average(x) / _weights(x)


def highpass_transposed(g: Tensor) -> Tensor:
    return g - _average(g / _weights(g))


def pad_to(x: Tensor, multiple: int) -> Tensor:
    """Repeats the last row and column until both sides are multiples of `multiple`."""
    height, width = (-x.shape[-2]) % multiple, (-x.shape[-1]) % multiple
    return F.pad(x, (0, width, 0, height), mode="replicate") if height or width else x


def pad_to_transposed(g: Tensor, height: int, width: int) -> Tensor:
    """The transpose of `pad_to` for a picture of height × width."""
    if g.shape[-1] > width:
        last = g[..., width - 1 :].sum(-1, keepdim=True)
        g = torch.cat((g[..., : width - 1], last), -1)
    if g.shape[-2] > height:
        last = g[..., height - 1 :, :].sum(-2, keepdim=True)
        g = torch.cat((g[..., : height - 1, :], last), -2)
    return g


def extend(x: Tensor, reach: int) -> Tensor:
    """The half-sample symmetric extension by `reach` pixels on every side."""
    for dim in (-1, -2):
        for n in _reflections(x.shape[dim], reach):
            first, last = x.narrow(dim, 0, n), x.narrow(dim, x.shape[dim] - n, n)
            x = torch.cat((first.flip(dim), x, last.flip(dim)), dim)
    return x


def extend_transposed(g: Tensor, reach: int) -> Tensor:
    """The transpose of `extend`."""
    for dim in (-2, -1):
        for n in reversed(_reflections(g.shape[dim] - 2 * reach, reach)):
            size = g.shape[dim] - 2 * n
            first = _zeros_around(g.narrow(dim, 0, n).flip(dim), dim, 0, size - n)
            last = _zeros_around(g.narrow(dim, n + size, n).flip(dim), dim, size - n, 0)
            g = g.narrow(dim, n, size) + first + last
    return g


def _average(x: Tensor) -> Tensor:
    """The separable average with weights 1/4, 1/2, 1/4 and zeros around; self-adjoint."""
    p = F.pad(x, (1, 1, 0, 0))
    x = 0.5 * x + 0.25 * (p[..., :-2] + p[..., 2:])
    p = F.pad(x, (0, 0, 1, 1))
    return 0.5 * x + 0.25 * (p[..., :-2, :] + p[..., 2:, :])


def _weights(x: Tensor) -> Tensor:
    """The average of ones, (H, W)."""
    rows, columns = (_inside(n, x) for n in x.shape[-2:])
    return rows[:, None] * columns[None, :]


def _inside(n: int, like: Tensor) -> Tensor:
    edge = torch.arange(n, device=like.device)
    ones = torch.ones(n, dtype=like.dtype, device=like.device)
    # A comparison times a number would be of torch's default type.
    return ones - 0.25 * (edge == 0).to(ones) - 0.25 * (edge == n - 1).to(ones)


def _reflections(size: int, reach: int) -> list[int]:
    """How far each reflection goes: a side that is shorter than the reach is reflected again."""
    found = []
    while reach:
        n = min(size, reach)
        found.append(n)
        size, reach = size + 2 * n, reach - n
    return found


def _zeros_around(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    return F.pad(x, (before, after) if dim == -1 else (0, 0, before, after))
