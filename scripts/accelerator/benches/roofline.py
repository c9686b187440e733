"""The ceilings of the card: how fast it copies, multiplies matrices, and convolves.

Shares of the roofline refer to these, not to a data sheet. Random numbers, never zeros: a product
of zeros runs faster. A copy counts the bytes that are read and those that are written.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F

from scripts.accelerator.benches.counts import counted
from scripts.accelerator.checks.session import Budget, Found, Mode, Session, precision

WIDTHS = (32, 64)


def measure(session: Session, out: Found, budget: Budget) -> None:
    modes: tuple[Mode, ...] = (*session.modes,)
    session.attempt(out, "copy", partial(copied, session), budget)
    for mode in modes:
        session.attempt(out, f"matmul {mode}", partial(multiplied, session, mode), budget)
        for width in session.size(WIDTHS[:1], WIDTHS):
            session.attempt(
                out, f"conv {width} {mode}", partial(convolved, session, mode, width), budget
            )
    out["ceilings"] = dict(session.ceilings)


def kind(mode: Mode) -> torch.dtype:
    return torch.bfloat16 if mode == "bf16" else torch.float32


def copied(session: Session) -> Found:
    """Larger than any cache."""
    source = torch.rand(session.size(2**18, 2**28), device=session.device)
    target = torch.empty_like(source)
    found = session.timed(lambda: target.copy_(source), 15, 3)
    rate = 2 * source.numel() * source.element_size() / (found["ms"] / 1e3)
    session.ceilings["copy"] = rate
    return found | {"gb_per_s": rate / 1e9}


def multiplied(session: Session, mode: Mode) -> Found:
    side = session.size(128, 8192)
    a, b = (torch.randn(side, side, device=session.device, dtype=kind(mode)) for _ in range(2))
    with precision(mode):
        found = session.timed(lambda: a @ b, 10, 3)
    rate = 2 * side**3 / (found["ms"] / 1e3)
    session.ceilings[mode] = rate
    return found | {"tflop_per_s": rate / 1e12}


@torch.no_grad()
def convolved(session: Session, mode: Mode, width: int) -> Found:
    """A filter of 3×3 on features of a megapixel's half sides, as in an Euler block."""
    side = session.size(16, 500)
    x = torch.randn(1, width, side, side, device=session.device, dtype=kind(mode))
    x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(width, width, 3, 3, device=session.device, dtype=kind(mode)) / width
    weight = weight.contiguous(memory_format=torch.channels_last)

    def run() -> object:
        return F.conv2d(x, weight, padding=1)

    with precision(mode):
        found, work = session.timed(run, 15, 3), counted(run)
    floors = work.floors(session, mode)
    share = floors["convolutions_floor_ms"] / found["ms"] if floors else None
    rate = work.operations / (found["ms"] / 1e3)
    return found | floors | {"tflop_per_s": rate / 1e12, "share": share}
