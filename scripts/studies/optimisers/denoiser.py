"""Structured optimisers, Adam and Muon on a certified denoiser: the same network, batches, steps.

A small Euler denoiser. The rate of each method is chosen with a seed and held-out pictures of its
own: three rates, and the next one while the best lies at the end. Rows that are there are not made
again; a stopped training goes on.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

import torch

from pnp_recon.datasets.folders import TrainingData
from pnp_recon.errors import InputError
from scripts.protocol import Rows
from scripts.studies.optimisers.training import METHODS, Method, MethodTrainer
from scripts.studies.research.rows import revision
from scripts.studies.research.trials import Trial

NETWORK: dict[str, object] = {"width": 8, "blocks": 4}
STEPS = 600
TUNING_SEED, SEEDS = 10, (0, 1, 2)
LEVELS = ("psnr_5", "psnr_15", "psnr_25")
# How often the rates are extended while the best lies at their end.
EXTENSIONS = 2


def study(rows: Rows, data: TrainingData, runs: Path, methods: tuple[Method, ...], steps: int,
          seeds: tuple[int, ...] = SEEDS) -> None:  # fmt: skip
    """All methods: the rate, then the seeds at that rate."""
    for method in methods:
        tuned(rows, data, runs, method, steps)
    for seed in seeds:
        for method in methods:
            rate = best(rows, method, steps)[0]
            trained(rows, data, runs, method, rate, seed, steps)


def trained(
    rows: Rows, data: TrainingData, runs: Path, method: Method, rate: float, seed: int, steps: int
) -> None:
    """The row of one training, unless it is there."""
    key = {"method": method.name, "rate": rate, "seed": seed, "steps": steps}
    if rows.has(**key):
        return
    kind, unit = method.usual
    recipe = {"optimiser": kind, "learning_rate": rate * unit or 1e-3, "steps": steps}
    trial = Trial("optimisers", method.name, NETWORK, recipe | {"warmup": steps // 6}, seed=seed)
    # The two halves of the held-out pictures: one for the rate, one for the table.
    shown = data.validation[seed != TUNING_SEED :: 2]
    folder = runs / f"{method.name}_{rate:g}_{seed}_{steps}".replace(" ", "_")
    start = trial.make(), trial.settings(), data.training, shown, folder
    trainer = MethodTrainer(*start, method=method, rate=rate)
    try:
        trainer.run(lambda progress: None, every=max(1, steps // 6))
        found = {"status": "done", **{level: round(trainer.psnr[level], 3) for level in LEVELS}}
    except InputError as error:
        found = {"status": str(error)}
    facts = {"loss": trainer.loss, "seconds": round(trainer.seconds)}
    rows.add(**key, **found, **facts, torch=torch.__version__, revision=revision())


def score(row: dict[str, object]) -> float:
    """Mean PSNR over the levels; −inf where the training diverged."""
    values = [float(str(row[level])) for level in LEVELS if level in row]
    return statistics.fmean(values) if values else float("-inf")


def best(rows: Rows, method: Method, steps: int) -> tuple[float, list[float]]:
    """The best rate of the tuning seed, and all that were tried, in their order."""
    found = {
        row["rate"]: score(row)
        for row in rows.rows
        if (row["method"], row["seed"], row["steps"]) == (method.name, TUNING_SEED, steps)
    }
    return max(found, key=lambda rate: found[rate]), sorted(found)


def tuned(rows: Rows, data: TrainingData, runs: Path, method: Method, steps: int) -> None:
    for rate in method.rates:
        trained(rows, data, runs, method, rate, TUNING_SEED, steps)
    rate, tried = best(rows, method, steps)
    # As many extensions in a run that goes on as in one that was not stopped.
    while rate in (tried[0], tried[-1]) and len(tried) < len(set(method.rates)) + EXTENSIONS:
        factor = tried[1] / tried[0]
        following = rate / factor if rate == tried[0] else rate * factor
        trained(rows, data, runs, method, float(f"{following:.3g}"), TUNING_SEED, steps)
        rate, tried = best(rows, method, steps)


def page(rows: Rows, methods: tuple[Method, ...], steps: int) -> str:
    lines = [
        "# Optimisers on a certified denoiser",
        "",
        f"A small Euler denoiser (Haar lifting, {NETWORK['blocks']} blocks of {NETWORK['width']} "
        f"features and 32 filters, grey), {steps} steps of 8 patches of 64×64, everything but the "
        "optimiser as in [research.md](../research.md): warm-up and cosine, gradients shortened "
        f"to 1, weight average 0.99, bfloat16. PSNR in "
        "dB on 12 held-out training pictures of BSDS500 (none of BSD68): mean, and half the range "
        f"over the seeds. The rate is the best of those tried with seed {TUNING_SEED} on 12 other "
        "pictures. From "
        "`python -m scripts.studies.optimisers denoiser --data BSDS500`.",
        "",
        "| method | held | rates tried | rate | seeds | σ·255 = 5 | 15 | 25 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for method in methods:
        if not rows.has(method=method.name, steps=steps):
            continue
        rate, tried = best(rows, method, steps)
        key = {"method": method.name, "rate": rate, "steps": steps}
        found = [
            row for row in rows.rows if row["seed"] != TUNING_SEED and key.items() <= row.items()
        ]
        cells = []
        for level in LEVELS:
            values = [row[level] for row in found if level in row]
            if not values or len(values) < len(found):
                cells.append("diverged" if found else "–")
                continue
            spread = f" ± {(max(values) - min(values)) / 2:.2f}" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.2f}{spread}")
        tries = ", ".join(f"{value:g}" for value in tried)
        words = [method.name, method.words, tries, f"{rate:g}", str(len(found)), *cells]
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join([*lines, ""])


def quick_methods() -> tuple[Method, ...]:
    """Two methods of two rates each, for a trial."""
    return tuple(replace(METHODS[k], rates=METHODS[k].rates[:2] * 2) for k in (3, -1))
