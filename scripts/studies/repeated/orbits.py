"""x ↦ D(x) ↦ D(D(x)) …: norms, quotients and PSNR along the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]

# Applications whose picture is recorded.
SHOWN = (1, 3, 10, 30, 100, 300, 1000)
# Where norm or distance have grown by this factor the orbit has left for good.
LOST = 1e4
# Size of the change whose growth is followed, relative to the picture; it is scaled back each time.
CHANGE = 1e-3


@dataclass(frozen=True, eq=False)
class Orbit:
    """Of a batch of pictures under one map.

    Attributes:
        applied: k of the recorded entries, at most `SHOWN`; ends where the orbit is lost.
        norms: ‖x_k‖/‖x_0‖ over the batch.
        psnr: mean PSNR in dB against the clean pictures, clipped to [0, 1].
        quotient: the largest ‖D(u) − D(x_k)‖/‖u − x_k‖ met on the way, u near x_k in the
            direction that has grown so far (one power step of the derivative an application).
        step: ‖x_k − x_{k−1}‖/‖x_0‖.
        pictures: x_k of the first picture of the batch.
        lost: k where norm exceeded `LOST` times the first or was no number, else None.
    """

    applied: list[int]
    norms: list[float]
    psnr: list[float]
    steps: list[float]
    pictures: list[Tensor]
    quotient: float
    lost: int | None


@torch.inference_mode()
def orbit(apply: Map, y: Tensor, clean: Tensor, applications: int = SHOWN[-1]) -> Orbit:
    """The orbit of the noisy pictures y (B, 1, H, W)."""
    x, first = y, float(y.norm())
    generator = torch.Generator().manual_seed(11)
    change = torch.randn(y.shape, generator=generator)
    found = Orbit([], [], [], [], [], 0.0, None)
    quotient, lost = 0.0, None
    for k in range(1, applications + 1):
        change = change * (CHANGE * first / change.norm())
        after, moved = apply(torch.cat([x, x + change])).chunk(2)
        grown = moved - after
        quotient = max(quotient, float(grown.norm() / change.norm()))
        step, x, change = float((after - x).norm()), after, grown
        size = float(x.norm()) / first
        if not math.isfinite(size) or size > LOST:
            lost = k
            break
        if k in SHOWN:
            found.applied.append(k)
            found.norms.append(size)
            found.steps.append(step / first)
            error = (x.clamp(0, 1) - clean).square().mean((1, 2, 3))
            found.psnr.append(float((-10 * error.log10()).mean()))
            found.pictures.append(x[:1].clone())
    return Orbit(
        found.applied, found.norms, found.psnr, found.steps, found.pictures, quotient, lost
    )
