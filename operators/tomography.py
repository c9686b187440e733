"""The ray transform of computed tomography: line integrals of an image, by ODL and ASTRA.

Units: image in 1/mm (attenuation), measurement without unit. Nothing is imported from ODL, ASTRA
or scikit-image before an operator is built.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Literal, get_args

import torch
from torch import Tensor

from operators import _memory, norms
from operators._leading import leading_vector
from operators._odl import Backend, BackendChoice, chosen_backend, import_tomo
from operators._projectors import (
    MatrixProjector,
    OdlProjector,
    Projector,
    apply_projector,
    own_coefficients,
)
from operators._storage import Storage, chosen_storage
from operators.base import LinearOperator
from operators.checks import ADJOINT_TOLERANCE, adjoint_mismatch
from operators.errors import OperatorError
from operators.filtered_back_projection import FilterName, filtered_back_projection, ramp_filtered
from operators.knowledge import Fact, KnownBy
from operators.norms import NormBound
from operators.scan_geometry import ScanGeometry, half_diagonal

# The bracket of the norm is closed to this ratio, in at most so many applications of AᵀA.
NORM_RTOL = 4e-4
NORM_MAX_ITER = 500

_MATRICES: weakref.WeakValueDictionary[object, MatrixProjector] = weakref.WeakValueDictionary()
_BOUNDS: dict[object, NormBound] = {}


class RayTransform(LinearOperator):
    """Line integrals along the rays of a scan.

    A slice (H, W) gives a sinogram (angles, detectors), each channel by itself: images
    (B, C, H, W) to (B, C, angles, detectors). For 'parallel_3d' the channels are the slices of a
    volume; for 'cone' the image is (B, depth, height, width) and the measurement
    (B, angles, rows, columns).

    Args:
        geometry: the scan.
        image_shape: (C, H, W), or (depth, height, width) for a cone beam.
        backend: 'astra_cpu' (2D; exact transpose), 'astra_cuda' (a GPU; 2D, 3D, cone), 'skimage'
            (2D parallel, square images; its back-projection is not the transpose). 'auto' takes
            astra_cpu wherever it can work, as its transpose is exact, and astra_cuda for the rest.
            A parallel beam's matrix is computed here: neither ODL nor ASTRA is needed for it.
        storage: astra_cpu only. 'matrix': the coefficients that ASTRA runs with are kept as
            sparse matrices of A and of Aᵀ, on whatever device the tensors lie, for float32 and,
            where that fits the budget, for float64; three to ten times faster than a call of
            ASTRA. 'on_the_fly': ASTRA computes them anew every time, in float32. 'auto': a matrix
            if it fits the budget.
        memory_budget: bytes that the matrices may take; None: 60 % of the memory that is free, and
            no less than 2 GB.
        noise_model: applied by `forward`.
        name: for reports.

    Attributes:
        memory_bytes: about what it and its applications take at most.
        measured_mismatch: relative mismatch of the dot-product test where the pair is not
            transposed by construction (skimage, astra_cuda), else None.

    Raises:
        OperatorError: if the back end is not installed or lacks the geometry, the shapes do not
            fit, or the memory does not suffice (how much is needed, how much there is). Without a
            matrix, astra_cpu is looked for where the operator is first applied.
    """

    def __init__(
        self,
        geometry: ScanGeometry,
        image_shape: Sequence[int],
        *,
        backend: BackendChoice = "auto",
        storage: Storage = "auto",
        memory_budget: float | None = None,
        noise_model: Callable[[Tensor], Tensor] | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(geometry, ScanGeometry):
            raise OperatorError(f"geometry is a {type(geometry).__name__}; expected a ScanGeometry")
        if backend not in get_args(BackendChoice):
            raise OperatorError(
                f"backend is {backend!r}; choose one of {', '.join(get_args(BackendChoice))}"
            )
        if storage not in get_args(Storage):
            raise OperatorError(f"storage is {storage!r}; choose auto, matrix or on_the_fly")
        volume = geometry.kind == "cone"
        measured = geometry.measured_shape
        if len(image_shape) == 3 and not volume:
            measured = (int(image_shape[0]), *measured)
        super().__init__(
            name or f"{geometry.kind} ray transform",
            image_shape,
            measured,
            noise_model=noise_model,
        )
        half_diagonal(self.image_shape[1:], geometry.pixel_mm, geometry.source_radius or math.inf)
        self._geometry = geometry
        self._backend: Backend = chosen_backend(geometry, self.image_shape, backend)
        shapes = self.image_shape, self.measurement_shape
        self._storage, self._lean, self.memory_bytes = chosen_storage(
            self._backend, geometry, shapes, storage, memory_budget
        )
        stored = self.storage == "matrix"
        if self.backend != "astra_cpu" or (stored and not own_coefficients(geometry)):
            import_tomo(self.backend)
        self._device = "cpu"
        if self.backend == "astra_cuda":
            self._device = f"cuda:{torch.cuda.current_device()}"
        what = f"'{self.name}' of {' x '.join(map(str, self.image_shape))}"
        remedy = "take fewer pixels, slices or views" + (
            ", or storage='on_the_fly'" if self.storage == "matrix" else ""
        )
        _memory.require(self.memory_bytes, what, remedy, self._device)
        # A volume goes to ODL as a whole, everything else slice by slice.
        self._whole = volume or (geometry.kind == "parallel_3d" and self.backend == "astra_cuda")
        if stored:
            _ = self._projector
        self.measured_mismatch: float | None = None
        if not stored or self._lean:
            self.certificate_dtype = torch.float32
        if self.backend != "astra_cpu":
            self._measure_mismatch()

    @property
    def geometry(self) -> ScanGeometry:
        """The scan."""
        return self._geometry

    @property
    def backend(self) -> Backend:
        """What computes the coefficients."""
        return self._backend

    @property
    def storage(self) -> Literal["matrix", "on_the_fly"]:
        """Whether they are kept."""
        return self._storage

    def _known_by(self, fact: Fact) -> KnownBy:
        stored = self.storage == "matrix"  # and its transpose is that of the matrix
        return "construction" if stored or fact == "sign" else "measurement"

    def _own_content(self) -> tuple[object, ...]:
        # Matrices are shared, private, and gigabytes: what they were made from stands for them.
        return self.geometry, self.backend, self.storage, self._whole

    def _sign(self) -> bool:
        return getattr(self._projector, "nonnegative", True)

    def _transposed(self) -> bool:
        measured = self.measured_mismatch
        return measured is None or measured <= ADJOINT_TOLERANCE[torch.float32]

    @cached_property
    def _projector(self) -> Projector:
        """What maps; without a matrix it waits until it is asked for, as a formula never does."""
        shape = self.image_shape if self._whole else self.image_shape[1:]
        if self.storage == "on_the_fly":
            return OdlProjector(self.geometry, shape, self.backend, self._device)
        key = (self.geometry, shape, self._lean)
        found = _MATRICES.get(key)
        if found is None:
            found = MatrixProjector(self.geometry, self.image_shape[1:], self._lean)
            _MATRICES[key] = found  # shared by operators of the same scan while one of them lives
        return found

    def _measure_mismatch(self) -> None:
        """A pair that no construction makes transposed is measured, and believed if it passes."""
        seeded = torch.Generator().manual_seed(0)
        self.measured_mismatch = adjoint_mismatch(self, seeded, 1, dtype=torch.float32)
        if not self.adjoint_matched:
            self.name += (
                f" ({self.backend}, unmatched adjoint: mismatch {self.measured_mismatch:.1e})"
            )

    # ---- the maps -------------------------------------------------------------------------

    def _forward_map(self, x: Tensor) -> Tensor:
        return self._run(x, transposed=False)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self._run(y, transposed=True)

    def _run(self, t: Tensor, transposed: bool) -> Tensor:
        if self._whole:
            return apply_projector(self._projector, t, transposed)
        slices = apply_projector(self._projector, t.flatten(0, 1), transposed)
        return slices.unflatten(0, t.shape[:2])

    # ---- reconstructions without iteration ---------------------------------------------------

    def fbp(
        self,
        y: Tensor,
        filter: FilterName = "hann",
        cutoff: float = 1.0,
        object_radius: float | None = None,
    ) -> Tensor:
        """Filtered back-projection of a measurement, in 1/mm; see `filtered_back_projection`."""
        return fbp(self, y, filter, cutoff, object_radius)

    def filtered_adjoint(self, y: Tensor) -> Tensor:
        """Transpose of the ramp-filtered measurement: cheap, differentiable, close to `fbp`.

        For iterations that correct a residual; see `ramp_filtered`. Parallel and fan beams.
        """
        if len(self.geometry.measured_shape) == 3:
            raise OperatorError("filtered_adjoint is for parallel and fan beams")
        self._check(y, self.measurement_shape, "sinogram")
        return self.A_adjoint(ramp_filtered(self.geometry, y))

    def _preconditioner(self, step: Tensor) -> Callable[[Tensor], Tensor] | None:
        """(I + γC)⁻¹ with C the circular filter that AᵀA would be for a picture without borders.

        For n views, pixels of p mm and rays Δ mm apart that is n p³ / (π Δ |f|), f in cycles per
        pixel (the blur 1/|f| of unfiltered back-projection; Natterer 1986, The Mathematics of
        Computerized Tomography, §V.1). It was measured to save about 40 % of the iterations.
        """
        if self._whole:
            return None
        height, width = self.image_shape[1:]
        rows = torch.fft.fftfreq(height, dtype=torch.float32).to(step)[:, None]
        columns = torch.fft.rfftfreq(width, dtype=torch.float32).to(step)
        frequency = torch.hypot(rows, columns).clamp_min(0.5 / max(height, width))
        scan = self.geometry
        rays = scan.detector_mm / scan.magnification
        blur = len(scan.angles) * scan.pixel_mm**3 / (math.pi * rays) / frequency

        def solve(r: Tensor) -> Tensor:
            return torch.fft.irfft2(torch.fft.rfft2(r) / (1 + step * blur), s=r.shape[-2:])

        return solve

    def initial_guess(self, y: Tensor) -> Tensor:
        """Filtered back-projection with the Hann filter."""
        return fbp(self, y)

    # ---- the norm ---------------------------------------------------------------------------

    def _prove_norm(self) -> NormBound:
        if not self.adjoint_matched:
            raise OperatorError(
                f"no proven bound of the norm of '{self.name}' is known, as its back-projection "
                "is not the transpose; take the back end astra_cpu"
            )
        slices = self.image_shape if self._whole else self.image_shape[1:]
        key = (self.geometry, slices, self.backend, self.storage)
        if key not in _BOUNDS:
            bound = norms.collatz_wielandt(self, NORM_RTOL, NORM_MAX_ITER)
            if 0 < bound.lower < bound.value / (1 + NORM_RTOL):  # few views: it creeps

                def normal(v: Tensor) -> Tensor:  # of one slice, whatever a picture has
                    return self._transpose_map(self._forward_map(v))

                start = leading_vector(normal, self.certificate_start())
                again = norms.collatz_wielandt(self, NORM_RTOL, NORM_MAX_ITER, start)
                bound = norms.tightest(bound, again)
            _BOUNDS[key] = bound
        return _BOUNDS[key]

    def certificate_start(self) -> Tensor:
        """All ones, and one slice where slices do not see each other: the others are copies."""
        shape = self.image_shape if self._whole else (1, *self.image_shape[1:])
        return torch.ones(1, *shape, dtype=self.certificate_dtype)

    def enclosure(self, v: Tensor, *, transpose: bool = False) -> tuple[Tensor, Tensor]:
        """Counts as many terms as a ray has pixels, or a pixel has rays; see `LinearOperator`."""
        terms = self._projector.column_terms if transpose else self._projector.row_terms
        return self._widened(self._run(v, transpose), terms)

    def normal_enclosure(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Counts the terms of both products; see `LinearOperator`."""
        product = self._transpose_map(self._forward_map(v))
        return self._widened(product, self._projector.row_terms + self._projector.column_terms)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self.backend}, {self.storage}"


def fbp(
    A: RayTransform,
    y: Tensor,
    filter: FilterName = "hann",
    cutoff: float = 1.0,
    object_radius: float | None = None,
) -> Tensor:
    """Filtered back-projection (B, C, H, W) of a measurement; see `filtered_back_projection`."""
    A._check(y, A.measurement_shape, "sinogram")
    size = A.image_shape if A.geometry.kind == "cone" else A.image_shape[1:]
    return filtered_back_projection(A.geometry, y, size, filter, cutoff, object_radius)
