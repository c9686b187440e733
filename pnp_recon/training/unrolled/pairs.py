"""From CT slices to the pairs of a simulated scan and a picture that a network trains on.

Which slices are read, and which are kept for the validation, is decided in `slices`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from operators import RayTransform, ScanGeometry, attenuation
from pnp_recon.errors import InputError
from pnp_recon.problems.noise import scan_generator
from pnp_recon.scans.counts import PoissonNoise
from pnp_recon.scans.window import HOUNSFIELD_WINDOW, hounsfield_window
from pnp_recon.training.unrolled.trainer import Pairs


def pooled(slices: Tensor, size: int) -> Tensor:
    """Means of k×k pixels: (n, C, H, H) to (n, C, size, size) with k = H/size.

    Raises:
        InputError: the slices are not square, or their side is no multiple of `size`.
    """
    height, width = slices.shape[-2:]
    if size < 1 or height != width or height % size:
        raise InputError(
            f"slices of {height}×{width} pixels cannot be averaged to {size}×{size}; expected "
            "squares whose side is a multiple of the size"
        )
    return F.avg_pool2d(slices, height // size)


def simulated_scans(
    slices_hu: Tensor,
    geometry: ScanGeometry,
    incident: float,
    seed: int = 0,
    indices: Sequence[int] | None = None,
) -> tuple[RayTransform, Pairs]:
    """Scans of slices with photon noise, in the window of [0, 1] (`scans.window`).

    A slice is clipped to −1024 … 1500 HU, projected, and seen through Poisson counts; the noise
    of each slice follows from `seed` and its index alone, whatever other slices there are.

    Args:
        slices_hu: (n, 1, H, W) in HU, float32 or float64, on the CPU.
        geometry: the same for every scan.
        incident: photons that enter each ray, > 0.
        seed: the noise follows from it, >= 0.
        indices: number of each slice in its data set, n different ones; default 0, 1, 2, …

    Returns:
        the operator, and pairs of line integrals (n, 1, angles, detectors) and pictures
        (n, 1, H, W), both in the window: `A` maps the one to the other but for the noise.

    Raises:
        InputError: no slices, values that are not finite, or indices that do not fit.
    """
    numbers = range(len(slices_hu)) if indices is None else indices
    if len(set(numbers)) != len(slices_hu) or not len(slices_hu):
        raise InputError(
            f"{len(slices_hu)} slices and {len(set(numbers))} different indices; expected at least "
            "one slice, and an index for each"
        )
    window = hounsfield_window()
    attenuations = attenuation(slices_hu.clamp(*HOUNSFIELD_WINDOW))
    A = RayTransform(geometry, tuple(slices_hu.shape[1:]))
    scans = []
    for number, truth in zip(numbers, attenuations, strict=True):
        counted = PoissonNoise(incident, scan_generator(number, seed))(A.A(truth[None]))
        scans.append(window.measurements(A, counted))
    return A, Pairs(torch.cat(scans), window.to_unit(attenuations))
