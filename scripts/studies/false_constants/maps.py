"""Denoisers that are 0.99-averaged, and ways to make each expand by a known amount, somewhere.

Along the range of an orthogonal projection Π a map N of pictures is replaced by 1 + e times the
identity, about mid-grey c,

    N_e(x) = c + (I − Π)(N(c + (I − Π)(x − c)) − c) + (1 + e) Π(x − c),

which is averaged like N for e = 0 (two blocks, one of which is the identity) and stretches every d
in the range of Π by exactly 1 + e: the declared constant is false by e, and nobody but the range
of Π knows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from pnp_recon.models.load import load_denoiser
from pnp_recon.proximal import TotalVariation, WaveletL1

Map = Callable[[Tensor], Tensor]

ALPHA, SIDE, LEVEL, GREY = 0.99, 48, 0.05, 0.5


@cache
def _shipped() -> Map:
    """The shipped network, relaxed until 0.99 is what is proven of it."""
    network = load_denoiser("euler_grey")
    weight = ALPHA / float(network.guarantee.averagedness or 1.0)
    return lambda x: x + weight * (network(x, LEVEL) - x)


def _average(x: Tensor) -> Tensor:
    """Half of identity and of the mean over 3 × 3 pixels, cyclic: firmly nonexpansive."""
    return 0.5 * (x + F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="circular"), 3, 1))


def _total_variation(x: Tensor) -> Tensor:
    return TotalVariation(1.0, max_iter=4000).prox(x, 0.2 * LEVEL, tol=1e-3)[0]


def _orthogonal(x: Tensor) -> Tensor:
    """Half of identity and of an orthogonal map: a shuffle of the pixels with signs."""
    generator = torch.Generator().manual_seed(0)
    count = x.shape[-2] * x.shape[-1]
    order = torch.randperm(count, generator=generator)
    signs = (1 - 2 * torch.randint(2, (count,), generator=generator)).to(x)
    turned = signs * (x - GREY).flatten(2)[..., order]
    return GREY + 0.5 * (x - GREY + turned.reshape(x.shape))


def _haar(x: Tensor) -> Tensor:
    return WaveletL1(1.0, "haar", 2).prox(x, LEVEL)[0]


BASES: dict[str, Map] = {
    "euler_grey": lambda x: _shipped()(x),
    "average": _average,
    "TV": _total_variation,
    "shuffle": _orthogonal,
    "Haar": _haar,
}


def _unit(d: Tensor) -> Tensor:
    return d / d.norm()


def _direction(smooth: bool, seed: int) -> Tensor:
    """A unit picture (1, 1, SIDE, SIDE)."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, 1, SIDE, SIDE, generator=generator)
    if not smooth:
        return _unit(noise)
    coarse = F.adaptive_avg_pool2d(noise, 4)
    return _unit(F.interpolate(coarse, SIDE, mode="bicubic", align_corners=False))


def _band(low: float, high: float) -> Map:
    """The projection onto frequencies from `low` to `high`, in cycles a pixel."""
    rows, columns = torch.fft.fftfreq(SIDE)[:, None], torch.fft.rfftfreq(SIDE)
    radius = (rows.square() + columns.square()).sqrt()
    kept = (radius >= low) & (radius <= high)
    return lambda d: torch.fft.irfft2(kept * torch.fft.rfft2(d), s=(SIDE, SIDE))


def _along(u: Tensor) -> Map:
    return lambda d: u * (u * d).sum((1, 2, 3), keepdim=True)


def _patch(seed: int) -> Map:
    generator = torch.Generator().manual_seed(seed)
    top, left = torch.randint(SIDE - 8, (2,), generator=generator).tolist()
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., top : top + 8, left : left + 8] = 1
    return lambda d: mask * d


def _expanded(base: Map, onto: Map, grown: Map) -> Map:
    """N_e for the projection `onto`; `grown` takes its place in the last term."""

    def function(x: Tensor) -> Tensor:
        d = x - GREY
        inside = onto(d)
        rest = base(GREY + d - inside) - GREY
        return GREY + rest - onto(rest) + grown(inside)

    return function


def _global(base: Map, size: float, seed: int) -> Map:
    return lambda x: GREY + (1 + size) * (base(x) - GREY)


def _blocks(projection: Callable[[int], Map]) -> Callable[[Map, float, int], Map]:
    def made(base: Map, size: float, seed: int) -> Map:
        return _expanded(base, projection(seed), lambda d: (1 + size) * d)

    return made


def _turned(base: Map, size: float, seed: int) -> Map:
    """What lies along v is written along u: the subspace of N's own images never sees it grow."""
    u, v = _direction(True, seed), _direction(False, seed + 1)
    v = _unit(v - u * (u * v).sum())

    def function(x: Tensor) -> Tensor:
        d = x - GREY
        along = (v * d).sum((1, 2, 3), keepdim=True)
        rest = base(GREY + d - v * along) - GREY
        rest = rest - u * (u * rest).sum((1, 2, 3), keepdim=True)
        return GREY + rest + (1 + size) * u * along

    return function


def _distant(base: Map, size: float, seed: int) -> Map:
    """Along a smooth direction, but only further from mid-grey than pictures get."""
    u = _direction(True, seed)
    start = 0.15 * SIDE

    def grown(d: Tensor) -> Tensor:
        along = (u * d).sum((1, 2, 3), keepdim=True)
        return u * (along + size * along.sign() * (along.abs() - start).clamp_min(0))

    return _expanded(base, _along(u), grown)


# How each kind expands; a size of zero is a map that keeps its word, but for "turned".
KINDS: dict[str, Callable[[Map, float, int], Map]] = {
    "global": _global,
    "high frequencies": _blocks(lambda seed: _band(0.35, 1.0)),
    "low frequencies": _blocks(lambda seed: _band(0.0, 0.06)),
    "smooth direction": _blocks(lambda seed: _along(_direction(True, seed))),
    "noise direction": _blocks(lambda seed: _along(_direction(False, seed))),
    "patch": _blocks(_patch),
    "turned": _turned,
    "distant": _distant,
}
