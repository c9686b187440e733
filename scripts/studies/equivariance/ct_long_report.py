"""Table and curves of the long CT runs, from their rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scripts.protocol import Rows
from scripts.studies.equivariance.ct_data import INCIDENT, TEST_SETS, VIEWS
from scripts.studies.equivariance.ct_long import CASES, LOOK, STEPS
from scripts.studies.equivariance.ct_runs import SIDE, WIDTH

REFERENCE = "C1"
EARLY = (1000, 2000)
# Panels of the figure: what each compares.
PANELS = {
    "what knowing the way up is worth": ("C1", "C1 turned", "C4", "C4 upright"),
    "width, group and scheme": ("C1 96", "C4", "C4 96", "D4", "C1 primal-dual", "C4 primal-dual"),
}
COLOURS = {
    "C1": "#b2182b",
    "C1 96": "#67001f",
    "C1 turned": "#f4a582",
    "C1 primal-dual": "#e08214",
    "C4": "#2166ac",
    "C4 96": "#053061",
    "C4 upright": "#5aae61",
    "D4": "#92c5de",
    "C4 primal-dual": "#8073ac",
}


def mean(row: dict[str, Any], test: str, measure: str = "psnr") -> float:
    return float(np.mean(row["scores"][test][measure]))


def after(row: dict[str, Any], step: int) -> float:
    """PSNR on `val` of the averaged weights at a step of the log."""
    return float(row["looks"][step // LOOK - 1])


def table(rows: Rows) -> str:
    found = [(name, row) for name in CASES for row in rows.rows if row["case"] == name]
    seeds = sorted({row["seed"] for _, row in found})
    lines = [
        f"{SIDE}² slices, {VIEWS} views of a parallel beam, {INCIDENT:.0e} photons a ray, peak = "
        f"window of 2524 HU; 136 training scans, {STEPS} steps of one scan, depth 8; means over 13 "
        f"`val` slices in dB; seeds {', '.join(map(str, seeds))} (weights and order); "
        f"{rows.measured_in()}.",
        "",
        "| network | width | parameters | seed | "
        + "".join(f"at step {step} | " for step in EARLY)
        + "val | SSIM | val turned | val rotated | training scans | "
        "above the ordinary one of the same seed: val / turned |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in found:
        case = CASES[name]
        psnrs = " | ".join(f"{mean(row, test):.2f}" for test in TEST_SETS)
        val, *others = psnrs.split(" | ")
        lines.append(
            f"| {case.said} | {case.config.width} | {row['parameters']} | {row['seed']} | "
            f"{' | '.join(f'{after(row, step):.2f}' for step in EARLY)} | {val} | "
            f"{mean(row, 'val', 'ssim'):.3f} | {' | '.join(others)} | {mean(row, 'train'):.2f} | "
            f"{gain(rows, row)} |"
        )
    lines += [
        "",
        f"The learning rate falls to the end of a run: step {EARLY[0]} of {STEPS} is not the end "
        f"of a run of {EARLY[0]} steps.",
    ]
    return "\n".join(lines) + "\n"


def gain(rows: Rows, row: dict[str, Any]) -> str:
    """PSNR above the ordinary network of the studied width, paired by seed."""
    if row["case"] == REFERENCE:
        return ""
    twins = [r for r in rows.rows if r["case"] == REFERENCE and r["seed"] == row["seed"]]
    if not twins:
        return "no run"
    return " / ".join(f"{mean(row, t) - mean(twins[0], t):+.2f}" for t in ("val", "val turned"))


def figure(rows: Rows, images: Path) -> None:
    import matplotlib.pyplot as plt

    there = {row["case"] for row in rows.rows}
    panels = {title: [n for n in names if n in there] for title, names in PANELS.items()}
    panels = {title: names for title, names in panels.items() if len(names) > 1}
    drawn, axes = plt.subplots(
        1, len(panels), figsize=(5.5 * len(panels), 4), sharey=True, squeeze=False,
        constrained_layout=True,
    )  # fmt: skip
    for axis, (title, names) in zip(axes[0], panels.items(), strict=True):
        for name in names:
            looks = np.array([r["looks"] for r in rows.rows if r["case"] == name])
            case = CASES[name]
            label = case.said if case.config.width == WIDTH else f"{case.said}, twice the width"
            steps = LOOK * np.arange(1, looks.shape[1] + 1)
            axis.plot(steps, looks.mean(0), color=COLOURS[name], label=label)
            axis.fill_between(steps, looks.min(0), looks.max(0), color=COLOURS[name], alpha=0.2)
        axis.set(title=title, xlabel="step", ylim=(33.9, None))
        axis.legend(fontsize=8, loc="lower right")
    axes[0][0].set_ylabel("PSNR on val (dB)")
    drawn.savefig(images / "equivariance_ct_long.png", dpi=110, metadata={"Software": None})
    plt.close(drawn)


def write(results: Path, images: Path) -> None:
    """Nothing is written where there are no rows."""
    rows = Rows(results / "equivariance_ct_long.jsonl")
    if not rows.rows:
        return
    text = table(rows)
    (results / "equivariance_ct_long.md").write_text(text, encoding="utf-8")
    figure(rows, images)
    print(text)
