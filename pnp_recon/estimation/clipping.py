"""Pixels at the end of what their file can hold: the light was more, or less, and nobody knows how.

y = A x is not true of them, nor is it of a picture in [0, 1] that is to explain their neighbours: a
lamp is brighter than white. They are to carry no weight, nor are those pixels beside them that only
such a lamp explains.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from operators.base import LinearOperator

# Above this share black (or white) is what the picture shows, as paper and studio backgrounds are,
# and no clipping; up to MANY white is, where `are_clipped` sees that it was more.
MOST, MANY = 0.05, 0.3
# Share of the pixels beside them that no picture in [0, 1] explains. With a white that was white at
# most 0.001 in 8 val pictures and 3 drawn ones, with lights of up to 4 times white 0.025 to 0.6.
LIT = 0.05
# As noise alone reaches the ends here and there, so many within a square make an area.
WINDOW, ENOUGH = 5, 5
# Standard deviations of the noise that a picture in [0, 1] may lie off a pixel near a clipped one,
# and least squares in that box: rounds and steps.
MISSED, ROUNDS, STEPS = 4.0, 3, 25
# Share of a pixel's light that makes it one which a clipped pixel has to do with.
REACH = 1e-3


def clipped_pixels(stored: Tensor, bit_depth: int, black: bool = True) -> Tensor | None:
    """Pixels that are clipped, and their neighbours, which interpolation has mixed with them.

    Args:
        stored: (1, C, H, W) in [0, 1], as read.
        bit_depth: how deep the file is; float files (32) are not clipped.
        black: zero is an end as well, as it is not of counts.

    Returns:
        (1, 1, H, W), boolean: a pixel is clipped in all channels where it is in one. Only
        areas count, see `ENOUGH`. None: there are none, or so many that they are no exception;
        `are_clipped` says what more than `MOST` are.
    """
    if bit_depth == 32:
        return None
    found = torch.zeros_like(stored[:, :1], dtype=torch.bool)
    ends = ((stored >= 1, MANY), (stored <= 0, MOST))
    for end, most in ends if black else ends[:1]:
        pixels = _areas(end).any(1, keepdim=True)
        if float(pixels.float().mean()) <= most:
            found = found | pixels
    if not bool(found.any()):
        return None
    return functional.max_pool2d(found.float(), 3, stride=1, padding=1) > 0


def are_clipped(A: LinearOperator, y: Tensor, clipped: Tensor, level: float) -> bool:
    """Are these pixels clipped, or is white what the picture shows?

    Where there are many, their surroundings tell. A white that is white is explained by a picture
    in [0, 1] together with all that lies beside it; around a light that was cut off none can be
    as steep. A heuristic, see `LIT`, and `outshone` for the arguments.
    """
    if float(clipped.float().mean()) <= MOST:
        return True
    out = clipped.to(y.device)
    beside = _near(A, y, out) & ~out
    step, x = 1 / A.norm_bound**2, A.initial_guess(y).clamp(0, 1)
    with torch.no_grad():
        for _ in range(ROUNDS):
            x = _in_box(A, y, torch.ones_like(out), x, step)
        missed = ((y - A.A(x)).abs() > MISSED * level).any(1, keepdim=True)
    return int((missed & beside).sum()) > LIT * int(beside.sum())


def _areas(pixels: Tensor) -> Tensor:
    """Those with enough of their kind around them: a spot, or the streak that a lamp draws."""
    around = functional.avg_pool2d(pixels.float(), WINDOW, 1, WINDOW // 2) * WINDOW**2
    return pixels & (around > ENOUGH - 0.5)


def outshone(A: LinearOperator, y: Tensor, clipped: Tensor, level: float) -> Tensor:
    """Clipped pixels, and those near them that no picture in [0, 1] explains.

    A lamp is brighter than white, and so is its halo in a blurred picture: where a picture in
    [0, 1] is to explain it, it rings far beyond. Least squares in the box, by a few dozen steps of
    FISTA (Beck & Teboulle 2009), stay below such pixels; they are left out, and it is solved
    again. A heuristic: in three lamp scenes made of two val pictures outside BSD68 it gained 0 to
    2 dB.

    Args:
        A: the blur, with a norm bound of about 1; its measurements are pictures.
        y: (1, C, H, W), what was measured.
        clipped: (1, 1, H, W), boolean.
        level: standard deviation of the noise.

    Returns:
        (1, 1, H, W), boolean; as `clipped` where a pixel is left out.
    """
    out = clipped.to(y.device)
    near = _near(A, y, out)
    step, x = 1 / A.norm_bound**2, A.initial_guess(y).clamp(0, 1)
    with torch.no_grad():
        for _ in range(ROUNDS):
            x = _in_box(A, y, ~out, x, step)
            missed = (y - A.A(x) > MISSED * level).any(1, keepdim=True) & near & ~out
            if not bool(missed.any()):
                break
            out = out | missed
    return out


def _near(A: LinearOperator, y: Tensor, out: Tensor) -> Tensor:
    """Whatever shares a pixel of the picture with one of these."""
    reached = (A.A_adjoint(out.to(y).expand_as(y)) > REACH).to(y)
    return (A.A(reached) > REACH).any(1, keepdim=True)


def _in_box(A: LinearOperator, y: Tensor, known: Tensor, x: Tensor, step: float) -> Tensor:
    ahead, t = x, 1.0
    for _ in range(STEPS):
        off = torch.where(known, A.A(ahead) - y, 0.0)
        new = (ahead - step * A.A_adjoint(off)).clamp(0, 1)
        following = (1 + (1 + 4 * t * t) ** 0.5) / 2
        ahead = new + (t - 1) / following * (new - x)
        x, t = new, following
    return x
