"""What measurements have to be before anything is computed from them; in one place for all callers.

Each check says what was found, what was expected and what to do. What is looked at is in
`looked_at`: an operator that leaves entries of the data out of account may say so there.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.errors import OperatorError
from pnp_recon.errors import InputError

FLOATS = (torch.float32, torch.float64)
# A share of this much of the data lies beyond what pictures can give before a wrong range is
# suspected: single outliers, hot pixels or dead detectors do not count.
OUTLIERS = 0.01
# The data of a picture in another range: beyond so many times the brightest picture, and beyond
# noise of so many standard deviations.
RANGE_FACTOR = 3.0
NOISE_FACTOR = 3.0
# What one stands for in pictures of the usual depths.
DEPTHS = (255, 4095, 65535)


def checked_tensor(what: str, values: object, batch: int | None, shape: tuple[int, ...]) -> Tensor:
    """`values` as a floating tensor (B, *shape), B ≥ 1.

    Args:
        what: what a message calls it.
        values: what was given.
        batch: B, or None for any.
        shape: that of one picture of the batch.

    Raises:
        InputError: it is something else.
    """
    expected = f"({', '.join(('B' if batch is None else str(batch), *map(str, shape)))})"
    if not isinstance(values, Tensor):
        hint = f": torch.from_numpy({what}) makes one" if isinstance(values, np.ndarray) else ""
        found = f"{what} is a {type(values).__name__}"
        raise InputError(f"{found}; expected a torch tensor {expected}{hint}")
    shaped = tuple(values.shape)
    if values.dtype not in FLOATS:
        hint = "divide by the largest value of the format, too" if _is_whole(values) else ""
        hint = f" ({hint})" if hint else ""
        raise InputError(
            f"{what} has dtype {values.dtype}; convert it to torch.float32 or torch.float64{hint}"
        )
    if values.layout is not torch.strided or values.is_meta:
        raise InputError(f"{what} is a {values.layout} tensor on {values.device}; make it dense")
    if shaped == shape:
        raise InputError(
            f"{what} has the shape {shaped}, without a batch; expected {expected}: add a "
            f"dimension, as {what}[None] does"
        )
    if _rolled(shaped, shape):
        how = "[None, None]" if len(shaped) == 2 else ".permute(2, 0, 1)[None]"
        raise InputError(
            f"{what} has the shape {shaped}; expected {expected}: channels come first, as "
            f"{what}{how} makes it of a tensor"
        )
    if shaped[1:] != shape or (batch is not None and shaped[0] != batch):
        raise InputError(f"{what} has the shape {shaped}; expected {expected}")
    if not shaped[0]:
        raise InputError(f"{what} has the shape {shaped}: it holds no picture; give at least one")
    return values


def _rolled(shaped: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Is it a picture (H, W) or (H, W, C), as other libraries have it?"""
    if len(shape) != 3 or len(shaped) not in (2, 3):
        return False
    return shaped == (shape[1:] if len(shaped) == 2 and shape[0] == 1 else (*shape[1:], shape[0]))


def _is_whole(values: Tensor) -> bool:
    return not (values.dtype.is_floating_point or values.dtype.is_complex)


def looked_at(A: LinearOperator, y: Tensor) -> Tensor:
    """The data that A looks at, zero elsewhere; all of them for an operator that says nothing.

    An operator says so by an attribute `observed`, a mask that broadcasts to its measurements.
    """
    mask = getattr(A, "observed", None)
    return y if mask is None else torch.where(mask.to(y.device), y, 0.0)


def check_finite(what: str, values: Tensor) -> None:
    """Refuses NaN and infinities, which an operator may leave out of data alone.

    Raises:
        InputError: how many there are, and where the first one is.
    """
    broken = ~torch.isfinite(values)
    if not bool(broken.any()):
        return
    first = tuple(broken.nonzero()[0].tolist())
    left_out = (
        f", or leave them out: with known = torch.isfinite({what}) it is torch.where(known, "
        f"{what}, 0), and A is operators.Inpainting(known[0], A.measurement_shape) @ A"
    )
    raise InputError(
        f"{what} is not finite in {int(broken.sum())} of {values.numel()} entries, the first one "
        f"is {float(values[first])} at {first}; replace them{left_out if what == 'y' else ''}"
    )


def check_maps(A: LinearOperator, y: Tensor) -> None:
    """Applies an operator that is not the package's once, and looks at what comes out.

    Raises:
        OperatorError: a map of it gives the wrong shape, type or place, or what is not finite.
    """
    if type(A).__module__.startswith("operators."):
        return
    grey = torch.full((y.shape[0], *A.image_shape), 0.5, dtype=y.dtype, device=y.device)
    pairs = (
        ("A", A.A, grey, (y.shape[0], *A.measurement_shape)),
        ("A_adjoint", A.A_adjoint, torch.ones_like(y), tuple(grey.shape)),
    )
    for name, map_, given, shape in pairs:
        with torch.no_grad():
            found = map_(given)
        if not isinstance(found, Tensor):
            wrong = f"is a {type(found).__name__}; expected a tensor"
        elif tuple(found.shape) != shape:
            wrong = f"has the shape {tuple(found.shape)}; expected {shape}"
        elif found.dtype != y.dtype or found.device != y.device:
            wrong = (
                f"is {found.dtype} on {found.device}; expected what was given to it, {y.dtype} on "
                f"{y.device}"
            )
        elif not bool(torch.isfinite(found).all()):
            wrong = "is not finite"
        else:
            continue
        raise OperatorError(f"{name} of operator '{A.name}' {wrong}, for finite data: correct it")


def check_norm(A: LinearOperator, y: Tensor) -> None:
    """Refuses an operator whose ‖A‖² is no number of the precision any more, and not zero either.

    Raises:
        InputError: with the factor that helps.
    """
    if not A.has_norm_bound:
        return
    bound, limits = A.norm_bound, torch.finfo(y.dtype)
    if bound and not math.sqrt(limits.tiny) <= bound <= math.sqrt(limits.max):
        raise InputError(
            f"operator '{A.name}' has a norm of {bound:.3g}, whose square is no number of "
            f"{y.dtype}; divide the operator and the data by it"
        )


def check_range(A: LinearOperator, y: Tensor, low: float, high: float, noise: float | None) -> None:
    """Refuses data that no picture in [low, high] comes near, such as bytes that were not divided.

    Only under operators with entries ≥ 0, whose brightest data are those of the brightest picture.

    Args:
        A, y: operator and data.
        low, high: where pictures lie; finite.
        noise: standard deviation in y, where it is known.

    Raises:
        InputError: saying how far the data reach.
    """
    if not A.nonnegative or not (math.isfinite(low) and math.isfinite(high)):
        return
    with torch.no_grad():
        ones = torch.ones(1, *A.image_shape, dtype=y.dtype, device=y.device)
        sums = A.A(ones).abs()
        peak = float(sums.max()) * max(abs(low), abs(high))
        seen = torch.where(sums > 0, y, 0.0).abs().flatten(1)
        keep = max(1, math.ceil((1 - OUTLIERS) * seen.shape[1]))
        reach = float(seen.kthvalue(keep, 1).values.max())
    limit = RANGE_FACTOR * peak + NOISE_FACTOR * (noise or 0.0)
    if not 0 < limit < reach:
        return
    divisor = next((depth for depth in DEPTHS if reach / peak <= depth), DEPTHS[-1])
    raise InputError(
        f"the measurements reach {reach:.4g}, pictures in [{low:g}, {high:g}] give at most "
        f"{peak:.4g} under operator '{A.name}': divide them by what stands for 1, as by {divisor}, "
        "or give a fidelity of your own for data in other units"
    )
