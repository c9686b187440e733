"""Runs of the networks on rectangles, and the rows that they leave behind."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnp_recon.training.trainer import Progress
from scripts.protocol import Rows
from scripts.studies.equivariance.denoiser import (
    RectanglesRecipe,
    RectanglesTrainer,
    build,
    parameters,
)
from scripts.studies.equivariance.scores import equivariance_error, evaluation_psnr

SEEDS = (0, 1, 2, 3, 4)
# Tried before the table, on a seed outside it, for fewer steps; the better one is for both nets.
RATES, RATE_SEED, RATE_STEPS = (1e-3, 4e-3), 100, 150
TRIED = ("ordinary", "equivariant")  # the control takes the rate of the two that it lies between


@dataclass(frozen=True)
class Budget:
    """Steps and batch of a run, and the steps between two validations."""

    name: str
    steps: int
    batch: int
    every: int


SHORT = Budget("short", 300, 4, 25)
FULL = Budget("full", 1500, 64, 50)  # the paper's
TRIAL = Budget("trial", RATE_STEPS, SHORT.batch, 50)


def train(
    name: str, seed: int, rate: float, budget: Budget, runs: Path
) -> tuple[RectanglesTrainer, list[dict[str, float]]]:
    """The finished run and its log; one that was stopped goes on."""
    folder = runs / f"{name}-{budget.name}-{seed}-{rate:g}"
    recipe = RectanglesRecipe(steps=budget.steps, batch=budget.batch, learning_rate=rate, seed=seed)
    trainer = RectanglesTrainer(build(name, seed), recipe, folder)

    def report(progress: Progress) -> None:
        scores = " ".join(f"{key} {value:.2f}" for key, value in progress.psnr.items())
        print(
            f"{name} {seed}: step {progress.step}, loss {progress.loss:.3f}, {scores} dB, "
            f"{progress.seconds:.0f} s",
            flush=True,
        )

    trainer.run(report, every=budget.every)
    with trainer.log.open(newline="", encoding="utf-8") as file:
        log = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return trainer, log


def tuned(rows: Rows) -> float:
    """The rate with the highest mean validation PSNR over the two networks of `TRIED`.

    Raises:
        SystemExit: the search has not been made.
    """
    for rate in RATES:
        for name in TRIED:
            if not rows.has(task="rate", network=name, rate=rate):
                raise SystemExit(f"no trial of {name} at {rate:g} in {rows.path}; run `rate` first")
    return max(RATES, key=lambda rate: rows.mean("psnr_val", task="rate", rate=rate))


def find_rate(rows: Rows, runs: Path) -> None:
    for rate in RATES:
        for name in TRIED:
            key = {"task": "rate", "network": name, "rate": rate}
            if not rows.has(**key):
                _, log = train(name, RATE_SEED, rate, TRIAL, runs)
                rows.add(**key, steps=RATE_STEPS, psnr_val=log[-1]["psnr_grid"])


def run(rows: Rows, runs: Path, name: str, seed: int, budget: Budget) -> None:
    """One row of the table: a network, a seed."""
    key: dict[str, Any] = {"task": "run", "budget": budget.name, "network": name, "seed": seed}
    if rows.has(**key):
        return
    rate = tuned(rows)
    trainer, log = train(name, seed, rate, budget, runs)
    network, sigma = trainer.average, trainer.recipe.sigma
    rows.add(
        **key,
        rate=rate,
        steps=budget.steps,
        batch=budget.batch,
        sigma=sigma,
        parameters=parameters(network),
        **evaluation_psnr(network, sigma),
        error_90=equivariance_error(network, sigma, 90),
        error_45=equivariance_error(network, sigma, 45),
        seconds=trainer.seconds,
        curve={k: [row[k] for row in log] for k in ("step", "psnr_grid", "psnr_turned")},
    )
