"""Every rule by which noise is drawn, each with a name and a seed rule of its own.

Published tables, trained weights and pictures of a command repeat because these rules never change:
a number that is drawn otherwise gets a rule of another name. Each rule gives a `Draw`. Numbers are
drawn on the CPU, so that every device sees the same. Masks are in `masks`, what training draws from
a generator that goes on is in `running`, what is measured is in `simulate`.

    benchmark_noise, noisy   pnp-bench: picture, noise level, seed of the run
    table_noise              tables of scripts/: picture, noise level
    table_scan_noise         the same for scans: number of the slice
    command_noise            --simulate of a command: its --seed
    command_counts           the same for the photons of a scan
    command_photons          the same for the photons of a picture
    phase_weights            the smooth phase of a simulated magnetic resonance: a seed
    validation_noise         checks of a training run: the picture's number
    energy_noise             checks of an energy in training: picture, noise level
    validation_generator     the same for problems that are drawn as a whole
    scan_generator           scans that networks train on: seed of the run, number of the slice
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pnp_recon.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float

# Numbers of the shape, type and device of a tensor: standard normal ones, or counts.
Draw = Callable[[Tensor], Tensor]

# Seeds of neighbouring slices; two runs share noise only where their slices are a million apart.
_SLICES = 1_000_000


def seeded(seed: int) -> torch.Generator:
    """A generator on the CPU that starts from `seed`."""
    return torch.Generator().manual_seed(seed)


def standard_normal(like: Tensor, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """White noise of level 1, drawn in `dtype`, in shape, type and device of `like`."""
    return torch.randn(like.shape, generator=seeded(seed), dtype=dtype).to(like)


# ---- pnp-bench -----------------------------------------------------------------------------------


def noise_seed(sigma: float, index: int, seed: int = 0) -> int:
    """Seed of the noise of picture `index` at `sigma` ([0, 1] units): one for every pair.

    Pairs differ for σ below 4 and steps of σ·255 of a thousandth. `seed` 0 is the noise of all
    published figures; every other one is another draw for every pair.

    Raises:
        InputError: negative index, sigma outside [0, 4), or seed outside [0, 2³²).
    """
    if index < 0 or not 0 <= sigma < 4:
        raise InputError(
            f"index {index}, sigma {sigma}; expected index ≥ 0 and sigma in [0, 4), on the [0, 1] "
            "scale"
        )
    if not 0 <= seed < 2**32:
        raise InputError(f"seed is {seed}; expected a whole number from 0 to {2**32 - 1}")
    # torch's generator looks at the lowest 32 bits only; an odd factor keeps seeds apart in these.
    return 1_020_000 * index + round(255_000 * sigma) + seed * 2_654_435_769 % 2**32


def benchmark_noise(sigma: float, index: int, seed: int = 0) -> Draw:
    """The noise of picture `index` of a split at the level `sigma`; see `noise_seed`."""
    return partial(standard_normal, seed=noise_seed(sigma, index, seed))


def noisy(
    x: Float[Tensor, "*B C H W"], sigma: float, index: int, seed: int = 0
) -> Float[Tensor, "*B C H W"]:
    """`x` plus white Gaussian noise of standard deviation `sigma`, not clipped.

    The noise depends on nothing but the shape, `sigma`, the picture's `index` in its split and
    `seed`: it is drawn in float32 on the CPU, whatever the device and the type of `x`, so that
    every method on every machine sees the same picture.

    Raises:
        InputError: negative index, sigma outside [0, 4), or seed outside [0, 2³²).
    """
    return x + sigma * benchmark_noise(sigma, index, seed)(x)


# ---- tables that scripts write -------------------------------------------------------------------


def table_noise(level: float, index: int) -> Draw:
    """The noise of picture `index` at the level σ·255: the seed is 1000·index + 100·level."""
    return partial(standard_normal, seed=1000 * index + round(100 * level))


def table_scan_noise(index: int) -> Draw:
    """The noise of slice or photograph `index`, whose number is the seed."""
    return partial(standard_normal, seed=index)


def table_counts(index: int) -> Draw:
    """Poisson counts (float64) with the given mean counts; the picture's number is the seed."""

    def draw(mean: Tensor) -> Tensor:
        return torch.poisson(mean.double().cpu(), generator=seeded(index))

    return draw


# ---- commands ------------------------------------------------------------------------------------


def command_noise(seed: int) -> Draw:
    """The noise of --simulate, drawn in float64: one seed gives one picture in every precision."""
    return partial(standard_normal, seed=seed, dtype=torch.float64)


def command_counts(incident: float, seed: int) -> Draw:
    """The photons of --simulate: line integrals to counts, where `incident` enter each ray."""
    # Not at the top: training draws its noise here, on machines that read no scans.
    from pnp_recon.scans.counts import photon_counts

    def draw(line_integrals: Tensor) -> Tensor:
        return photon_counts(line_integrals, incident, seeded(seed))

    return draw


def command_photons(seed: int, readout: float = 0.0) -> Draw:
    """Counts (float64) of --simulate for mean counts.

    Args:
        readout: standard deviation, in counts, of normal noise that the readout adds.
    """

    def draw(mean: Tensor) -> Tensor:
        generator, mean = seeded(seed), mean.double().cpu()
        counts = torch.poisson(mean, generator=generator)
        if not readout:
            return counts
        return counts + readout * torch.randn(mean.shape, generator=generator, dtype=mean.dtype)

    return draw


def phase_weights(seed: int) -> Tensor:
    """Six numbers about 1 for `kspace.polynomial_phase`, the same for one seed everywhere."""
    return torch.randn(6, generator=seeded(seed), dtype=torch.float64)


# ---- training ------------------------------------------------------------------------------------


def validation_noise(index: int) -> Draw:
    """The noise of a validation picture, whose number is the seed, the same at every level."""
    return partial(standard_normal, seed=index)


def energy_noise(level: float, index: int) -> Draw:
    """The noise of picture `index` at the level σ·255, where an energy is checked."""
    return partial(standard_normal, seed=100_000 * round(level * 4) + index)


def validation_generator(index: int) -> torch.Generator:
    """What the problem of a validation picture is drawn from; the picture's number is the seed."""
    return seeded(index)


def scan_generator(number: int, seed: int) -> torch.Generator:
    """What the photon counts of slice `number` of a data set are drawn from, in the run `seed`."""
    return seeded(_SLICES * seed + number)
