"""Measure every form of the training step on a GPU: does it work, how fast, how much memory.

    python -m scripts.accelerator.smoke --data BSDS500 energy_grey ridge_grey [--flags "--batch 32"]

One after the other, about half a minute each for compiling; then 40 steps are trained, and their
losses shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from scripts.accelerator.settings import CONFIGS, Settings, parse
from scripts.accelerator.step import Phase, Run, Stepper, log
from scripts.accelerator.train import tf32


def cases(settings: Settings, cuda: bool) -> list[tuple[str, Phase]]:
    """Forms and phases that are worth a measurement."""
    if not cuda:
        return [("eager", Phase(1.0, None, "denoise"))]
    low = None if settings.ridge else torch.bfloat16
    found = [(mode, Phase(1.0, low, "denoise")) for mode in ("compile+graph", "graph")]
    if not settings.ridge:
        found.append(("graph", Phase(1.0, None, "denoise")))
        if settings.critical > 0:
            found.append(("eager", Phase(1.0, low, "critical")))
    return found


def measure(settings: Settings) -> None:
    stepper = Stepper(settings)
    cuda = stepper.device.type == "cuda"
    timed: list[tuple[float, Run]] = []
    for mode, phase in cases(settings, cuda):
        try:
            run = stepper.variants(phase, [mode])[mode]
        except RuntimeError as error:
            log(settings.name, f"{mode}, {phase}: {error}")
            continue
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        seconds = min(stepper.seconds(run, 15 if cuda else 1) for _ in range(2))
        pixels = settings.batch * settings.patch**2
        memory = torch.cuda.max_memory_allocated() / 2**30 if cuda else 0.0
        words = f"{1e3 * seconds:.2f} ms a step, {pixels / seconds / 1e6:.1f} Mpx/s"
        log(settings.name, f"{mode}, {phase}: {words}, {memory:.1f} GiB")
        if phase.kind == "denoise":
            timed.append((seconds, run))
    if not timed:
        return
    _, run = min(timed, key=lambda each: each[0])
    losses = []
    for _ in range(2):
        stepper.optimiser.rate.fill_(0.3)
        for _ in range(settings.every):
            run()
        losses.append(round(stepper.mean_loss(), 3))
    log(settings.name, f"losses of {settings.every} steps each: {losses}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="+", choices=CONFIGS)
    parser.add_argument("--data", type=Path, default=Path("BSDS500"))
    parser.add_argument("--flags", default="", help="flags of `train`")
    a = parser.parse_args(argv)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    tf32(True)
    for name in a.names:
        measure(parse([name, "--data", str(a.data), *a.flags.split()], "a measurement"))


if __name__ == "__main__":
    main()
