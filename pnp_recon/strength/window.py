"""A window of large data in which a strength is tried instead of in all of them.

What a camera saw in a window is the same convolution with borders that are not seen, whatever lay
beyond the border of the whole: a window is an exact problem of its own. A strength is one number,
and a window as textured as the whole asks for about the same one. That is measured
(docs/results/strength_windows.md), not proven.
"""

from __future__ import annotations

from dataclasses import replace
from types import EllipsisType

import torch.nn.functional as F
from torch import Tensor

from operators import Channelwise, Convolution, LinearOperator
from pnp_recon.fidelity import Fidelity, LeastSquares, WeightedLeastSquares
from pnp_recon.problems.problem import Problem

# Side of the window, and of the steps between those it is chosen from.
SIDE, STEP = 192, 16
# Up to so many times its pixels all data are taken.
LARGE = 2


def window(problem: Problem) -> Problem | None:
    """The window of a large convolution that is about as textured as all of it, or None.

    A start of the caller's keeps the data whole, as does an operator or fidelity of another kind.
    """
    y = problem.y
    height, width = y.shape[-2:]
    if min(height, width) < SIDE or height * width <= LARGE * SIDE**2:
        return None
    A = _window_of(problem.A)
    if A is None or problem.start is not None:
        return None
    place = _typical(y)
    if problem.fidelity is None:
        return Problem(A, y[place], problem.noise(), ridge=problem.ridge)
    fidelity = _fidelity(problem.fidelity, A, place)
    if fidelity is None:
        return None
    return Problem(A, fidelity.y, problem.noise_level, fidelity=fidelity, ridge=problem.ridge)


def _typical(y: Tensor) -> tuple[EllipsisType, slice, slice]:
    """Where the mean squared slope is nearest to that of all data, in its logarithm."""
    across, down = y[..., :-1, 1:] - y[..., :-1, :-1], y[..., 1:, :-1] - y[..., :-1, :-1]
    slopes = (across.square() + down.square()).mean((0, 1))[None]
    means = F.avg_pool2d(slopes, SIDE - 1, STEP)[0]
    far = (means.clamp_min(1e-12).log() - slopes.mean().clamp_min(1e-12).log()).abs()
    row, column = divmod(int(far.argmin()), far.shape[1])
    top, left = STEP * row, STEP * column
    return (..., slice(top, top + SIDE), slice(left, left + SIDE))


def _window_of(A: LinearOperator) -> LinearOperator | None:
    """The operator of a window, or None."""
    if type(A) is Channelwise:
        parts = [_window_of(part) for part in A.parts]
        known = [part for part in parts if part is not None]
        return Channelwise(known) if len(known) == len(parts) else None
    if type(A) is not Convolution:
        return None
    rows, columns = (SIDE + taps - 1 for taps in A.kernel.shape)
    shape = (A.image_shape[0], rows, columns)
    return Convolution(A.kernel, shape, "valid", center=A.center, method=A.method)


def _fidelity(
    fidelity: Fidelity, A: LinearOperator, place: tuple[EllipsisType, slice, slice]
) -> Fidelity | None:
    """The fidelity in the window; None for one that is not known, or where it holds no data."""
    seen = fidelity.y[place]
    if type(fidelity) is LeastSquares:
        return replace(fidelity, A=A, y=seen)
    if type(fidelity) is not WeightedLeastSquares:
        return None
    weights = fidelity.weights[place]
    # Where much is clipped, the window may lie in it.
    if not float((weights > 0).float().mean()) > 0.5 * float((fidelity.weights > 0).float().mean()):
        return None
    return replace(fidelity, A=A, y=seen, weights=weights)
