"""Memory and time of one training step against depth; and how exact gradients are.

Every number comes from a process of its own: Linux says how much memory it held at most, and a
network of depth 2 has run before, so that what torch loads once does not count. For memory the
allocator gives back at once what is freed, which takes time; so times come from another process.
They are CPU seconds of one thread, which a busy machine disturbs less than the clock.

    python -m scripts.studies.reversible.memory reversible 32 stored 16    # one row
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from operators import RayTransform, parallel_beam
from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.networks.invertible.unrolled import ReversibleNetwork
from pnp_recon.networks.unrolled import UnrolledNetwork
from scripts.protocol import ROOT, Rows
from scripts.studies.equivariance.ct_data import FIELD_MM, VIEWS
from scripts.studies.equivariance.ct_runs import SIDE
from scripts.studies.reversible.runs import WIDTH, configuration, network

DEPTHS = (8, 16, 32, 64)
MODES = ("stored", "checkpointed", "reversible")
# glibc: blocks from 64 kB on are pages of their own.
LEAN = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
# The networks of the equivariance study: depth 8, 48 channels.
TODAY = UnrolledConfig(group="C1", width=48, gradient="filtered")


def scan() -> tuple[RayTransform, Tensor, Tensor]:
    """A noisy scan of a random picture, and the picture."""
    A = RayTransform(parallel_beam(VIEWS, SIDE, pixel_mm=FIELD_MM / SIDE), (1, SIDE, SIDE))
    draws = torch.Generator().manual_seed(0)
    x = torch.rand(1, 1, SIDE, SIDE, generator=draws)
    y = A.A(x)
    return A, y + 0.01 * torch.randn(y.shape, generator=draws), x


def build(cell: str, depth: int, mode: str, width: int = WIDTH) -> UnrolledNetwork:
    base = configuration("C1") if cell == "reversible" else TODAY
    made = network(replace(base, depth=depth, width=width))
    made.checkpointing = mode == "checkpointed"
    if isinstance(made, ReversibleNetwork):
        made.reversing = mode == "reversible"
    return made


def step(made: UnrolledNetwork, A: RayTransform, y: Tensor, x: Tensor, bf16: bool = True) -> Tensor:
    """The gradient of all parameters, flat."""
    made.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, bf16):
        found = made(y, A)
    (found.float() - x).square().mean().backward()
    return torch.cat([p.grad.flatten() for p in made.parameters() if p.grad is not None])


def held(field: str) -> int:
    """Kilobytes of this process: VmRSS now, VmHWM at most since it was reset."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise RuntimeError(f"this system does not say {field}")


def measure(cell: str, depth: int, mode: str, width: int = WIDTH) -> dict[str, Any]:
    """One row, in the process that this is."""
    torch.set_num_threads(1)
    A, y, x = scan()
    step(build(cell, 2, mode, width), A, y, x)
    made = build(cell, depth, mode, width)
    before = held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM starts anew
    begin = time.process_time()
    step(made, A, y, x)
    seconds = time.process_time() - begin
    peak = held("VmHWM") - before
    return {
        "kind": "memory",
        "cell": cell,
        "depth": depth,
        "mode": mode,
        "width": made.config.width,
        "parameters": sum(p.numel() for p in made.parameters()),
        "peak_mb": round(peak / 1024, 1),
        "seconds": round(seconds, 3),
    }


def exactness(depth: int) -> dict[str, Any]:
    """Relative error of gradients against stored ones, with and without the grid."""
    A, y, x = scan()
    row: dict[str, Any] = {"kind": "exactness", "depth": depth}
    for exact in (True, False):
        for bf16 in (False, True):
            found = []
            for mode in ("reversible", "stored"):
                made = build("reversible", depth, mode)
                assert isinstance(made, ReversibleNetwork)
                made.exact = exact
                found.append(step(made, A, y, x, bf16))
            error = float((found[0] - found[1]).norm() / found[1].norm())
            row[f"{'grid' if exact else 'free'} {'bf16' if bf16 else 'float32'}"] = error
    return row


def run(rows: Rows) -> None:
    wide = TODAY.width
    cases = [("plain", 8, mode, wide) for mode in MODES[:2]]
    cases += [("reversible", depth, mode, WIDTH) for depth in DEPTHS for mode in MODES]
    cases += [("reversible", 32, "reversible", wide)]
    for cell, depth, mode, width in cases:
        if not rows.has(kind="memory", cell=cell, depth=depth, mode=mode, width=width):
            case = [cell, str(depth), mode, str(width)]
            lean, usual = (_measured(case, os.environ | change) for change in (LEAN, {}))
            rows.add(**{**lean, "seconds": usual["seconds"]})
            print(rows.rows[-1], flush=True)
    torch.set_num_threads(1)
    for depth in DEPTHS:
        if not rows.has(kind="exactness", depth=depth):
            rows.add(**exactness(depth))
            print(rows.rows[-1], flush=True)


def _measured(case: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [sys.executable, "-m", "scripts.studies.reversible.memory", *case]
    done = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8", env=environment
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="one row of the table of memory, as JSON")
    parser.add_argument("cell")
    parser.add_argument("depth", type=int)
    parser.add_argument("mode")
    parser.add_argument("width", type=int)
    given = parser.parse_args()
    print(json.dumps(measure(given.cell, given.depth, given.mode, given.width)))


if __name__ == "__main__":
    main()
