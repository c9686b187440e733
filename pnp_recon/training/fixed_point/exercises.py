"""Exercises for a denoiser at the fixed point: batches of problems, and the PnP step for them.

Circular blur and missing pixels only: their proximal maps have closed forms, so that an iteration
costs little more than the denoiser. One kind, one noise level and one coupling a batch, since the
network takes one level the fastest; kernels and masks are each picture's own. The iterations are
the solvers' own maps (`solvers.pnp.maps`), the rules of what is drawn are in `problems.running`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.problems.running import (
    KernelKind,
    integer,
    running_kernel,
    running_level,
    running_mask,
    running_noise,
    uniform,
)
from pnp_recon.solvers.pnp.maps import Denoise, Prox, drs, hqs
from pnp_recon.solvers.tuning import automatic
from pnp_recon.training.fixed_point.recipe import LARGEST_KERNEL

Network = Callable[[Tensor, float], Tensor]

# Which exercises are set: kernels, noise levels as σ·255 and uniform in log, missing shares.
KINDS: tuple[KernelKind, ...] = ("motion", "trajectory", "gaussian")
BLUR_NOISE = (2.0, 15.0)
MISSING = (0.3, 0.85)
# Half of the inpainting problems have exact data, as the benchmark has them.
INPAINTING_NOISE, EXACT_SHARE = (0.5, 5.0), 0.5
# The denoiser's level is drawn around the default rule, up to this factor on either side.
STRENGTH = 1.4
# Variance of the gradient of photographs, for the Wiener filter that iterations start from.
GRADIENT_VARIANCE = 0.007


@dataclass(frozen=True)
class Iteration:
    """A certified iteration.

    Attributes:
        solver: whose tuned choice is taken.
        step: (prox, denoise, z, λ) to the next z and a bound of its error.
        lifted: whether the picture of z is prox(z), and not z itself.
    """

    solver: str
    step: Callable[[Prox, Denoise, Tensor, float], tuple[Tensor, Tensor]]
    lifted: bool


def _hqs(prox: Prox, denoise: Denoise, z: Tensor, relaxation: float) -> tuple[Tensor, Tensor]:
    """The tuned splitting is not relaxed."""
    return hqs(prox, denoise, z)


HQS = Iteration("pnp-hqs", _hqs, lifted=False)
DRS = Iteration("pnp-drs", drs, lifted=True)


class Data(Protocol):
    """A data fidelity whose proximal map has a closed form.

    Attributes:
        iteration: the one that is good for such data.
        rounds: its steps for each one that a blur takes.
        y: what is measured, (B, C, H, W).
    """

    iteration: ClassVar[Iteration]
    rounds: ClassVar[int]

    @property
    def y(self) -> Tensor: ...

    def prox(self, z: Tensor, gamma: float) -> Tensor:
        """prox_{γf}(z)."""
        ...

    def start(self, noise_level: float) -> Tensor:
        """A first guess in [0, 1]."""
        ...


@dataclass(frozen=True, eq=False)
class Blurred:
    """Circular blur y = k ∗ x + noise.

    Attributes:
        transfer: transforms of the kernels, (B or 1, 1, H, W // 2 + 1).
        y: (B, C, H, W).
    """

    iteration: ClassVar[Iteration] = HQS
    rounds: ClassVar[int] = 1

    transfer: Tensor
    y: Tensor

    def prox(self, z: Tensor, gamma: float) -> Tensor:
        """prox_{γf}(z), f = ½‖k ∗ x − y‖²."""
        right = torch.fft.rfft2(z) + gamma * self.transfer.conj() * torch.fft.rfft2(self.y)
        return self._inverse(right / (1 + gamma * self.transfer.abs().square()))

    def start(self, noise_level: float) -> Tensor:
        """The Wiener filter for pictures whose gradient is white, in the box."""
        height, width = self.y.shape[-2:]
        rows, columns = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
        turns = 2 * math.pi * torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
        gradient = (2 - 2 * turns.cos()).sum(0).to(self.y)
        weight = noise_level**2 / GRADIENT_VARIANCE * gradient
        right = self.transfer.conj() * torch.fft.rfft2(self.y)
        return self._inverse(right / (self.transfer.abs().square() + weight)).clamp(0, 1)

    def _inverse(self, transform: Tensor) -> Tensor:
        height, width = self.y.shape[-2:]
        return torch.fft.irfft2(transform, s=(height, width))


@dataclass(frozen=True, eq=False)
class Masked:
    """Missing pixels: y = m·(x + noise).

    Attributes:
        mask: (B, 1, H, W), 1 where a pixel is known, else 0.
        y: (B, C, H, W), 0 where it is not.
    """

    iteration: ClassVar[Iteration] = DRS
    rounds: ClassVar[int] = 2

    mask: Tensor
    y: Tensor

    def prox(self, z: Tensor, gamma: float) -> Tensor:
        """prox_{γf}(z), f = ½‖m·x − y‖²."""
        return (z + gamma * self.y) / (1 + gamma * self.mask)

    def start(self, noise_level: float) -> Tensor:
        """Known pixels averaged with weights that fall with distance (Shepard 1968)."""
        height, width = self.y.shape[-2:]
        rows, columns = torch.fft.fftfreq(height) * height, torch.fft.fftfreq(width) * width
        distance = rows[:, None].square() + columns.square()
        weights = torch.fft.rfft2((distance + 0.5).pow(-2).to(self.y))
        total, known = (
            torch.fft.irfft2(torch.fft.rfft2(x) * weights, s=(height, width))
            for x in (self.y, self.mask)
        )
        filled = (total / known).clamp(0, 1)
        return torch.where(self.mask > 0, self.y.clamp(0, 1), filled)


@dataclass(frozen=True, eq=False)
class Exercise:
    """Measurements of a batch with the certified iteration, its level and coupling chosen.

    Attributes:
        name: what kind of problem it is.
        data: the fidelity, which says what iteration it takes.
        noise_level: standard deviation of the noise in the data, [0, 1] scale.
        level, coupling, relaxation: the denoiser's level, γ and λ.
    """

    name: str
    data: Data
    noise_level: float
    level: float
    coupling: float
    relaxation: float

    def start(self) -> Tensor:
        """A first guess (B, C, H, W) in [0, 1]: where the iteration starts."""
        return self.data.start(self.noise_level)

    def step(self, network: Network, z: Tensor) -> Tensor:
        """T(z): one step of the iteration, differentiable in z and in the network's weights."""

        def prox(z: Tensor) -> tuple[Tensor, Tensor]:
            return self.data.prox(z, self.coupling), z.new_zeros(len(z))

        def denoise(x: Tensor) -> Tensor:
            return network(x, self.level).to(z.dtype)

        return self.data.iteration.step(prox, denoise, z, self.relaxation)[0]

    def image(self, z: Tensor) -> Tensor:
        """The picture that belongs to an iterate."""
        return self.data.prox(z, self.coupling) if self.data.iteration.lifted else z


def posed(name: str, data: Data, noise_level: float, strength: float = 1.0) -> Exercise:
    """The exercise with the default choice of level and coupling, the level times `strength`.

    Blur is solved by half-quadratic splitting, missing pixels by Douglas–Rachford splitting, as
    in the benchmark; γ follows the level as in `solvers.tuning.coupling`.
    """
    choice = automatic(noise_level, data.iteration.solver)
    level, coupling = strength * choice.level, strength**2 * choice.coupling
    return Exercise(name, data, noise_level, level, coupling, choice.relaxation)


def blurred(
    clean: Tensor, blurs: list[Tensor], noise_level: float | Tensor, generator: torch.Generator
) -> Blurred:
    """Pictures (B, C, H, W), each blurred with a kernel of its own or all with one, and noise.

    Raises:
        InputError: a kernel larger than the pictures.
    """
    height, width = clean.shape[-2:]
    grids = []
    for blur in blurs:
        rows, columns = blur.shape
        if rows > height or columns > width:
            raise InputError(
                f"a blur of {rows}×{columns} does not fit into pictures of {height}×{width}; "
                "take larger ones"
            )
        grid = clean.new_zeros(height, width)
        grid[:rows, :columns] = blur.to(clean)
        grids.append(grid.roll((-(rows // 2), -(columns // 2)), (0, 1)))
    transfer = torch.fft.rfft2(torch.stack(grids)[:, None])
    y = torch.fft.irfft2(torch.fft.rfft2(clean) * transfer, s=(height, width))
    return Blurred(transfer, y + noise_level * running_noise(generator)(clean))


def masked(
    clean: Tensor, rates: list[float], noise_level: float | Tensor, generator: torch.Generator
) -> Masked:
    """Pictures (B, C, H, W) that miss single pixels, each at a rate of its own, and noise."""
    size = clean.shape[-2:]
    mask = torch.stack([running_mask(size, rate, generator)[None] for rate in rates]).to(clean)
    return Masked(mask, mask * (clean + noise_level * running_noise(generator)(clean)))


def draw(clean: Tensor, inpainting: float, generator: torch.Generator) -> Exercise:
    """A random exercise for clean pictures (B, C, H, W), H, W ≥ 31.

    Args:
        clean: in [0, 1].
        inpainting: probability of missing pixels; the rest is motion, camera shake and Gaussian
            blur in equal parts.
        generator: on the CPU; everything that is drawn follows from it.

    Raises:
        InputError: pictures that a kernel does not fit into.
    """
    strength = STRENGTH ** (2 * uniform(0, 1, generator) - 1)
    if uniform(0, 1, generator) < inpainting:
        exact = uniform(0, 1, generator) < EXACT_SHARE
        noise = 0.0 if exact else running_level(INPAINTING_NOISE, generator)
        rates = [uniform(*MISSING, generator) for _ in clean]
        return posed("inpainting", masked(clean, rates, noise, generator), noise, strength)
    kind = KINDS[integer(0, 2, generator)]
    blurs = [running_kernel(kind, LARGEST_KERNEL, generator) for _ in clean]
    noise = running_level(BLUR_NOISE, generator)
    return posed(kind, blurred(clean, blurs, noise, generator), noise, strength)
