"""One Euler block taken apart: its convolutions, what is left, and whether fusing that would pay.

A fused kernel is written only where the block waits for memory and is more than 1.5 times slower
than its convolutions alone; `decision` says which it is on this card. The certificate is about the
arithmetic of the block, so a fused one would have to compute the same map.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scripts.accelerator.benches.counts import counted
from scripts.accelerator.checks.cases import model
from scripts.accelerator.checks.session import Budget, Found, Mode, Session, precision

# Above this a fused kernel is worth its test and its upkeep.
WORTH = 1.5
LEVEL = 15 / 255
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def measure(session: Session, out: Found, budget: Budget) -> None:
    for name in session.size(("euler_grey",), ("euler_colour", "euler_ct")):
        for mode in session.modes:
            for layout in LAYOUTS:
                key = f"{name} {mode} {layout}"
                session.attempt(out, key, partial(block, session, name, mode, layout), budget)


@torch.no_grad()
def block(session: Session, name: str, mode: Mode, layout: str) -> Found:
    """A block of the network on the features of a megapixel."""
    network: Any = model(name, session.device).function
    step = network.blocks[0]
    side = session.size(16, 500)
    z = torch.randn(1, network.config.width, side, side, device=session.device)
    z = z.contiguous(memory_format=LAYOUTS[layout])
    level = torch.full((1,), LEVEL, device=session.device)
    low = torch.bfloat16 if mode == "bf16" else torch.float32
    weight, half = step.weight.to(low), step.weight.shape[-1] // 2
    features = z.to(low)

    def alone() -> Tensor:
        return F.conv_transpose2d(F.conv2d(features, weight, padding=half), weight, padding=half)

    cast = torch.autocast(session.device, torch.bfloat16, enabled=mode == "bf16")
    with precision(mode), cast:
        whole = session.timed(lambda: step(z, level), 15, 3)
        work = counted(lambda: step(z, level))
    with precision(mode):
        convolutions = session.timed(alone, 15, 3)
    row: Found = {
        "ms": whole["ms"],
        "host_ms": whole["host_ms"],
        "convolutions_ms": convolutions["ms"],
        "operations": work.operations,
        "bytes": work.bytes,
        **work.floors(session, mode),
    }
    return row | decision(row)


def decision(row: Found) -> Found:
    """What a kernel that fuses all but the convolutions could gain at most, and what to do."""
    gain = row["ms"] / max(row["convolutions_ms"], 1e-9)
    if "kernels_floor_ms" not in row:
        return {"gain_at_most": gain, "decision": "the ceilings were not measured"}
    bound = row["kernels_floor_ms"] > 2 * row["arithmetic_ms"]
    worth = bound and gain > WORTH
    return {
        "share": row["convolutions_floor_ms"] / row["ms"],
        "memory_bound": bound,
        "gain_at_most": gain,
        "decision": "a fused kernel may pay" if worth else "no fused kernel: it would not pay",
    }
