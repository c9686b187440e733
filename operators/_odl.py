"""From a `ScanGeometry` to ODL's ray transform, and to ASTRA's coefficients for it.

Only here do ODL and ASTRA appear, imported inside the functions: ODL costs seconds at start.

ODL's axes are those of the array: the first runs down the rows, the second along the columns. Its
detector axis at angle φ is (cos φ, sin φ) in these axes, so φ = θ + π/2 gives the convention of
`ScanGeometry`. ASTRA's plane is the picture's own, x right and y up.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from operators.errors import OperatorError
from operators.scan_geometry import ScanGeometry

if TYPE_CHECKING:
    import scipy.sparse

Backend = Literal["astra_cpu", "astra_cuda", "skimage"]
BackendChoice = Literal["auto", "astra_cpu", "astra_cuda", "skimage"]
INSTALL = "install pnp-recon[ct]"


def import_tomo(backend: Backend) -> Any:
    """`odl.applications.tomo`, once it is known that the back end is there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from odl.applications import tomo
        except ImportError as error:
            raise OperatorError(f"ODL cannot be imported ({error}); {INSTALL}") from error
    if backend != "skimage" and not tomo.ASTRA_AVAILABLE:
        raise OperatorError(f"back end {backend} needs the ASTRA toolbox: {INSTALL}")
    if backend == "astra_cuda" and not tomo.ASTRA_CUDA_AVAILABLE:
        raise OperatorError(
            "back end astra_cuda needs a CUDA device and an ASTRA toolbox built for it; "
            "none was found"
        )
    return tomo


def chosen_backend(
    geometry: ScanGeometry, image_shape: tuple[int, ...], wanted: BackendChoice
) -> Backend:
    """The back end that can run a scan; whether it is installed is for `import_tomo` to say.

    Raises:
        OperatorError: it has no such projector, or the picture does not suit.
    """
    if wanted == "auto":
        wanted = "astra_cuda" if geometry.kind == "cone" else "astra_cpu"
    lacking = {
        "astra_cpu": ("cone",),
        "astra_cuda": ("fan_curved",),
        "skimage": ("fan_flat", "fan_curved", "cone"),
    }
    if geometry.kind in lacking[wanted]:
        others = [name for name, kinds in lacking.items() if geometry.kind not in kinds]
        raise OperatorError(
            f"back end {wanted} has no {geometry.kind} projector; take {' or '.join(others)}"
        )
    if wanted == "skimage" and image_shape[-1] != image_shape[-2]:
        raise OperatorError(f"back end skimage needs square images, not {tuple(image_shape)}")
    return wanted


def unique_angles(geometry: ScanGeometry) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The angles in growing order without repeats, and where each view of the scan is in them.

    ODL wants growing angles; a scan may come in any order (golden angle) and repeat itself.
    """
    angles, index = np.unique(np.asarray(geometry.angles), return_inverse=True)
    return angles, index.astype(np.int64)


def odl_ray_transform(
    geometry: ScanGeometry, image_shape: tuple[int, ...], backend: Backend, device: str = "cpu"
) -> Any:
    """ODL's `RayTransform` for the unique angles of a scan.

    Args:
        geometry: the scan.
        image_shape: (H, W) of a slice, or (depth, H, W) for 'parallel_3d' and 'cone'.
        backend: ODL's `impl`.
        device: for astra_cuda, where the torch tensors lie.
    """
    tomo = import_tomo(backend)
    from odl.core.discr.discr_space import uniform_discr

    half = np.asarray(image_shape) * (geometry.pixel_mm / 2)
    space_options = {"impl": "pytorch", "device": device} if backend == "astra_cuda" else {}
    space = uniform_discr(-half, half, image_shape, dtype="float32", **space_options)
    scan = _odl_geometry(tomo, geometry, image_shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # 'may be too slow': the caller knows
        transform = tomo.RayTransform(space, scan, impl=backend)
        transform.get_impl()
    return transform


def _odl_geometry(tomo: Any, geometry: ScanGeometry, image_shape: tuple[int, ...]) -> Any:
    from odl.core.discr.partition import nonuniform_partition, uniform_partition

    angles = unique_angles(geometry)[0] + math.pi / 2
    margin = (angles[-1] - angles[0]) / max(1, 2 * (len(angles) - 1)) or 1.0
    views = nonuniform_partition(angles, min_pt=angles[0] - margin, max_pt=angles[-1] + margin)
    width = geometry.detector_count * geometry.detector_mm / 2
    low, high = -width - geometry.axis_offset, width - geometry.axis_offset
    line = uniform_partition(low, high, geometry.detector_count)
    if geometry.kind == "parallel" or (geometry.kind == "parallel_3d" and len(image_shape) == 2):
        scan = tomo.Parallel2dGeometry(views, line)
        # ODL's own 'parallel' scan for ASTRA's CPU code forgets where the detector's middle is.
        scan.implementation_cache["astra_cpu"] = _parallel_views(geometry)
        return scan
    distances = {"src_radius": geometry.source_radius, "det_radius": geometry.detector_radius}
    if geometry.kind == "fan_flat":
        return tomo.FanBeamGeometry(views, line, **distances)
    if geometry.kind == "fan_curved":
        distance = (geometry.source_radius or 0.0) + (geometry.detector_radius or 0.0)
        arc = uniform_partition(low / distance, high / distance, geometry.detector_count)
        scan = tomo.FanBeamGeometry(views, arc, det_curvature_radius=distance, **distances)
        # ODL hands no curved detector to ASTRA: one flat pixel per ray says the same.
        scan.implementation_cache["astra_cpu"] = _single_rays(geometry)
        return scan
    rows = geometry.detector_rows or image_shape[0]
    height = rows * (geometry.pixel_mm if geometry.kind == "parallel_3d" else geometry.detector_mm)
    sheet = uniform_partition([-height / 2, low], [height / 2, high], [rows, line.size])
    axes = {"axis": (1, 0, 0), "det_axes_init": [(1, 0, 0), (0, 1, 0)]}
    if geometry.kind == "parallel_3d":
        return tomo.Parallel3dAxisGeometry(views, sheet, det_pos_init=(0, 0, 1), **axes)
    return tomo.ConeBeamGeometry(views, sheet, src_to_det_init=(0, 0, 1), **distances, **axes)


def _parallel_views(geometry: ScanGeometry) -> Any:
    import astra

    angles = unique_angles(geometry)[0]
    ray = np.stack([-np.sin(angles), np.cos(angles)], axis=1)
    axis = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    vectors = np.hstack([ray, -geometry.axis_offset * axis, geometry.detector_mm * axis])
    return astra.create_proj_geom("parallel_vec", geometry.detector_count, vectors)


def _single_rays(geometry: ScanGeometry) -> Any:
    """A fan-beam scan of ASTRA with one detector pixel per view, for every ray of an arc."""
    import astra

    assert geometry.source_radius is not None
    assert geometry.detector_radius is not None
    angle = unique_angles(geometry)[0][:, None]
    distance = geometry.source_radius + geometry.detector_radius
    position = np.arange(geometry.detector_count) - (geometry.detector_count - 1) / 2
    fan = (position * geometry.detector_mm - geometry.axis_offset) / distance
    direction = angle + math.pi / 2 - fan  # of the ray, in the picture's plane
    source = np.stack([np.sin(angle), -np.cos(angle)], axis=-1) * geometry.source_radius
    ray = np.stack([np.cos(direction), np.sin(direction)], axis=-1)
    across = np.stack([np.sin(direction), -np.cos(direction)], axis=-1) * geometry.detector_mm
    source = np.broadcast_to(source, ray.shape)
    vectors = np.concatenate([source, source + distance * ray, across], axis=-1)
    return astra.create_proj_geom("fanflat_vec", 1, vectors.reshape(-1, 6))


def coefficients(geometry: ScanGeometry, image_shape: tuple[int, int]) -> scipy.sparse.csr_array:
    """The matrix of ODL's astra_cpu ray transform of one slice, (views · detectors, H · W).

    ASTRA writes out the very projector that ODL has it run. Its entries are float32 numbers (the
    matrix is float64), in mm: the length of a ray that a pixel stands for. It takes 0.2 µs for
    each; `_joseph` has those of parallel beams sooner.
    """
    transform = odl_ray_transform(geometry, image_shape, "astra_cpu")
    import astra
    import scipy.sparse
    from odl.applications.tomo.backends.astra_cpu import default_astra_proj_type
    from odl.applications.tomo.backends.astra_setup import (
        astra_projection_geometry,
        astra_projector,
        astra_volume_geometry,
    )

    scan = transform.geometry
    projector = astra_projector(
        default_astra_proj_type(scan),
        astra_volume_geometry(transform.domain, "cpu"),
        astra_projection_geometry(scan, "cpu"),
        2,
    )
    try:
        stored = astra.projector.matrix(projector)
        matrix = scipy.sparse.csr_array(astra.matrix.get(stored))
        astra.matrix.delete(stored)
    finally:
        astra.projector.delete(projector)
    matrix.eliminate_zeros()
    order = unique_angles(geometry)[1]
    if not np.array_equal(order, np.arange(len(order))):
        detectors = np.arange(geometry.detector_count)
        matrix = matrix[(order[:, None] * geometry.detector_count + detectors).ravel()]
    return matrix
