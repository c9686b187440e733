"""Time and memory of the denoisers by size of the picture, of deblurring, of tiles and layouts."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pnp_recon import Stopping, reconstruct
from scripts.accelerator.checks.cases import (
    MODELS,
    NOISE,
    channels_of,
    measured,
    model,
    operator_of,
    picture,
    summary,
)
from scripts.accelerator.checks.session import SKIPPED, Budget, Found, Mode, Session, precision

SIZES = {
    "321x481": (321, 481),
    "1MP": (1000, 1000),
    "12MP": (3000, 4000),
    "24MP": (4000, 6000),
    "100MP": (10000, 10000),
}
TINY = {"24x40": (24, 40)}
LEVEL = 15 / 255
MIB = 2**20


def measure(session: Session, out: Found, budget: Budget) -> None:
    sizes = session.size(TINY, SIZES)
    names = session.size(("euler_colour", "dncnn_grey"), MODELS)
    # The cheap parts that say most come first; large pictures take what is left.
    first, *others = sizes
    table = out.setdefault("denoisers", {})
    rate: dict[tuple[str, str], float] = {}

    def row(name: str, size: str, mode: Mode, within: Budget) -> None:
        key = f"{name} {size} {mode}"
        expected = 2 * rate.get((name, mode), 0.0) * _pixels(sizes[size]) / 1e3
        if expected > within.left:
            table[key] = SKIPPED
            return
        got = session.attempt(table, key, partial(timed, session, name, sizes[size], mode), within)
        if got:
            rate[name, mode] = got["ms"] / _pixels(sizes[size])

    within = budget.part(0.3)
    for name in names:
        for mode in session.modes:
            row(name, first, mode, within)
    deblurring(session, out.setdefault("deblur_1MP", {}), budget.part(0.25))
    layouts(session, out.setdefault("layout_1MP_euler_colour", {}), budget.part(0.15))
    within = budget.part(0.7)
    for size in others:
        for name in names:
            for mode in session.modes:
                row(name, size, mode, within)
    tiles = out.setdefault("tiles_24MP_euler_colour", {})
    big = session.size((24, 40), SIZES["24MP"])
    for tile in (512, 1024, 2048, 4096, None) if not session.tiny else (16, None):
        session.attempt(
            tiles,
            f"tile {tile}",
            partial(timed, session, "euler_colour", big, "f32", tile),
            budget,
        )


def timed(
    session: Session, name: str, size: tuple[int, int], mode: Mode, tile: Any = "auto"
) -> Found:
    net = model(name, session.device, mode, tile=tile)
    x = torch.rand(1, channels_of(name), *size, device=session.device)
    before = _fresh_memory(session)
    pixels = _pixels(size)
    with torch.inference_mode(), precision(mode):
        reps, warm = (3 if pixels > 2e6 else 7), (1 if pixels < 5e7 else 0)
        found = session.timed(lambda: net(x, LEVEL), reps, warm, cap=0.5)
    if session.cuda:
        found["peak_extra_MiB"] = (torch.cuda.max_memory_allocated() - before) / MIB
    found["mp_per_s"] = pixels / 1e3 / found["ms"]
    return found


def deblurring(session: Session, out: Found, budget: Budget) -> None:
    """A picture of a megapixel, as a user would run it; each run for a share of the time."""
    x = picture(*session.size((32, 40), (1000, 1000)))
    cases = [(kind, mode) for kind in ("conv circular motion15", "conv valid motion15", "inpaint")
             for mode in session.modes if mode != "bf16"]  # fmt: skip

    def run(kind: str, mode: Mode, limit: float) -> Found:
        y = measured(kind, x).to(session.device)
        A = operator_of(kind, tuple(x.shape[1:]), session.device)
        denoiser = model("euler_colour", session.device)
        _fresh_memory(session)
        stopping = Stopping(max_iter=session.size(3, 1000), time_limit=limit)
        with precision(mode):
            start = time.perf_counter()
            found = reconstruct(
                y,
                A,
                denoiser,
                noise_level=NOISE,
                strength=1,
                reference=x.to(session.device),
                stopping=stopping,
            )
            session.sync()
        row = summary(found) | {"wall_s": time.perf_counter() - start, "time_limit_s": limit}
        row["psnr"] = found.history.psnr[-1]
        row["ms_per_iteration"] = 1e3 * found.history.seconds[-1] / found.iterations
        if session.cuda:
            row["peak_MiB"] = torch.cuda.max_memory_allocated() / MIB
        return row

    for number, (kind, mode) in enumerate(cases):
        limit = max(0.05, 0.8 * budget.left / (len(cases) - number))
        session.attempt(
            out,
            f"{kind} {mode}",
            partial(run, kind, mode, limit),
            budget,
        )


def layouts(session: Session, out: Found, budget: Budget) -> None:
    """The blocks of a network with features in either memory format."""
    net: Any = model("euler_colour", session.device).function
    size = session.size((24, 40), SIZES["1MP"])
    x = torch.rand(1, 3, *size, device=session.device)
    level = torch.full((1,), LEVEL, device=session.device)

    def centred(layout: torch.memory_format) -> Tensor:
        z = net.lifting.lift(x - 0.5).contiguous(memory_format=layout)
        for block in net.blocks:
            z = block(z, level)
        return net.lifting.lower(z, x.shape[-2:])

    def run(mode: Mode, layout: torch.memory_format) -> Found:
        cast = torch.autocast(session.device, torch.bfloat16, enabled=mode == "bf16")
        with torch.inference_mode(), precision(mode), cast:
            return session.timed(lambda: centred(layout), 7, 2, cap=0.3)

    for mode in session.modes:
        for layout in (torch.channels_last, torch.contiguous_format):
            session.attempt(
                out,
                f"{mode} {str(layout).removeprefix('torch.')}",
                partial(run, mode, layout),
                budget,
            )


def _fresh_memory(session: Session) -> int:
    """What is allocated now, with the peak set back to it."""
    if not session.cuda:
        return 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def _pixels(size: tuple[int, int]) -> int:
    return size[0] * size[1]
