"""Table and figures of the rectangles, from the rows and the checkpoints."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from torch import Tensor

from scripts.protocol import Rows, save_figure
from scripts.studies.equivariance.denoiser import NETWORKS
from scripts.studies.equivariance.rectangles_runs import (
    RATE_SEED,
    RATE_STEPS,
    RATES,
    SEEDS,
    TRIED,
    Budget,
    train,
    tuned,
)
from scripts.studies.equivariance.scenes import SIZE
from scripts.studies.equivariance.scores import TEST_PICTURES, evaluation_pictures, restored

mpl.use("Agg")
import matplotlib.pyplot as plt

COLOURS = {"ordinary": "#b03a2e", "harmonic": "#b9770e", "equivariant": "#1f4e79"}
SHOWN = 3  # which test picture


def of(rows: Rows, name: str, budget: str) -> list[dict[str, Any]]:
    return [r for r in rows.rows if r["task"] == "run"
            and r["budget"] == budget and r["network"] == name]  # fmt: skip


def spread(values: list[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.2f} ± {deviation:.2f}"


def largest(values: list[float]) -> str:
    return f"{max(values):.0e}" if max(values) < 1e-3 else f"{statistics.mean(values):.3f}"


def table(rows: Rows, budget: str) -> str:
    """Mean ± standard deviation over the seeds that are there."""
    found = {name: of(rows, name, budget) for name in NETWORKS}
    first = next(row for runs in found.values() for row in runs)
    trials = ", ".join(
        f"{rate:g}: " + " / ".join(
            f"{rows.mean('psnr_val', task='rate', network=name, rate=rate):.2f}"
            for name in TRIED
        )
        for rate in RATES
    )  # fmt: skip
    lines = [
        f"Coloured rectangles, {SIZE}×{SIZE}, noise σ = {first['sigma']:g}; networks of width 64 "
        f"with ten residual blocks, trained on upright pictures for {first['steps']} steps of "
        f"{first['batch']} (bfloat16 autocast, one core; the paper: 1500 steps of 64); learning "
        f"rate {first['rate']:g} for both, the better mean of two on seed {RATE_SEED}, "
        f"{RATE_STEPS} steps (validation PSNR ordinary / equivariant at {trials}). "
        f"{TEST_PICTURES} test pictures, upright and at random angles; PSNR in dB clipped to "
        "[0, 1], mean ± standard deviation over the seeds; equivariance error of the correction "
        "N(y) − y, relative. Harmonic: the ordinary network with filters in the space in which the "
        f"equivariant one's lie, not tied; at the same rate. {rows.measured_in()}.",
        "",
        "| network | parameters | upright | turned | lost | error at 90° | error at 45° | seeds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in found.items():
        if not runs:
            continue
        columns = {key: [row[key] for row in runs] for key in ("psnr_grid", "psnr_turned")}
        lost = [a - b for a, b in zip(columns["psnr_grid"], columns["psnr_turned"], strict=True)]
        errors = [largest([row[key] for row in runs]) for key in ("error_90", "error_45")]
        seeds = f"{len(runs)}" if len(runs) == len(SEEDS) else f"{len(runs)} of {len(SEEDS)} seeds"
        size = f"{runs[0]['parameters']:,}".replace(",", " ")
        lines.append(
            f"| {name} | {size} | {spread(columns['psnr_grid'])} | "
            f"{spread(columns['psnr_turned'])} | {spread(lost)} | {errors[0]} | {errors[1]} | "
            f"{seeds} |"
        )
    return "\n".join(lines) + "\n"


def curve_band(
    rows: Rows, name: str, budget: str, key: str = "psnr_grid"
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Steps, and mean, smallest and largest value over the seeds."""
    curves = [row["curve"] for row in of(rows, name, budget)]
    values = list(zip(*(curve[key] for curve in curves), strict=True))
    return (
        curves[0]["step"],
        [statistics.mean(v) for v in values],
        [min(v) for v in values],
        [max(v) for v in values],
    )


def draw_curves(rows: Rows, budget: str, path: Path) -> None:
    figure, panels = plt.subplots(1, 2, figsize=(8.4, 3.3), dpi=110, sharey=True)
    heads = {"psnr_grid": "upright pictures", "psnr_turned": "pictures at random angles"}
    for panel, (key, head) in zip(panels, heads.items(), strict=True):
        for name, colour in COLOURS.items():
            if of(rows, name, budget):
                steps, mean, low, high = curve_band(rows, name, budget, key)
                panel.plot(steps, mean, color=colour, label=name)
                panel.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
        panel.set_title(head)
        panel.set_xlabel("step")
        panel.grid(alpha=0.25)
    panels[0].set_ylabel("validation PSNR in dB")
    panels[0].legend(frameon=False, loc="lower right")
    save_figure(figure, path)


def draw_pictures(rows: Rows, runs: Path, budget: Budget, path: Path) -> None:
    """Noisy, restored by either network (first seed that both have), and true; two pictures."""
    seeds = [{row["seed"] for row in of(rows, name, budget.name)} for name in TRIED]
    seed = min(set.intersection(*seeds))
    nets = {n: train(n, seed, tuned(rows), budget, runs)[0].average for n in TRIED}
    sigma = of(rows, "ordinary", budget.name)[0]["sigma"]
    figure, axes = plt.subplots(2, 4, figsize=(8.6, 4.6), dpi=110)
    pictures = evaluation_pictures(sigma).values()
    for row, head, (truth, y) in zip(axes, ("upright", "turned"), pictures, strict=True):
        x, noised = truth[SHOWN : SHOWN + 1], y[SHOWN : SHOWN + 1]
        shown = {"noisy": noised} | {n: restored(net, noised) for n, net in nets.items()}
        for panel, (name, image) in zip(row, (shown | {"truth": x}).items(), strict=True):
            panel.imshow(image[0].clamp(0, 1).permute(1, 2, 0), interpolation="nearest")
            panel.set_title(name if name == "truth" else f"{name}, {psnr(image, x):.1f} dB",
                            fontsize=9)  # fmt: skip
            panel.set_xticks([])
            panel.set_yticks([])
        row[0].set_ylabel(head)
    save_figure(figure, path)


def psnr(image: Tensor, truth: Tensor) -> float:
    return float(-10 * torch.log10((image.clamp(0, 1) - truth).square().mean()))


def report(rows: Rows, runs: Path, budget: Budget, results: Path, images: Path) -> None:
    suffix = "" if budget.name == "short" else f"_{budget.name}"
    text = table(rows, budget.name)
    (results / f"equivariance_rectangles{suffix}.md").write_text(text, encoding="utf-8")
    draw_curves(rows, budget.name, images / f"rectangles_curves{suffix}.png")
    draw_pictures(rows, runs, budget, images / f"rectangles_pictures{suffix}.png")
    print(text)
