"""How an image continues beyond its edge, and the exact transpose of that continuation.

Everything is separable, so one axis at a time is described by a small value, `Axis`. The names are
torch's; scipy.ndimage calls the same rules wrap, nearest, mirror and constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor
from torch.nn import functional

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


def pad(x: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """The image (B, C, H, W) with its continuation."""
    amounts = (columns.before, columns.after, rows.before, rows.after)
    if not any(amounts):
        return x
    return functional.pad(x, amounts, mode=rows.boundary)


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
