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
# Steps below this share of the picture are not followed: float32.
ROUNDING = 1e-5
# An orbit whose norm has grown by this factor has left for good.
LOST = 1e4


@dataclass(frozen=True, eq=False)
class Orbit:
    """Of a batch of pictures under one map.

    Attributes:
        applied: k of the recorded entries, at most `SHOWN`; ends where the orbit is lost.
        norms: ‖x_k‖/‖x_0‖ over the batch.
        psnr: mean PSNR in dB against the clean pictures, clipped to [0, 1].
        steps: ‖x_k − x_{k−1}‖/‖x_0‖.
        pictures: x_k of the first picture of the batch.
        quotient: the largest ‖D(x_k) − D(x_{k−1})‖/‖x_k − x_{k−1}‖ of one picture on the way.
        lost: k where the norm exceeded `LOST` times the first or was no number, else None.
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
    x, first, before = y, float(y.norm()), None
    norms, psnr, steps, pictures = [], [], [], []
    applied: list[int] = []
    quotient, lost = 0.0, None
    for k in range(1, applications + 1):
        after = apply(x)
        moved = (after - x).flatten(1).norm(dim=1)
        if before is not None:
            # Where a step is rounding, so is its quotient with the next one.
            counts = before > ROUNDING * first
            quotient = max(quotient, float((moved / before)[counts].amax()) if counts.any() else 0)
        x, before = after, moved
        size = float(x.norm()) / first
        if not math.isfinite(size) or size > LOST:
            lost = k
            break
        if k in SHOWN:
            applied.append(k)
            norms.append(size)
            steps.append(float(moved.norm()) / first)
            error = (x.clamp(0, 1) - clean).square().mean((1, 2, 3))
            psnr.append(float((-10 * error.log10()).mean()))
            pictures.append(x[:1].clone())
    return Orbit(applied, norms, psnr, steps, pictures, quotient, lost)
