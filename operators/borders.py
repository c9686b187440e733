"""How an image continues beyond its edge, and the exact transpose of that continuation.

Everything is separable, so one axis at a time is described by a small value, `Axis`. The names are
torch's; scipy.ndimage calls the same rules wrap, nearest, mirror and constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from operators.errors import OperatorError
from operators.norms import LARGEST, SMALLEST

Boundary = Literal["circular", "replicate", "reflect", "constant", "valid"]
BOUNDARIES: tuple[Boundary, ...] = get_args(Boundary)


@dataclass(frozen=True)
class Axis:
    """One axis of a convolution: `length` pixels, a kernel of `taps` with its centre at `center`.

    Output i is sum over u of kernel[u] * image[i + center - u], so the image is needed from
    taps − 1 − center pixels before its start to `center` pixels after its end.
    """

    length: int
    taps: int
    center: int
    boundary: Boundary

    @property
    def before(self) -> int:
        return 0 if self.boundary == "valid" else self.taps - 1 - self.center

    @property
    def after(self) -> int:
        return 0 if self.boundary == "valid" else self.center

    @property
    def padded(self) -> int:
        """Length of the image with its continuation."""
        return self.length + self.before + self.after

    @property
    def outputs(self) -> int:
        return self.padded - self.taps + 1

    @property
    def seen(self) -> slice:
        """The pixels at which outputs lie, when the kernel's centre does."""
        first = self.taps - 1 - self.center if self.boundary == "valid" else 0
        return slice(first, first + self.outputs)

    @property
    def smallest_grid(self) -> int:
        """Shortest cyclic convolution that contains this one.

        Zeros need to be there once only, before the start or after the end. Of a padded image only
        the outputs are read, and wrap-around reaches none of them.
        """
        if self.boundary == "constant":
            return self.length + max(self.before, self.after)
        return self.padded

    @property
    def largest_multiplicity(self) -> int:
        """How often the continuation repeats a pixel at most: ‖Pad‖² along this axis.

        PadᵀPad is diagonal and holds these counts, because each padded pixel copies one pixel.
        """
        if self.boundary in ("constant", "valid"):
            return 1
        if self.boundary == "replicate":
            both = self.before + self.after if self.length == 1 else max(self.before, self.after)
            return 1 + both
        return 1 + (self.before > 0) + (self.after > 0)


def axes(
    kernel: Tensor,
    image_shape: Sequence[int],
    boundary: Boundary,
    center: tuple[int, int] | None = None,
) -> tuple[Axis, Axis]:
    """Rows and columns of the convolution of an image (C, H, W) with a kernel (kh, kw).

    `center` is the kernel's origin (row, column), by default its middle. Raises OperatorError for a
    kernel, a border rule or a centre that no convolution can be made of.
    """
    if boundary not in BOUNDARIES:
        raise OperatorError(f"boundary is {boundary!r}; choose one of {', '.join(BOUNDARIES)}")
    if not isinstance(kernel, Tensor) or kernel.dtype not in (torch.float32, torch.float64):
        found = kernel.dtype if isinstance(kernel, Tensor) else type(kernel).__name__
        raise OperatorError(f"the kernel is {found}; expected a float32 or float64 tensor")
    if kernel.ndim != 2 or kernel.numel() == 0:
        raise OperatorError(f"the kernel has shape {tuple(kernel.shape)}; expected (kh, kw)")
    require_weight(kernel)
    kh, kw = kernel.shape
    if len(image_shape) != 3 or kh > image_shape[1] or kw > image_shape[2]:
        raise OperatorError(
            f"the kernel is {kh}x{kw}, larger than the image {tuple(image_shape)}, (C, H, W); "
            "crop the kernel or take a larger image"
        )
    if center is None:
        if kh % 2 == 0 or kw % 2 == 0:
            raise OperatorError(
                f"the kernel is {kh}x{kw}; an even size has no middle: pass center=(row, column)"
            )
        center = (kh // 2, kw // 2)
    row, column = (int(c) for c in center)
    if not (0 <= row < kh and 0 <= column < kw):
        raise OperatorError(f"center {tuple(center)} lies outside the {kh}x{kw} kernel")
    height, width = int(image_shape[1]), int(image_shape[2])
    return Axis(height, kh, row, boundary), Axis(width, kw, column, boundary)


class Bordered:
    """What operators with a border rule along both axes say of it."""

    _rows: Axis
    _columns: Axis

    @property
    def boundary(self) -> Boundary:
        """What lies beyond the border."""
        return self._rows.boundary

    @property
    def center(self) -> tuple[int, int]:
        """The origin (row, column) of a kernel."""
        return self._rows.center, self._columns.center


def require_weight(kernel: Tensor) -> None:
    """Raise OperatorError for a kernel that is not finite, or whose weight float64 cannot square.

    Asked again before a norm is proven, since a kernel can be changed in place.
    """
    if not bool(torch.isfinite(kernel).all()):
        raise OperatorError("the kernel holds values that are not finite; repair or replace it")
    weight = float(kernel.to(torch.float64).abs().sum())
    if weight == 0:
        raise OperatorError("the kernel is zero everywhere; a blur needs some weight")
    if not SMALLEST <= weight <= LARGEST:
        raise OperatorError(
            f"the kernel's absolute values add up to {weight:.2g}; expected {SMALLEST:.0e} to "
            f"{LARGEST:.0e}: scale the kernel, and the measurements with it"
        )


def pad(x: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """The image (B, C, H, W) with its continuation."""
    amounts = (columns.before, columns.after, rows.before, rows.after)
    if not any(amounts):
        return x
    return functional.pad(x, amounts, mode=rows.boundary)


def continued(y: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """A blurred picture in the size of the sharp one: for 'valid', its outermost pixels go on.

    What lies out there is hardly seen, and an iteration that starts far off in it creeps.
    """
    if rows.boundary != "valid":
        return y
    (above, below), (left, right) = ((a.taps - 1 - a.center, a.center) for a in (rows, columns))
    return functional.pad(y, (left, right, above, below), mode="replicate")


def pad_transpose(z: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """The transpose of `pad`: every padded pixel is added to the one that it was copied from."""
    return _fold(_fold(z, columns, z.ndim - 1), rows, z.ndim - 2)


def _fold(z: Tensor, axis: Axis, dim: int) -> Tensor:
    before, after, n = axis.before, axis.after, axis.length
    if before == 0 and after == 0:
        return z
    inner = z.narrow(dim, before, n)
    if axis.boundary == "constant":
        return inner
    inner = inner.clone()
    if before:
        head = z.narrow(dim, 0, before)
        if axis.boundary == "circular":
            inner.narrow(dim, n - before, before).add_(head)
        elif axis.boundary == "replicate":
            inner.narrow(dim, 0, 1).add_(head.sum(dim, keepdim=True))
        else:
            inner.narrow(dim, 1, before).add_(head.flip(dim))
    if after:
        tail = z.narrow(dim, before + n, after)
        if axis.boundary == "circular":
            inner.narrow(dim, 0, after).add_(tail)
        elif axis.boundary == "replicate":
            inner.narrow(dim, n - 1, 1).add_(tail.sum(dim, keepdim=True))
        else:
            inner.narrow(dim, n - 1 - after, after).add_(tail.flip(dim))
    return inner
