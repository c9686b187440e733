"""What a run will hold in memory, said before it is begun: the one rule of all commands.

It is counted: what the process holds now, what its operator is still to take, and a number of bytes
for each pixel that is worked on. Where many slices are one problem the count is one of slices, and
also says how many would fit. All of it are estimates, and called so.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from operators._memory import available_bytes, resident_bytes
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.options import RunOptions
from pnp_recon.cli.run.solve import Prior, searched
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.energies.base import LearnedEnergy

# Bytes that a run works with for each value of the picture (pixels times channels), above measured
# peaks (scripts/tables/said.py) of a mask, a blur with unknown border, total variation. An energy
# takes them for each pixel, as its features are, and the channels add to it.
DIRECT_BYTES, INNER_BYTES, TERM_BYTES = 260, 390, 220
ENERGY_PIXEL, ENERGY_VALUE = 2100, 470
# The same of slices that are one problem: for each voxel and for each datum, above measured peaks
# (total variation: 64 slices of 128²; an energy: 16 of them); for each pixel of the few slices
# whose energy is computed at a time, and what loading it takes.
VOXEL = {"functional": 300, "energy": 480}
DATUM = {"functional": 120, "energy": 120}
PIXEL, LOADED = 2000, 100_000_000
# The same run in float64: no number of it takes more than twice the bytes. It is not measured.
WIDE = 2
GIB = 2**30
# Less than this beside what the process holds anyway is not worth a line.
LITTLE = GIB / 2


def working_bytes(case: Case, prior: Prior, options: RunOptions) -> float:
    """What a run takes beside what the process holds before it, about."""
    if case.solve is not None:
        return 0.0
    channels = math.prod(case.A.image_shape[:-2])
    if isinstance(prior, LearnedEnergy):
        each: float = ENERGY_PIXEL + ENERGY_VALUE * channels
    elif isinstance(prior, Denoiser):
        exact = case.A.prox_closed_form and "fidelity" not in case.arguments
        each = channels * (DIRECT_BYTES if exact else INNER_BYTES)
    else:
        each = channels * TERM_BYTES
    wide = WIDE if options.dtype.value == "float64" else 1
    pictures = max((len(part.y) for part in case.parts), default=len(case.y))
    if case.excerpt is None and prior is not None and searched(case, options):
        pictures *= 2
    return wide * each * case.pixels * pictures + case.operator_bytes


def needed_bytes(case: Case, prior: Prior, options: RunOptions) -> float:
    """What the process will hold at most, about."""
    return resident_bytes() + working_bytes(case, prior, options)


def memory_lines(
    case: Case, prior: Prior, options: RunOptions, always: bool = False
) -> tuple[str, str]:
    """How much memory the run will take, about, and a warning where there is less; each may be
    empty: little is said only where it is asked for (`always`)."""
    channels, height, width = case.degraded.shape[1:]
    more = working_bytes(case, prior, options)
    # What this process holds of the memory in which it will work; of a GPU's nothing is counted.
    held = resident_bytes() if case.y.device.type == "cpu" else 0
    need = held + more
    words = f"{width}×{height}, {channels} channel{'s' if channels > 1 else ''}"
    line = f"size: {words}: about {need / GIB:.1f} GiB of memory"
    free = held + available_bytes(case.y.device.type)
    if need <= free:
        return line if always or more >= LITTLE else "", ""
    out = "take a smaller copy of the picture"
    if case.excerpt is not None:
        out = "restore a part with --crop X,Y,W,H, or a smaller copy of the picture"
    if isinstance(prior, LearnedEnergy):
        out += ", or take a denoiser that works in tiles (--denoiser euler_colour or euler_grey)"
    return line, f"{words}: about {need / GIB:.1f} GiB of memory are needed and {free / GIB:.1f} " \
        f"GiB are free, so that the run may be ended by the system; {out}"  # fmt: skip


@dataclass(frozen=True)
class Room:
    """What slices take that are one problem.

    Attributes:
        fixed: bytes that the process holds whatever the number of slices.
        each: bytes of a slice.
    """

    fixed: int
    each: int

    def bytes(self, slices: int) -> int:
        return self.fixed + slices * self.each

    def fitting(self, most: int) -> int:
        """Slices that a process can work on which holds at most so many bytes."""
        return max(0, (most - self.fixed) // self.each)


def room(shape: tuple[int, int], data: int, options: RunOptions) -> Room:
    """What a volume takes whose slices are one problem.

    Args:
        shape: (rows, columns) of a slice.
        data: numbers that were measured of a slice.
        options: what was asked for.
    """
    kind, wide = options.prior_kind, WIDE if options.dtype.value == "float64" else 1
    kind = kind if kind in VOXEL else "energy"
    pixels = math.prod(shape)
    each = wide * (VOXEL[kind] * pixels + DATUM[kind] * data)
    few = LOADED + wide * PIXEL * pixels if kind == "energy" else 0
    return Room(resident_bytes() + few, each)


def room_at_most(free: int) -> int:
    """Bytes that this process can hold where so many are free."""
    return free + resident_bytes()
