"""Every rule by which masks of known pixels are drawn; see `noise` for why they have names.

benchmark_mask   pnp-bench: picture, seed of the run
table_mask       tables of scripts/: picture
command_mask     --simulate of a command: its --seed, for pixels, blocks or strokes
sampling_mask    lines and spokes of k-space, of commands and tables: a seed
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from operators.kspace_masks import equispaced_lines, radial_spokes, random_lines
from operators.masks import blocks, random_pixels, strokes
from pnp_recon.problems.noise import noise_seed, seeded

MaskKind = Literal["pixels", "blocks", "strokes"]
SamplingKind = Literal["random", "equispaced", "radial"]

# Masks of the benchmark have the seed that noise of this level, which no picture gets, would have.
_MASK_LEVEL = 3.0
# Blocks and strokes of a command: side, and diameter of the brush, as shares of the shorter side.
BLOCK_SHARE, BRUSH_SHARE = 1 / 8, 1 / 40


def benchmark_mask(size: Sequence[int], missing: float, index: int, seed: int = 0) -> Tensor:
    """Known pixels (H, W) of picture `index`, a share `missing` of them unknown at random.

    The seed is none that the picture's own noise has.
    """
    return random_pixels(size, missing, seeded(noise_seed(_MASK_LEVEL, index, seed)))


def table_mask(size: Sequence[int], missing: float, index: int) -> Tensor:
    """Known pixels (H, W) of picture `index`, whose number is the seed."""
    return random_pixels(size, missing, seeded(index))


def command_mask(kind: MaskKind, size: Sequence[int], missing: float, seed: int) -> Tensor:
    """Known pixels (H, W), a share of about `missing` unknown; exactly so for single pixels.

    n blocks or strokes of area a overlap and leave (1 − a)ⁿ on average; how many are needed is
    first computed so, then corrected by what a trial really leaves.

    Raises:
        OperatorError: no pixel would be left.
    """
    if kind == "pixels":
        return random_pixels(size, missing, seeded(seed))
    shorter, longer = min(size), max(size)
    side, brush = max(1, round(BLOCK_SHARE * shorter)), max(1.0, BRUSH_SHARE * shorter)

    def draw(count: int) -> Tensor:
        if kind == "blocks":
            return blocks(size, count, side, seeded(seed))
        return strokes(size, count, brush, seeded(seed), length=longer / 2)

    area = side**2 if kind == "blocks" else brush * longer / 2
    remaining = math.log1p(-missing)
    trial = max(1, round(remaining / math.log1p(-area / math.prod(size))))
    left = float(draw(trial).double().mean())
    count = trial if left == 1 else round(trial * remaining / math.log(left))
    return draw(max(1, count))


def sampling_mask(
    kind: SamplingKind, size: Sequence[int], acceleration: float, seed: int
) -> Tensor:
    """Measured frequencies (H, W): lines with the centre, or spokes; see `operators.kspace_masks`.

    The seed is that of random lines.
    """
    if kind == "random":
        return random_lines(size, acceleration, seeded(seed))
    if kind == "equispaced":
        return equispaced_lines(size, acceleration)
    return radial_spokes(size, acceleration)
