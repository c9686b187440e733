"""Table and figures of the CT study, from its rows."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np

from scripts.protocol import Rows
from scripts.studies.equivariance.ct_baselines import GRIDS, best
from scripts.studies.equivariance.ct_data import INCIDENT, TEST_SETS, VIEWS
from scripts.studies.equivariance.ct_runs import GROUPS, SEEDS, SIDE, SIZES, STEPS, WIDTH

NAMES = {"C1": "ordinary", "C4": "equivariant (C4)"}
COLOURS = {"C1": "#b2182b", "C4": "#2166ac"}


def means(rows: Rows, group: str, scans: int, test: str, measure: str) -> np.ndarray:
    """The mean over the pictures, for each seed."""
    found = [r for r in rows.rows if r["group"] == group and r["scans"] == scans]
    return np.array([np.mean(r["scores"][test][measure]) for r in found])


def spread(values: np.ndarray) -> str:
    return f"{values.mean():.2f} ± {values.std():.2f}"


def table(rows: Rows, baselines: Rows, tuning: Rows) -> str:
    others = other_widths(rows)
    rows = of_width(rows, WIDTH)
    count = {r["group"]: r["parameters"] for r in rows.rows}
    lines = [
        f"{SIDE}² slices, {VIEWS} views of a parallel beam, {INCIDENT:.0e} photons a ray, peak = "
        f"window of 2524 HU; {STEPS} steps of one scan, {WIDTH} channels, depth 8; "
        f"{' / '.join(f'{NAMES[g]}: {count[g]} parameters' for g in GROUPS)}; PSNR in dB, mean ± "
        f"standard deviation over {len(SEEDS)} seeds (weights, training set, order); "
        f"{rows.measured_in()}.",
        "",
        "| scans | network | val | SSIM | val turned | val rotated | training scans | best look |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for scans in SIZES:
        for group in GROUPS:
            cells = [spread(means(rows, group, scans, name, "psnr")) for name in TEST_SETS]
            ssim = f"{means(rows, group, scans, 'val', 'ssim').mean():.3f}"
            train = spread(means(rows, group, scans, "train", "psnr"))
            looks = [
                r["best_look"] for r in rows.rows if r["group"] == group and r["scans"] == scans
            ]
            lines.append(
                f"| {scans} | {NAMES[group]} | {cells[0]} | {ssim} | {cells[1]} | {cells[2]} | "
                f"{train} | {spread(np.array(looks))} |"
            )
    lines += ["", *gains(rows), "", *baseline_table(baselines, tuning), "", *others]
    return "\n".join(lines) + "\n"


def of_width(rows: Rows, width: int) -> Rows:
    found = copy.copy(rows)
    found.rows = [row for row in rows.rows if row["width"] == width]
    return found


def other_widths(rows: Rows) -> list[str]:
    """Single runs of other widths, beside the run of `WIDTH` with the same set and seed."""
    lines = [
        "Other widths, one seed each, beside the studied width with the same seed and scans.",
        "",
        "| scans | seed | network | width | numbers | val | SSIM | val turned | training scans |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    extra = {(r["scans"], r["seed"]) for r in rows.rows if r["width"] != WIDTH}
    for row in sorted(rows.rows, key=lambda r: (r["scans"], r["seed"], r["parameters"])):
        if (row["scans"], row["seed"]) in extra:
            mean = {k: {m: np.mean(v) for m, v in s.items()} for k, s in row["scores"].items()}
            lines.append(
                f"| {row['scans']} | {row['seed']} | {NAMES[row['group']]} | {row['width']} | "
                f"{row['parameters']} | {mean['val']['psnr']:.2f} | {mean['val']['ssim']:.3f} | "
                f"{mean['val turned']['psnr']:.2f} | {mean['train']['psnr']:.2f} |"
            )
    return lines


def gains(rows: Rows) -> list[str]:
    """Equivariant minus ordinary, paired by seed."""
    lines = [
        "Equivariant minus ordinary, paired by seed; lost by turning: val minus val turned.",
        "",
        "| scans | val | val turned | val rotated | SSIM on val | best look | lost by turning: "
        "ordinary / equivariant |",
        "|---|---|---|---|---|---|---|",
    ]
    for scans in SIZES:
        gain = {
            name: means(rows, "C4", scans, name, "psnr") - means(rows, "C1", scans, name, "psnr")
            for name in TEST_SETS
        }
        ssim = means(rows, "C4", scans, "val", "ssim") - means(rows, "C1", scans, "val", "ssim")
        looks = [
            np.array([r["best_look"] for r in rows.rows if r["group"] == g and r["scans"] == scans])
            for g in ("C4", "C1")
        ]
        lost = [
            (
                means(rows, g, scans, "val", "psnr") - means(rows, g, scans, "val turned", "psnr")
            ).mean()
            for g in GROUPS
        ]
        cells = " | ".join(f"{v.mean():+.2f} ± {v.std():.2f}" for v in gain.values())
        look = looks[0] - looks[1]
        lines.append(
            f"| {scans} | {cells} | {ssim.mean():+.4f} | {look.mean():+.2f} ± {look.std():.2f} | "
            f"{lost[0]:.2f} / {lost[1]:.2f} |"
        )
    return lines


def baseline_table(baselines: Rows, tuning: Rows) -> list[str]:
    """Methods without training on scans, at the same scans; spread over the slices."""
    lines = [
        "| method (tuned on two `train` slices) | parameters | val | SSIM | val turned | "
        "val rotated |",
        "|---|---|---|---|---|---|",
    ]
    for method in GRIDS:
        point = ", ".join(f"{k} {v:g}" for k, v in best(tuning, method).items())
        cells = []
        for name in TEST_SETS:
            found = [r for r in baselines.rows if r["method"] == method and r["set"] == name]
            values = np.array([r["psnr"] for r in found])
            cells.append(spread(values))
        ssim = baselines.mean("ssim", method=method, set="val")
        lines.append(f"| {method} | {point} | {cells[0]} | {ssim:.3f} | {cells[1]} | {cells[2]} |")
    return lines


def figures(rows: Rows, baselines: Rows, images: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), constrained_layout=True)
    for group in GROUPS:
        for axis, test in zip(axes, ("val", "val rotated"), strict=True):
            values = np.stack([means(rows, group, n, test, "psnr") for n in SIZES])
            axis.plot(SIZES, values.mean(1), "o-", color=COLOURS[group], label=NAMES[group])
            axis.fill_between(SIZES, values.min(1), values.max(1), color=COLOURS[group], alpha=0.2)
            axis.set(xscale="log", xlabel="training scans", title=f"PSNR (dB), {test}")
            axis.set_xticks(SIZES, [str(n) for n in SIZES])
            axis.minorticks_off()
    for method, style in zip(GRIDS, (":", "--", "-."), strict=True):
        for axis, test in zip(axes, ("val", "val rotated"), strict=True):
            level = baselines.mean("psnr", method=method, set=test)
            axis.axhline(level, color="0.4", linestyle=style, label=method)
    axes[0].legend(fontsize=8)
    figure.savefig(images / "equivariance_ct.png", dpi=120)
    plt.close(figure)

    figure, panels = plt.subplots(
        1, len(SIZES), figsize=(13, 3), sharey=True, constrained_layout=True
    )
    for panel, scans in zip(panels, SIZES, strict=True):
        for group in GROUPS:
            looks = _looks(rows, group, scans)
            steps = np.linspace(STEPS / looks.shape[1], STEPS, looks.shape[1])
            panel.plot(steps, looks.mean(0), color=COLOURS[group], label=NAMES[group])
            panel.fill_between(steps, looks.min(0), looks.max(0), color=COLOURS[group], alpha=0.2)
        panel.set(title=f"{scans} scans", xlabel="step")
    panels[0].set_ylabel("PSNR on val (dB)")
    panels[0].legend(fontsize=8)
    figure.savefig(images / "equivariance_ct_curves.png", dpi=120)
    plt.close(figure)


def _looks(rows: Rows, group: str, scans: int) -> np.ndarray:
    found: list[dict[str, Any]] = [
        r for r in rows.rows if r["group"] == group and r["scans"] == scans
    ]
    return np.array([r["looks"] for r in found])


def write(results: Path, images: Path) -> None:
    rows = Rows(results / "equivariance_ct.jsonl")
    baselines = Rows(results / "equivariance_ct_baselines.jsonl")
    text = table(rows, baselines, Rows(results / "equivariance_ct_tuning.jsonl"))
    (results / "equivariance_ct.md").write_text(text, encoding="utf-8")
    figures(of_width(rows, WIDTH), baselines, images)
    print(text)
