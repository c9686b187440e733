"""Every rule by which noise and masks are drawn, each with a name and a seed rule of its own.

Published tables, trained weights and pictures of a command repeat because these rules never change:
a number that is drawn otherwise gets a rule of another name. Each rule gives a `Draw`. Numbers are
drawn on the CPU, so that every device sees the same. What is measured lives in `simulate`; photon
counts themselves in `scans.counts`.

    benchmark_noise, noisy   pnp-bench: picture, noise level, seed of the run
    benchmark_mask           the same for masks
    table_noise, table_mask  tables of scripts/: picture, noise level
    command_noise            --simulate of a command: its --seed
    validation_noise         checks of a training run: the picture's number
    validation_generator     the same for problems that are drawn as a whole
    running_noise            training: whatever the run's generator gives next
    scan_generator           scans that networks train on: seed of the run, number of the slice
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from operators.masks import random_pixels
from pnp_recon.errors import InputError

# Standard normal numbers of the shape, type and device of a tensor.
Draw = Callable[[Tensor], Tensor]

# Masks of the benchmark have the seed that noise of this level, which no picture gets, would have.
_MASK_LEVEL = 3.0
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


def benchmark_mask(size: Sequence[int], missing: float, index: int, seed: int = 0) -> Tensor:
    """Known pixels (H, W) of picture `index`, a share `missing` of them unknown at random.

    The seed is none that the picture's own noise has.
    """
    return random_pixels(size, missing, seeded(noise_seed(_MASK_LEVEL, index, seed)))


# ---- tables that scripts write -------------------------------------------------------------------


def table_noise(level: float, index: int) -> Draw:
    """The noise of picture `index` at the level σ·255: the seed is 1000·index + 100·level."""
    return partial(standard_normal, seed=1000 * index + round(100 * level))


def table_scan_noise(index: int) -> Draw:
    """The noise of slice `index`, whose number is the seed."""
    return partial(standard_normal, seed=index)


def table_mask(size: Sequence[int], missing: float, index: int) -> Tensor:
    """Known pixels (H, W) of picture `index`, whose number is the seed."""
    return random_pixels(size, missing, seeded(index))


# ---- commands ------------------------------------------------------------------------------------


def command_noise(seed: int) -> Draw:
    """The noise of --simulate, drawn in float64: one seed gives one picture in every precision."""
    return partial(standard_normal, seed=seed, dtype=torch.float64)


# ---- training ------------------------------------------------------------------------------------


def validation_noise(index: int) -> Draw:
    """The noise of a validation picture, whose number is the seed, the same at every level."""
    return partial(standard_normal, seed=index)


def validation_generator(index: int) -> torch.Generator:
    """What the problem of a validation picture is drawn from; the picture's number is the seed."""
    return seeded(index)


def running_noise(generator: torch.Generator) -> Draw:
    """The generator's next numbers, drawn in the type of what they are added to."""

    def draw(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)

    return draw


def scan_generator(number: int, seed: int) -> torch.Generator:
    """What the photon counts of slice `number` of a data set are drawn from, in the run `seed`."""
    return seeded(_SLICES * seed + number)
