"""The three kinds of physics: blur, missing pixels, X-ray projections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from operators import Convolution, Inpainting, RayTransform, attenuation, kernels, parallel_beam
from operators.masks import random_pixels
from pnp_recon.benchmark.cells import Cell, Plan
from pnp_recon.benchmark.pictures import read_slice_values
from pnp_recon.benchmark.suites.base import picture_of
from pnp_recon.benchmark.suites.reconstruct import Reconstruct, Setting
from pnp_recon.datasets.folders import noise_seed, noisy
from pnp_recon.pictures.crops import centre_crop
from pnp_recon.scans.window import HOUNSFIELD_WINDOW, hounsfield_window

KERNELS: dict[str, Callable[[], Tensor]] = {
    "motion 15 px, 30°": lambda: kernels.linear_motion(15, 30),
    "trajectory 0": lambda: kernels.trajectory(25, 0),
    "trajectory 1": lambda: kernels.trajectory(25, 1),
    "Gaussian 1.6 px": lambda: kernels.gaussian(1.6),
    "disk 4 px": lambda: kernels.disk(4),
}
MISSING = {"50 % missing": 0.5, "80 % missing": 0.8}
VIEWS = {"60 views": 60}
# Of the Hann window of the filtered back-projection that is the start in tomography.
CUTOFF = 0.75


class Deblur(Reconstruct):
    """Deblurring, circular convolution, as the literature compares it."""

    name: ClassVar[str] = "deblur"
    what: ClassVar[str] = "motion, camera shake, Gaussian and disk blur, circular, with noise"
    noise: ClassVar[tuple[float, ...]] = (2.55, 7.65, 12.75)
    channels: ClassVar[int] = 3

    def names(self) -> tuple[str, ...]:
        return tuple(KERNELS)

    def setting(self, plan: Plan, cell: Cell) -> Setting:
        x = picture_of(plan, cell)
        kernel = KERNELS[cell.problem.name]().to(plan.device)
        A = Convolution(kernel, shape(x), "circular")
        sigma = cell.problem.noise / 255
        y = noisy(A.A(x), sigma, cell.index, plan.seed)
        return Setting(A, y, x, sigma, A.initial_guess(y))


class Inpaint(Reconstruct):
    """Inpainting of single pixels that are missing at random."""

    name: ClassVar[str] = "inpaint"
    what: ClassVar[str] = "half or four fifths of the pixels missing at random"
    noise: ClassVar[tuple[float, ...]] = (0.0,)
    channels: ClassVar[int] = 3
    # The data are exact: Douglas-Rachford is ahead of half-quadratic splitting there.
    settings: ClassVar[Mapping[str, Any]] = {**Reconstruct.settings, "solver": "pnp-drs"}

    def names(self) -> tuple[str, ...]:
        return tuple(MISSING)

    def setting(self, plan: Plan, cell: Cell) -> Setting:
        x = picture_of(plan, cell)
        # Other numbers than those of the noise, which the same seed would repeat.
        seed = noise_seed(3.0, cell.index, plan.seed)
        rate = MISSING[cell.problem.name]
        generator = torch.Generator().manual_seed(seed)
        mask = random_pixels(x.shape[-2:], rate, generator).to(plan.device)
        A = Inpainting(mask, shape(x))
        sigma = cell.problem.noise / 255
        y = A.A(x) if sigma == 0 else A.A(noisy(x, sigma, cell.index, plan.seed))
        return Setting(A, y, x, sigma, A.initial_guess(y))


class Tomography(Reconstruct):
    """Parallel-beam tomography of CT slices, in the window −1024 … 1500 HU."""

    name: ClassVar[str] = "ct"
    what: ClassVar[str] = "CT slices from 60 parallel views with noise (percent of the maximum)"
    noise: ClassVar[tuple[float, ...]] = (1.0,)
    grey_only: ClassVar[bool] = True

    def names(self) -> tuple[str, ...]:
        return tuple(VIEWS)

    def setting(self, plan: Plan, cell: Cell) -> Setting:
        values = read_slice_values(Path(plan.data), plan.split, cell.picture)
        if plan.crop is not None:
            values = centre_crop(values, plan.crop)
        x = attenuation(values.clamp(*HOUNSFIELD_WINDOW)).to(plan.device)
        A = RayTransform(parallel_beam(VIEWS[cell.problem.name], x.shape[-1]), shape(x))
        clean, window = A.A(x), hounsfield_window()
        sigma = cell.problem.noise / 100 * float(clean.max())
        # The noise generator knows pictures of the range [0, 1]: the sinogram is scaled to it.
        unit = float(clean.max())
        measured = unit * noisy(clean / unit, cell.problem.noise / 100, cell.index, plan.seed)
        y, truth = window.measurements(A, measured), window.to_unit(x)
        start = window.to_unit(A.fbp(measured, "hann", CUTOFF)).clamp(0, 1)
        return Setting(A, y, truth, window.noise_level(sigma), start)


def shape(x: Tensor) -> tuple[int, int, int]:
    return (int(x.shape[1]), int(x.shape[2]), int(x.shape[3]))
