"""The two ways to run a ray transform: a stored sparse matrix, or a call to ODL every time.

Both map a batch (N, *image) to (N, *measured) and back, and are linear: `apply_projector` makes
them differentiable, any number of times, since the derivative of each map is the other.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from operators._joseph import parallel_coefficients
from operators._odl import Backend, coefficients, odl_ray_transform, unique_angles
from operators.scan_geometry import ScanGeometry
from operators.values import kept_precision

# Rows of a lean matrix that are converted to float64 in one go.
ROWS_AT_ONCE = 1 << 13
# Side of the squares of pixels that lie side by side in memory, 64 bytes each in float32: a ray
# meets four or more pixels of a square, and a product takes half the time.
SQUARE = 4
# Pictures that are projected in one product with such a matrix, and half as many in one each: of
# 1 to 16 pictures no other number was faster.
TOGETHER = 4


class Projector(Protocol):
    """Maps images (N, *image) to measurements (N, *measured), and back by the transpose.

    `row_terms` and `column_terms` bound how many products one entry of A x and of Aᵀ y sums up.
    """

    row_terms: int
    column_terms: int

    def run(self, t: Tensor, transposed: bool) -> Tensor: ...


class _Apply(torch.autograd.Function):
    """A x or Aᵀ y; the backward pass is the other one, and is differentiable in turn."""

    @staticmethod
    def forward(t: Tensor, projector: Projector, transposed: bool) -> Tensor:
        return projector.run(t, transposed)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _, ctx.projector, ctx.transposed = inputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return _Apply.apply(grads[0], ctx.projector, not ctx.transposed), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Any) -> Tensor:
        return _Apply.apply(tangent, ctx.projector, ctx.transposed)


def apply_projector(projector: Projector, t: Tensor, transposed: bool = False) -> Tensor:
    """A t, or Aᵀ t if `transposed`; differentiable in both directions, twice and more."""
    return _Apply.apply(t, projector, transposed)


def own_coefficients(geometry: ScanGeometry) -> bool:
    """Whether the coefficients of a scan are computed here, without ODL and ASTRA."""
    return geometry.kind in ("parallel", "parallel_3d")


class MatrixProjector:
    """A and its transpose as sparse matrices, applied to all slices of a batch at once.

    The coefficients are stored once per precision and device that they are asked for in; with
    `lean` in float32 alone: products in float64 then convert them part by part, which takes three
    times as long.

    On a CPU the columns of A are the pixels square by square (`SQUARE`), so that the order of the
    entries in a row, which is that of the ray, is not that of their columns.
    """

    def __init__(
        self, geometry: ScanGeometry, image_shape: tuple[int, int], lean: bool = False
    ) -> None:
        self.lean = lean
        if own_coefficients(geometry):
            matrix = parallel_coefficients(geometry, image_shape)
        else:
            matrix = coefficients(geometry, image_shape)
        self.image_shape = image_shape
        self.measured_shape = geometry.measured_shape
        self.nonnegative = bool(matrix.nnz == 0 or matrix.data.min() >= 0)
        self._matrices: dict[tuple[torch.dtype, torch.device, bool], Tensor] = {}
        order = by_squares(image_shape)
        self._order = torch.from_numpy(order)
        for transposed in (True, False):
            csr = matrix.T.tocsr() if transposed else matrix
            terms = int((csr.indptr[1:] - csr.indptr[:-1]).max(initial=0))
            if transposed:
                self.column_terms = terms
            else:
                self.row_terms = terms
                place = np.empty_like(order, dtype=csr.indices.dtype)
                place[order] = np.arange(len(order))
                np.take(place, csr.indices, out=csr.indices, mode="clip")
            key = (torch.float32, torch.device("cpu"), transposed)
            self._matrices[key] = _csr(
                torch.from_numpy(csr.indptr),
                torch.from_numpy(csr.indices),
                torch.from_numpy(csr.data).to(torch.float32),
                csr.shape,
            )

    def run(self, t: Tensor, transposed: bool) -> Tensor:
        shape = self.image_shape if transposed else self.measured_shape
        columns = t.reshape(t.shape[0], -1)
        if not transposed and t.device.type == "cpu":
            columns = torch.stack([one.index_select(0, self._order) for one in columns])
        if self.lean and t.dtype == torch.float64 and t.device.type == "cpu":
            return self._in_parts(columns, transposed).reshape(-1, *shape)
        matrix = self._matrix(t, transposed)
        with kept_precision(t):  # the derivative of the other map runs without `LinearOperator.A`
            if len(columns) == 1:
                return matrix.mv(columns[0]).reshape(1, *shape)
            if transposed or t.device.type != "cpu":
                return (matrix @ columns.T).T.reshape(-1, *shape)
            found = []
            for some in columns.split(TOGETHER):
                alone = len(some) <= TOGETHER // 2
                found += [matrix.mv(one) for one in some] if alone else list((matrix @ some.T).T)
            return torch.stack(found).reshape(-1, *shape)

    def _in_parts(self, columns: Tensor, transposed: bool) -> Tensor:
        """The product with (N, columns) in float64, rows by rows: (N, rows)."""
        stored = self._matrices[torch.float32, columns.device, transposed]
        rows, width = stored.crow_indices(), stored.shape[1]
        parts = []
        for first in range(0, stored.shape[0], ROWS_AT_ONCE):
            some = rows[first : first + ROWS_AT_ONCE + 1]
            begin, end = int(some[0]), int(some[-1])
            values = stored.values()[begin:end].double()
            shape = (len(some) - 1, width)
            part = _csr(some - some[0], stored.col_indices()[begin:end], values, shape)
            parts.append(part @ columns.T)
        return torch.cat(parts).T

    def _matrix(self, like: Tensor, transposed: bool) -> Tensor:
        key = (like.dtype, like.device, transposed)
        if key not in self._matrices:
            stored = self._matrices[torch.float32, torch.device("cpu"), transposed]
            with torch.inference_mode(False), torch.no_grad():
                columns = stored.col_indices()
                if like.device.type != "cpu" and not transposed:
                    columns = self._order.to(columns.dtype)[columns.long()]
                self._matrices[key] = _csr(
                    stored.crow_indices().to(like.device),
                    columns.to(like.device),
                    stored.values().to(like.device, like.dtype),
                    stored.shape,
                )
        return self._matrices[key]


def by_squares(image_shape: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The pixels of a picture, counted along its rows, in the order of squares and within them."""
    rows, columns = np.divmod(np.arange(math.prod(image_shape)), image_shape[1])
    keys = (columns % SQUARE, rows % SQUARE, columns // SQUARE, rows // SQUARE)
    return np.lexsort(keys)


def _csr(rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    with warnings.catch_warnings(), torch.inference_mode(False):
        warnings.simplefilter("ignore", UserWarning)  # torch: 'CSR support is in beta state'
        return torch.sparse_csr_tensor(rows, columns, values, shape)


class OdlProjector:
    """ODL's ray transform, one slice (or volume) per call, in float32.

    ODL's adjoint belongs to weighted spaces: its factor, weight of a measured value over weight of
    a pixel, is taken out, which leaves the Euclidean transpose.
    """

    def __init__(
        self, geometry: ScanGeometry, image_shape: tuple[int, ...], backend: Backend, device: str
    ) -> None:
        self.geometry = geometry
        self.backend = backend
        self.image_shape = image_shape
        self.measured_shape = geometry.measured_shape
        self._slices_first = geometry.kind == "parallel_3d" and len(image_shape) == 3
        if self._slices_first:
            self.measured_shape = (image_shape[0], *geometry.measured_shape)
        self.device = torch.device(device)
        self._transform = odl_ray_transform(geometry, image_shape, backend, device)
        self._angles, order = unique_angles(geometry)
        self._order = torch.from_numpy(order)
        weights = self._transform.range.weighting.const, self._transform.domain.weighting.const
        self._unweight = float(weights[1] / weights[0])
        # At most two pixels per row or column that a ray crosses; at most this many rays of a view
        # within reach of one pixel, as interpolation widens both to twice their size.
        self.row_terms = 2 * sum(image_shape[-2:]) + 8
        reach = 2 * math.sqrt(2) * geometry.pixel_mm * _largest_magnification(geometry, image_shape)
        self.column_terms = len(geometry.angles) * (2 + math.ceil(reach / geometry.detector_mm))

    def run(self, t: Tensor, transposed: bool) -> Tensor:
        call = self._back if transposed else self._forth
        with torch.no_grad():
            return torch.stack([call(part.to(torch.float32)) for part in t]).to(t)

    def _forth(self, image: Tensor) -> Tensor:
        views = self._call(self._transform, image)[self._order.to(image.device)]
        return views.transpose(0, 1) if self._slices_first else views

    def _back(self, measured: Tensor) -> Tensor:
        views = measured.transpose(0, 1) if self._slices_first else measured
        summed = views.new_zeros(len(self._angles), *views.shape[1:])  # repeated views add up
        summed.index_add_(0, self._order.to(views.device), views)
        return self._unweight * self._call(self._transform.adjoint, summed)

    def _call(self, operator: Any, t: Tensor) -> Tensor:
        if operator.domain.impl == "numpy":
            result = operator(operator.domain.element(t.contiguous().cpu().numpy())).asarray()
            return torch.from_numpy(np.array(result, dtype=np.float32)).to(t.device)
        result = operator(operator.domain.element(t.contiguous().to(self.device)))
        return result.data.to(t.device)


def _largest_magnification(geometry: ScanGeometry, image_shape: tuple[int, ...]) -> float:
    """The largest magnification of a short line anywhere in the picture, on a flat detector."""
    if geometry.source_radius is None:
        return 1.0
    radius = math.hypot(*image_shape[-2:]) / 2 * geometry.pixel_mm
    nearest = 1 - radius / geometry.source_radius  # of a point to the source, over the axis's
    slanted = math.sqrt(1 - (radius / geometry.source_radius) ** 2)  # cosine of the widest ray
    return geometry.magnification / nearest / slanted
