"""The three kinds of physics: blur, missing pixels, X-ray projections."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from operators import RayTransform, attenuation, kernels, parallel_beam
from pnp_recon.benchmark.cells import Cell, Plan
from pnp_recon.benchmark.pictures import read_slice_values
from pnp_recon.benchmark.suites.base import picture_of
from pnp_recon.benchmark.suites.reconstruct import Reconstruct
from pnp_recon.pictures.crops import centre_crop
from pnp_recon.problems.masks import benchmark_mask
from pnp_recon.problems.noise import benchmark_noise
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import benchmark_tomography, deblurring, in_window, inpainting
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
# Cut-off of the Hann window of the filtered back-projection that is the start in tomography.
CUTOFF = 0.75


class Deblur(Reconstruct):
    """Deblurring, circular convolution, as the literature compares it."""

    def problem(self, plan: Plan, cell: Cell) -> Problem:
        x = picture_of(plan, cell)
        kernel = KERNELS[cell.degradation.name]().to(plan.device)
        sigma = cell.degradation.noise / 255
        return deblurring(x, kernel, sigma, benchmark_noise(sigma, cell.index, plan.seed))


class Inpaint(Reconstruct):
    """Inpainting of single pixels that are missing at random."""

    def problem(self, plan: Plan, cell: Cell) -> Problem:
        x = picture_of(plan, cell)
        missing, sigma = MISSING[cell.degradation.name], cell.degradation.noise / 255
        known = benchmark_mask(x.shape[-2:], missing, cell.index, plan.seed).to(plan.device)
        return inpainting(x, known, sigma, benchmark_noise(sigma, cell.index, plan.seed))


class Tomography(Reconstruct):
    """Parallel-beam tomography of CT slices, in the window −1024 … 1500 HU."""

    def problem(self, plan: Plan, cell: Cell) -> Problem:
        values = read_slice_values(Path(plan.data), plan.split, cell.picture)
        if plan.crop is not None:
            values = centre_crop(values, plan.crop)
        x = attenuation(values.clamp(*HOUNSFIELD_WINDOW)).to(plan.device)
        geometry = parallel_beam(VIEWS[cell.degradation.name], x.shape[-1])
        scan = benchmark_tomography(
            x, geometry, cell.degradation.noise / 100, cell.index, plan.seed
        )
        assert isinstance(scan.A, RayTransform)
        window = hounsfield_window()
        start = window.to_unit(scan.A.fbp(scan.y, "hann", CUTOFF)).clamp(0, 1)
        return in_window(scan, window, start)
