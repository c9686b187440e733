"""Time and memory of the denoisers by size of the picture, with the share of the roofline; tiles.

The share is that of the convolutions' roofline: the least time that the convolutions of the network
can take by the ceilings of `roofline`, over the time that a call takes. Their work is counted on
the smallest picture and grows with the pixels; what tiles repeat at their seams is not counted.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import torch

from scripts.accelerator.benches.counts import Work, counted
from scripts.accelerator.checks.cases import MODELS, channels_of, model
from scripts.accelerator.checks.session import SKIPPED, Budget, Found, Mode, Session, precision

SIZES = {
    "321x481": (321, 481),
    "1MP": (1000, 1000),
    "12MP": (3000, 4000),
    "24MP": (4000, 6000),
    "100MP": (10000, 10000),
}
TINY = {"24x40": (24, 40)}
NAMES = (*MODELS, "energy_colour", "energy_grey")
LEVEL = 15 / 255
MIB = 2**20


def measure(session: Session, out: Found, budget: Budget) -> None:
    sizes = session.size(TINY, SIZES)
    names = session.size(("euler_colour", "energy_grey"), NAMES)
    # The cheap parts that say most come first; large pictures take what is left.
    first, *others = sizes
    table = out.setdefault("denoisers", {})
    rate: dict[tuple[str, str], float] = {}

    def row(name: str, size: str, mode: Mode, within: Budget) -> None:
        key = f"{name} {size} {mode}"
        expected = 2 * rate.get((name, mode), 0.0) * pixels_of(sizes[size]) / 1e3
        if expected > within.left:
            table[key] = SKIPPED
            return
        got = session.attempt(table, key, partial(timed, session, name, sizes[size], mode), within)
        if got:
            rate[name, mode] = got["ms"] / pixels_of(sizes[size])

    within = budget.part(0.35)
    for name in names:
        for mode in session.modes:
            row(name, first, mode, within)
    within = budget.part(0.8)
    for size in others:
        for name in names:
            for mode in session.modes:
                row(name, size, mode, within)
    tiles = out.setdefault("tiles_24MP_euler_colour", {})
    big = session.size((24, 40), SIZES["24MP"])
    for tile in session.size((16, None), (512, 1024, 2048, 4096, None)):
        run = partial(timed, session, "euler_colour", big, "f32", tile)
        session.attempt(tiles, f"tile {tile}", run, budget)


@torch.no_grad()
def timed(
    session: Session, name: str, size: tuple[int, int], mode: Mode, tile: Any = "auto"
) -> Found:
    net = model(name, session.device, mode, tile=tile)
    x = torch.rand(1, channels_of(name), *size, device=session.device)
    before = fresh_memory(session)
    pixels = pixels_of(size)
    with precision(mode):
        reps, warm = (3 if pixels > 2e6 else 7), (1 if pixels < 5e7 else 0)
        found = session.timed(lambda: net(x, LEVEL), reps, warm, cap=0.5)
    if session.cuda:
        found["peak_extra_MiB"] = (torch.cuda.max_memory_allocated() - before) / MIB
    found["mp_per_s"] = pixels / 1e3 / found["ms"]
    if floors := work_of(name, mode).of_pixels(pixels / pixels_of(WORK)).floors(session, mode):
        found |= floors | {"share": floors["convolutions_floor_ms"] / found["ms"]}
    return found


# Sides of the picture on which work is counted: no tiles, and no side that networks pad.
WORK = (64, 96)


@cache
def work_of(name: str, mode: Mode) -> Work:
    """What the network does with a picture of the size `WORK`."""
    net = model(name, "cpu", mode, tile=None)
    return counted(lambda: net(torch.rand(1, channels_of(name), *WORK), LEVEL))


def fresh_memory(session: Session) -> int:
    """What is allocated now, with the peak set back to it."""
    if not session.cuda:
        return 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def pixels_of(size: tuple[int, int]) -> int:
    return size[0] * size[1]
