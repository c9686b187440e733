"""What is registered here inherits every law test of its kind.

An entry builds a fresh object, small enough that its matrix can be written out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from operators import (
    BOUNDARIES,
    MRI,
    Boundary,
    Channelwise,
    Component,
    Composition,
    Convolution,
    Downsampling,
    Gradient,
    Identity,
    Inpainting,
    JPEGCoefficients,
    LinearOperator,
    NonuniformMRI,
    RayTransform,
    Scaled,
    ScanGeometry,
    Stacked,
    StripeFilter,
    Sum,
    VaryingBlur,
    fan_beam,
    from_matrix,
    parallel_beam,
)
from operators._projectors import own_coefficients
from operators.nonuniform import radial_trajectory
from support.devices import CUDA, installed

TOMOGRAPHY = installed("odl") and installed("astra")
# Laws are many: without a device they are not even listed.
DEVICES = ["cpu", *([CUDA] if torch.cuda.is_available() else [])]


@dataclass(frozen=True)
class OperatorCase:
    """A registered operator: `build(dtype)` makes it with coefficients of that precision."""

    label: str
    build: Callable[[torch.dtype], LinearOperator]


@dataclass(frozen=True)
class Blur:
    """A convolution to register under every border rule, method and precision."""

    label: str
    kernel: tuple[int, int]
    image: tuple[int, int, int]
    signed: bool = False
    center: tuple[int, int] | None = None


BLURS = (
    Blur("odd-grey", (3, 3), (1, 8, 9)),
    Blur("flat-colour", (1, 5), (3, 6, 7)),
    Blur("large", (7, 5), (1, 9, 10)),
    Blur("even-off-centre", (4, 2), (2, 7, 6), center=(3, 0)),
    Blur("signed", (5, 3), (1, 8, 8), signed=True),
    Blur("as-large-as-the-image", (5, 5), (1, 5, 5)),
)


def random_kernel(
    size: tuple[int, int],
    *,
    signed: bool = False,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> Tensor:
    """A kernel without symmetry, so that no flip or shift goes unseen."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn if signed else torch.rand
    kernel = draw(size, generator=generator, dtype=torch.float64)
    return (kernel / kernel.abs().sum()).to(dtype)


def _convolution(
    blur: Blur, boundary: Boundary, method: Literal["fft", "direct"]
) -> Callable[[torch.dtype], LinearOperator]:
    def build(dtype: torch.dtype) -> LinearOperator:
        kernel = random_kernel(blur.kernel, signed=blur.signed, dtype=dtype)
        return Convolution(kernel, blur.image, boundary, center=blur.center, method=method)

    return build


def random_mask(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """About half of the pixels, at random."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.5


def random_phase(dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Angles (6, 5), more than one turn apart."""
    seeded = torch.Generator().manual_seed(seed)
    return (9 * torch.rand((6, 5), generator=seeded, dtype=torch.float64)).to(dtype)


def spokes(dtype: torch.dtype) -> Tensor:
    """Frequencies (28, 2) on four diameters, away from the grid."""
    return radial_trajectory(4, 7).to(dtype) + 0.03


def random_maps(dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Three complex coil maps (3, 6, 5) that are not normalised."""
    seeded = torch.Generator().manual_seed(seed)
    parts = torch.randn((2, 3, 6, 5), generator=seeded, dtype=torch.float64).to(dtype)
    return torch.complex(*parts)


def _downsampling(
    size: tuple[int, int],
    factor: int,
    image: tuple[int, int, int],
    boundary: Boundary,
    *,
    signed: bool = False,
    center: tuple[int, int] | None = None,
) -> Callable[[torch.dtype], LinearOperator]:
    def build(dtype: torch.dtype) -> LinearOperator:
        kernel = random_kernel(size, signed=signed, dtype=dtype)
        return Downsampling(kernel, factor, image, boundary, center=center)

    return build


def _blur(
    dtype: torch.dtype,
    boundary: Boundary = "reflect",
    *,
    channels: int = 1,
    seed: int = 0,
    signed: bool = False,
) -> Convolution:
    kernel = random_kernel((3, 5), dtype=dtype, seed=seed, signed=signed)
    return Convolution(kernel, (channels, 7, 8), boundary)


METHODS: tuple[Literal["fft", "direct"], ...] = ("fft", "direct")

OPERATORS: list[OperatorCase] = [
    OperatorCase(f"{boundary}-{blur.label}-{method}", _convolution(blur, boundary, method))
    for boundary, blur, method in itertools.product(BOUNDARIES, BLURS, METHODS)
]

SAMPLING: list[OperatorCase] = [
    OperatorCase("identity", lambda dtype: Identity((3, 5, 6))),
    OperatorCase("inpainting-grey", lambda dtype: Inpainting(random_mask((7, 8)))),
    OperatorCase(
        "inpainting-colour", lambda dtype: Inpainting(random_mask((1, 5, 6)), image_shape=(3, 5, 6))
    ),
    OperatorCase("inpainting-each-channel", lambda dtype: Inpainting(random_mask((2, 6, 5)))),
    *(
        OperatorCase(f"downsampling-{boundary}-{label}", _downsampling(*shape, boundary, **options))
        for boundary in BOUNDARIES
        for label, shape, options in (
            ("grey", ((3, 5), 2, (1, 8, 10)), {}),
            ("colour-signed", ((5, 3), 3, (2, 9, 6)), {"signed": True}),
            ("even-off-centre", ((2, 4), 2, (1, 6, 8)), {"center": (1, 0)}),
        )
    ),
    OperatorCase("stripe-filter", lambda dtype: StripeFilter((2, 5, 6), 0.4)),
    OperatorCase("stripe-filter-without-ridge", lambda dtype: StripeFilter((1, 5, 6), 0.0)),
    OperatorCase("stripe-filter-one-view", lambda dtype: StripeFilter((1, 1, 6), 3.0)),
    OperatorCase("downsampling-uneven", _downsampling((3, 3), 3, (1, 8, 7), "replicate")),
    OperatorCase("downsampling-large-kernel", _downsampling((7, 7), 4, (1, 8, 8), "circular")),
]

DIFFERENCES: list[OperatorCase] = [
    OperatorCase("gradient", lambda dtype: Gradient((2, 6, 7))),
    OperatorCase("gradient-spacing", lambda dtype: Gradient((1, 5, 8), (2.0, 0.3))),
    OperatorCase("gradient-volume", lambda dtype: Gradient((3, 4, 5), (1.0, 2.0), 0.7)),
    OperatorCase("gradient-one-slice", lambda dtype: Gradient((1, 4, 5), 1.0, 0.7)),
    OperatorCase("gradient-one-row", lambda dtype: Gradient((1, 1, 7))),
    OperatorCase("gradient-two-rows", lambda dtype: Gradient((1, 2, 2))),
]

COMBINED: list[OperatorCase] = [
    OperatorCase("mask-after-blur", lambda dtype: Inpainting(random_mask((7, 8))) @ _blur(dtype)),
    OperatorCase(
        "blur-after-mask",
        lambda dtype: Composition(
            _blur(dtype, "valid", channels=2), Inpainting(random_mask((2, 7, 8)))
        ),
    ),
    OperatorCase("gradient-after-blur", lambda dtype: Gradient((1, 7, 8)) @ _blur(dtype)),
    OperatorCase("scaled-blur", lambda dtype: 2.5 * _blur(dtype, "circular")),
    OperatorCase("negative-mask", lambda dtype: Scaled(-0.5, Inpainting(random_mask((7, 8))))),
    OperatorCase(
        "stacked-blurs", lambda dtype: Stacked([_blur(dtype), 0.5 * _blur(dtype, "valid", seed=1)])
    ),
    OperatorCase(
        "blur-beside-gradient", lambda dtype: Stacked([_blur(dtype), Gradient((1, 7, 8))])
    ),
    OperatorCase(
        "blurs-by-channel",
        lambda dtype: Channelwise([_blur(dtype, "valid", seed=seed) for seed in range(3)]),
    ),
    OperatorCase(
        "circular-blurs-by-channel",
        lambda dtype: Channelwise([_blur(dtype, "circular", seed=seed) for seed in range(3)]),
    ),
    OperatorCase(
        "mask-beside-blur-by-channel",
        lambda dtype: Channelwise([Inpainting(random_mask((7, 8))), _blur(dtype)]),
    ),
    OperatorCase("jpeg-grey", lambda _: JPEGCoefficients([Component((2, 1))])),
    OperatorCase(
        "jpeg-colour-4:2:0",
        lambda _: JPEGCoefficients([Component((1, 2)), *[Component((1, 1), (2, 2))] * 2]),
    ),
    OperatorCase("mri-one-coil", lambda _: MRI(random_mask((5, 6)))),
    OperatorCase("mri-phase", lambda dtype: MRI(random_mask((6, 5)), phase=random_phase(dtype))),
    OperatorCase("mri-all", lambda dtype: MRI(random_mask((6, 5)) | True, random_maps(dtype))),
    OperatorCase("mri-coils", lambda dtype: MRI(random_mask((6, 5)), random_maps(dtype))),
    OperatorCase(
        "mri-coils-phase",
        lambda dtype: MRI(random_mask((6, 5)), random_maps(dtype), random_phase(dtype)),
    ),
    OperatorCase("mri-spokes", lambda dtype: NonuniformMRI(spokes(dtype), (6, 5))),
    OperatorCase(
        "mri-spokes-coils", lambda dtype: NonuniformMRI(spokes(dtype), (6, 5), random_maps(dtype))
    ),
    OperatorCase("sum-of-blurs", lambda dtype: _blur(dtype) + _blur(dtype, "constant", seed=2)),
    OperatorCase(
        "sharpening", lambda dtype: Sum([2 * Identity((1, 7, 8)), -1 * _blur(dtype, "replicate")])
    ),
    OperatorCase(
        "nested",
        lambda dtype: (
            Inpainting(random_mask((7, 8)))
            @ (_blur(dtype) + 0.5 * (_blur(dtype, seed=3) @ _blur(dtype, "constant", seed=4)))
        ),
    ),
]


def random_field(grid: tuple[int, int], size: tuple[int, int], seed: int = 0) -> Tensor:
    """A kernel of sum one for each cell, all of them different."""
    kernels = random_kernel((*grid, *size), seed=seed)
    return kernels / kernels.sum((-2, -1), keepdim=True)


def _varying(
    grid: tuple[int, int],
    size: tuple[int, int],
    image: tuple[int, int, int],
    boundary: Boundary,
    center: tuple[int, int] | None = None,
) -> Callable[[torch.dtype], LinearOperator]:
    def build(dtype: torch.dtype) -> LinearOperator:
        return VaryingBlur(random_field(grid, size).to(dtype), image, boundary, center=center)

    return build


VARYING: list[OperatorCase] = [
    OperatorCase(f"varying-blur-{boundary}-{label}", _varying(*shape, boundary, center))
    for boundary in BOUNDARIES
    for label, shape, center in (
        ("direct", ((2, 3), (3, 3), (1, 8, 9)), None),
        ("fft-colour", ((3, 2), (3, 5), (3, 7, 8)), None),
        ("one-off-centre", ((1, 1), (4, 4), (1, 7, 6)), (3, 0)),
    )
]

MATRICES: list[OperatorCase] = [
    OperatorCase(
        f"matrix-{label}",
        lambda dtype, make=make: from_matrix(make(random_kernel((9, 24), signed=True)), (2, 3, 4)),
    )
    for label, make in (("dense", torch.Tensor.clone), ("sparse", torch.Tensor.to_sparse))
]

OPERATORS += SAMPLING + DIFFERENCES + COMBINED + VARYING + MATRICES
# Scans of a picture of 7 x 6 pixels of 0.2 mm, with more rays than pixels.
SCANS: dict[str, tuple[ScanGeometry, int]] = {
    "parallel": (parallel_beam(9, (7, 6), pixel_mm=0.2, start=0.1), 1),
    "parallel-limited-offset": (
        parallel_beam(9, (7, 6), pixel_mm=0.2, span=2 * math.pi / 3, axis_offset=0.13),
        1,
    ),
    "parallel-golden-repeated": (
        parallel_beam(9, (7, 6), pixel_mm=0.2, angles=[2, 0.1, 1.5, 3, 2, 0.7, 1.1, 2.6, 0.4]),
        2,
    ),
    "parallel-slices": (parallel_beam(9, (7, 6), pixel_mm=0.2, slices=True), 3),
    "fan-flat": (fan_beam(15, (7, 6), 3, 2, pixel_mm=0.2, start=0.1, detector_mm=0.25), 1),
    "fan-curved": (fan_beam(15, (7, 6), 3, 2, pixel_mm=0.2, start=0.1, curved=True), 1),
}


def _ray_transform(
    geometry: ScanGeometry, channels: int
) -> Callable[[torch.dtype], LinearOperator]:
    def build(dtype: torch.dtype) -> LinearOperator:
        return RayTransform(geometry, (channels, 7, 6), storage="matrix")

    return build


OPERATORS += [
    OperatorCase(f"ray-transform-{label}", _ray_transform(geometry, channels))
    for label, (geometry, channels) in SCANS.items()
    # Fan beams have ASTRA's coefficients; the tests of tomography are skipped with that reason.
    if own_coefficients(geometry) or TOMOGRAPHY
]
