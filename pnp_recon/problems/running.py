"""Every rule by which training draws: the next numbers of a generator that the run goes on with.

A run repeats because each rule takes the same numbers from the generator in the same order, for
ever; see `noise`. Which problems are drawn how often is the trainer's choice.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from operators import kernels
from operators.masks import random_pixels
from pnp_recon.problems.noise import Draw

KernelKind = Literal["motion", "trajectory", "gaussian", "disk"]

# In pixels: lengths of motion, the least side of a camera's path, deviations of Gaussians,
# radii of discs.
MOTION_LENGTH = (5.0, 25.0)
LEAST_TRAJECTORY = 15
GAUSSIAN_STD = (1.0, 2.2)
DISK_RADIUS = (1.5, 5.0)


def running_noise(generator: torch.Generator) -> Draw:
    """White noise of level 1, drawn in the type of what it is added to."""

    def draw(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)

    return draw


def running_kernel(kind: KernelKind, largest: int, generator: torch.Generator) -> Tensor:
    """A kernel (h, w) of motion, camera shake or defocus, no side above `largest` ≥ 31 pixels."""
    if kind == "motion":
        length, angle = uniform(*MOTION_LENGTH, generator), uniform(0, 180, generator)
        return kernels.linear_motion(length, angle)
    if kind == "trajectory":
        side = 2 * integer(LEAST_TRAJECTORY // 2, largest // 2, generator) + 1
        return kernels.trajectory(side, generator, steps=500)
    if kind == "disk":
        return kernels.disk(uniform(*DISK_RADIUS, generator))
    return kernels.gaussian(uniform(*GAUSSIAN_STD, generator))


def running_mask(size: tuple[int, ...], missing: float, generator: torch.Generator) -> Tensor:
    """Known pixels (H, W), a share `missing` of them unknown at random."""
    return random_pixels(size, missing, generator)


def running_level(limits: tuple[float, float], generator: torch.Generator) -> float:
    """A noise level on the [0, 1] scale, uniform in log σ between limits of σ·255."""
    low, high = limits
    return low / 255 * (high / low) ** uniform(0, 1, generator)


def running_levels(limits: tuple[float, float], count: int, generator: torch.Generator) -> Tensor:
    """Noise levels (count,) on the [0, 1] scale, their roots uniform between limits of σ·255."""
    low, high = (limit**0.5 for limit in limits)
    return (low + (high - low) * torch.rand(count, generator=generator)).square() / 255


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """A number between two others."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def integer(low: int, high: int, generator: torch.Generator) -> int:
    """A whole number, both ends included."""
    return int(torch.randint(low, high + 1, (1,), generator=generator))
