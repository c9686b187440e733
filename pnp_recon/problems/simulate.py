"""Where measurements y = A x + noise are drawn: blur, fewer or missing pixels, X-rays, k-space.

Each function gives a `Problem` with its truth and its noise level. By which rule the noise is drawn
is the caller's choice among those of `problems.noise`. Knows no solver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from operators import (
    MRI,
    Boundary,
    Channelwise,
    Convolution,
    Inpainting,
    LinearOperator,
    RayTransform,
    ScanGeometry,
    VaryingBlur,
)
from operators._storage import Storage
from operators.shrinking import shrink, sides_seen
from pnp_recon.errors import InputError
from pnp_recon.problems.noise import Draw, noisy
from pnp_recon.problems.problem import Problem
from pnp_recon.scans.counts import log_transform
from pnp_recon.scans.window import Window


def blur(
    kernel: Tensor, image_shape: Sequence[int], boundary: Boundary = "circular"
) -> LinearOperator:
    """The convolution with a kernel (h, w), or with one for each channel, (C, h, w).

    A grid of kernels, (gh, gw, h, w), is a blur that changes across the picture.

    Raises:
        InputError: there are other channels in the picture than in the kernel.
    """
    if kernel.ndim == 4:
        return VaryingBlur(kernel, image_shape, boundary)
    if kernel.ndim < 3:
        return Convolution(kernel, image_shape, boundary)
    if len(kernel) != image_shape[0]:
        raise InputError(
            f"the kernel has {len(kernel)} channels, the picture {image_shape[0]}; expected as "
            "many, or one kernel for all"
        )
    alone = (1, *image_shape[1:])
    return Channelwise([Convolution(one, alone, boundary) for one in kernel])


def deblurring(
    x: Tensor, kernel: Tensor, sigma: float, draw: Draw, boundary: Boundary = "circular"
) -> Problem:
    """A picture seen through a blur.

    Args:
        x: the true picture (B, C, H, W) in [0, 1].
        kernel: (h, w), (C, h, w) for one per channel or (gh, gw, h, w) for a grid, see `blur`.
        sigma: standard deviation of the noise, [0, 1] scale.
        draw: the rule of the noise.
        boundary: the border rule of the blur.
    """
    A = blur(kernel, shape(x), boundary)
    clean = A.A(x)
    return Problem(A, clean + sigma * draw(clean), sigma, x)


def counted_deblurring(
    x: Tensor,
    kernel: Tensor,
    peak: float,
    background: float,
    draw: Draw,
    boundary: Boundary = "circular",
) -> Problem:
    """A picture seen through a blur by counted photons.

    Args:
        x, kernel, boundary: see `deblurring`.
        peak: expected counts where the blurred picture is 1.
        background: expected counts without an object.
        draw: the rule of the counts, mean counts to counts.

    Returns:
        counts/peak, background included; the noise level is the root mean square.
    """
    A = blur(kernel, shape(x), boundary)
    mean = peak * A.A(x).clamp_min(0) + background
    counts = draw(mean)
    level = max(float(mean.mean()), 1.0) ** 0.5 / peak
    return Problem(A, (counts.double() / peak).to(x), level, x)


def shrinking(
    x: Tensor,
    kernel: Tensor,
    factor: int,
    sigma: float,
    draw: Draw,
    boundary: Boundary = "valid",
) -> Problem:
    """A picture that was made smaller; see `operators.shrinking.shrink`.

    Args:
        x: the true picture (B, C, H, W) in [0, 1]; it loses rows and columns at its end where the
            small pixels do not reach. `Problem.truth` is what is left of it.
        kernel: (h, w).
        factor: every so many-th pixel is kept on each axis.
        sigma: standard deviation of the noise, [0, 1] scale.
        draw: the rule of the noise.
        boundary: the border rule of the blur; 'valid': it sees nothing from beyond x.
    """
    channels, *sides = shape(x)
    small = sides_seen(sides, kernel, factor, boundary)
    A = shrink(kernel, factor, (channels, *small), boundary)
    truth = x[..., : A.image_shape[1], : A.image_shape[2]]
    clean = A.A(truth)
    return Problem(A, clean + sigma * draw(clean), sigma, truth)


def inpainting(x: Tensor, known: Tensor, sigma: float, draw: Draw) -> Problem:
    """A picture of which some pixels are missing, the others with noise.

    Args:
        x: the true picture (B, C, H, W) in [0, 1].
        known: mask (H, W), (1, H, W) or (C, H, W): where pixels are known.
        sigma: standard deviation of the noise, [0, 1] scale.
        draw: the rule of the noise, which is drawn for the missing pixels as well.
    """
    A = Inpainting(known, shape(x))
    return Problem(A, A.A(x if sigma == 0 else x + sigma * draw(x)), sigma, x)


def magnetic_resonance(
    x: Tensor, mask: Tensor, maps: Tensor | None, sigma: float, draw: Draw
) -> Problem:
    """k-space of complex pictures, with complex white noise where it was measured.

    Args:
        x: complex pictures in two channels (B, 2, H, W).
        mask: (H, W), True where k-space is measured.
        maps: coil maps (N, H, W), complex, or None for a single coil.
        sigma: standard deviation of the noise in each part.
        draw: the rule of the noise, which is drawn for all of k-space.
    """
    A = MRI(mask, maps)
    clean = A.A(x)
    return Problem(A, clean + sigma * draw(clean) * mask, sigma, x)


def tomography(
    x: Tensor, geometry: ScanGeometry, share: float, draw: Draw, storage: Storage = "auto"
) -> Problem:
    """Line integrals of slices, with Gaussian noise.

    Args:
        x: attenuation in 1/mm, (B, 1, H, W).
        geometry: how the scan was made.
        share: standard deviation of the noise as a share of the largest line integral.
        draw: the rule of the noise.
        storage: how the operator is run, see `RayTransform`.
    """
    A, clean, largest = _projected(x, geometry, storage)
    sigma = share * largest
    return Problem(A, clean + sigma * draw(clean), sigma, x)


def photon_tomography(
    x: Tensor, geometry: ScanGeometry, incident: float, draw: Draw, storage: Storage = "auto"
) -> tuple[Problem, Tensor]:
    """Line integrals of slices from counted photons.

    Args:
        x: attenuation in 1/mm, (B, 1, H, W).
        geometry: how the scan was made.
        incident: photons that enter each ray.
        draw: the rule of the counts, line integrals to counts.
        storage: how the operator is run, see `RayTransform`.

    Returns:
        the problem, whose noise level is that of a ray with the mean count, and the counts.
    """
    A, clean, _ = _projected(x, geometry, storage)
    counts = draw(clean)
    level = float(counts.mean()) ** -0.5 if counts.any() else 1.0
    return Problem(A, log_transform(counts, incident), level, x), counts


def benchmark_tomography(
    x: Tensor, geometry: ScanGeometry, share: float, index: int, seed: int = 0
) -> Problem:
    """As `tomography`, with the noise of the benchmark, whose rule knows the range [0, 1] only.

    The line integrals are scaled to it and back, which their last digits show.
    """
    A, clean, largest = _projected(x, geometry)
    y = largest * noisy(clean / largest, share, index, seed)
    return Problem(A, y, share * largest, x)


def in_window(problem: Problem, window: Window, start: Tensor | None = None) -> Problem:
    """The same scan for pictures whose [0, 1] is a window of attenuations.

    Args:
        problem: as `tomography` gives it.
        window: see `scans.window`.
        start: where iterations start, in the window, (B, 1, H, W) in [0, 1].
    """
    assert problem.truth is not None
    assert problem.noise_level is not None
    return replace(
        problem,
        y=window.measurements(problem.A, problem.y),
        noise_level=window.noise_level(problem.noise_level),
        truth=window.to_unit(problem.truth),
        start=start,
    )


def shape(x: Tensor) -> tuple[int, int, int]:
    """(C, H, W) of pictures (B, C, H, W), as operators take it."""
    return (int(x.shape[1]), int(x.shape[2]), int(x.shape[3]))


def _projected(
    x: Tensor, geometry: ScanGeometry, storage: Storage = "auto"
) -> tuple[RayTransform, Tensor, float]:
    """The operator, the line integrals, and the largest of them."""
    A = RayTransform(geometry, shape(x), storage=storage)
    clean = A.A(x)
    return A, clean, float(clean.max())
