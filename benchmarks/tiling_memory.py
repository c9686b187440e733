"""Peak memory against pixels: large colour pictures in tiles, and for comparison untiled.

Each size in a process of its own; the peak is the process's, less what it held before the first
picture was made. In tiles it is a constant (the activations of one tile) and the picture twice.

    python benchmarks/tiling_memory.py [MODEL] [--megapixels 1 4 24] [--untiled 1 4]

Writes docs/results/tiling_memory.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from denoiser_cost import LEVEL, machine
from fresh_process import FreshProcess

from pnp_recon import load_denoiser
from pnp_recon.priors.tiling import TILE

ROOT = Path(__file__).resolve().parents[1]


def make(model: str, megapixels: float, tile: int | None) -> Callable[[], object]:
    denoiser = load_denoiser(model, tile=tile)
    # Sides as 3 : 2, even.
    width = 2 * round((1.5e6 * megapixels) ** 0.5 / 2)
    shape = (1, denoiser.channels or 3, 2 * round(width / 3), width)
    return lambda: denoiser(torch.rand(shape), LEVEL)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?", default="euler_colour")
    parser.add_argument("--megapixels", type=float, nargs="*", default=[1, 4, 24])
    parser.add_argument("--untiled", type=float, nargs="*", default=[1, 4])
    parser.add_argument("--tile", type=int, default=TILE)
    parser.add_argument("--threads", type=int, default=2)
    output = ROOT / "docs" / "results" / "tiling_memory.md"
    parser.add_argument("--output", type=Path, default=output)
    options = parser.parse_args(argv)
    lines = [
        "| megapixels | tiles | peak memory, MB | a pixel, bytes | seconds |",
        "|---" * 5 + "|",
    ]
    cases = [(size, options.tile) for size in options.megapixels]
    for size, tile in [*cases, *((size, None) for size in options.untiled)]:
        worker = FreshProcess(make, (options.model, size, tile), options.threads)
        seconds = worker.seconds()
        _, work = worker.close()
        words = "none" if tile is None else f"{tile}²"
        lines.append(f"| {size:g} | {words} | {work:.0f} | {work / size:.0f} | {seconds:.1f} |")
        print(lines[-1], flush=True)
    text = (
        f"# Memory of large pictures\n\n`python benchmarks/tiling_memory.py {options.model}`, "
        f"{options.threads} thread(s), on {machine()}; one run each, peak memory without what the "
        "process held before.\n\n"
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
