"""docs/results/reversible.md and its figure, from the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scripts.protocol import Rows, save_figure
from scripts.studies.equivariance.ct_runs import SIDE
from scripts.studies.reversible.memory import DEPTHS, MODES, TODAY
from scripts.studies.reversible.runs import STEPS, WIDTH

COLOURS = {"stored": "#b2182b", "checkpointed": "#f4a582", "reversible": "#2166ac"}
NAMES = {"C1": "ordinary", "C4": "equivariant (C4)"}
Row = dict[str, Any]


def write(results: Path, images: Path) -> None:
    rows = Rows(results / "reversible.jsonl")
    shallow = Rows(results / "equivariance_ct.jsonl")
    text = "\n".join([*memory_table(rows), *exactness_table(rows), *ct_table(rows, shallow)])
    (results / "reversible.md").write_text(text + "\n", encoding="utf-8")
    figure(rows, images / "reversible_memory.png")


def chosen(rows: Rows, **key: Any) -> list[Row]:
    return [row for row in rows.rows if all(row.get(k) == v for k, v in key.items())]


def memory_table(rows: Rows) -> list[str]:
    lines = [
        f"One training step of an unrolled network for {SIDE}² pictures in bfloat16: memory on top",
        "of what the process held, in MB, and CPU seconds of one thread, by how gradients get",
        f"their features. Measured in: {rows.measured_in()}.",
        "",
        "| network | depth | parameters | "
        + " | ".join(f"{mode}: MB | s" for mode in MODES)
        + " |",
        "|---|---|---|" + "---|" * (2 * len(MODES)),
    ]
    cases = {(row["cell"], row["width"], row["depth"]) for row in chosen(rows, kind="memory")}
    for cell, width, depth in sorted(cases):
        key = {"kind": "memory", "cell": cell, "width": width, "depth": depth}
        found = {row["mode"]: row for row in chosen(rows, **key)}
        cells = [
            f"{found[mode]['peak_mb']:.0f} | {found[mode]['seconds']:.2f}" if mode in found else "|"
            for mode in MODES
        ]
        first = next(iter(found.values()))
        name = f"{cell}, {width} channels"
        lines.append(f"| {name} | {depth} | {first['parameters']} | {' | '.join(cells)} |")
    return [*lines, ""]


def exactness_table(rows: Rows) -> list[str]:
    lines = [
        "Relative error of the gradient of all weights against that of stored features. With the",
        "grid, changes of the state are multiples of 2⁻¹⁶, so that the way back is exact.",
        "",
        "| depth | grid, float32 | grid, bfloat16 | no grid, float32 | no grid, bfloat16 |",
        "|---|---|---|---|---|",
    ]
    for row in chosen(rows, kind="exactness"):
        keys = ("grid float32", "grid bf16", "free float32", "free bf16")
        lines.append(
            f"| {row['depth']} | "
            + " | ".join(f"{row[key]:.0e}" if row[key] else "0" for key in keys)
            + " |"
        )
    return [*lines, ""]


def ct_table(rows: Rows, shallow: Rows) -> list[str]:
    trained = [row for row in rows.rows if "group" in row]
    # Those of the equivariance study are plain and of depth 8.
    studied = [
        {**row, "cell": "plain", "depth": TODAY.depth}
        for row in shallow.rows
        if row["scans"] == 136 and row["steps"] == STEPS
    ]
    keys = ("steps", "depth", "group", "width", "seed")
    every = sorted([*studied, *trained], key=lambda row: [row[key] for key in keys])
    lines = [
        f"CT on 136 scans of {SIDE}² slices, steps of one scan each: PSNR in dB and SSIM on 13",
        "`val` slices (upright, turned by quarter turns, rotated by any angle), one row a seed;",
        f"the rate falls to the end of a run. Plain networks of {STEPS} steps are those of",
        "[equivariance_ct.md](equivariance_ct.md). Memory and time of a step are those above, of",
        "ordinary filters; CPU minutes are steps times the time of a step.",
        "",
        "| steps | network | depth | channels | seed | parameters | val | SSIM | val turned | "
        "val rotated | MB | CPU minutes |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    return lines + [_ct_line(rows, row) for row in every]


def _ct_line(rows: Rows, row: Row) -> str:
    scores = {test: {k: np.mean(v) for k, v in s.items()} for test, s in row["scores"].items()}
    cell = row["cell"]
    mode = "reversible" if cell == "reversible" else "stored"
    key = {"cell": cell, "depth": row["depth"], "width": row["width"], "mode": mode}
    step = chosen(rows, kind="memory", **key)
    cost = "|"
    if step:
        cost = f"{step[0]['peak_mb']:.0f} | {row['steps'] * step[0]['seconds'] / 60:.1f}"
    return (
        f"| {row['steps']} | {cell}, {NAMES[row['group']]} | {row['depth']} | {row['width']} | "
        f"{row['seed']} | {row['parameters']} | {scores['val']['psnr']:.2f} | "
        f"{scores['val']['ssim']:.3f} | {scores['val turned']['psnr']:.2f} | "
        f"{scores['val rotated']['psnr']:.2f} | {cost} |"
    )


def figure(rows: Rows, path: Path) -> None:
    """Memory and time of a step against depth."""
    from matplotlib import pyplot as plt

    made, both = plt.subplots(1, 2, figsize=(8, 3.2), dpi=110)
    sides = [("peak_mb", "MB", (10, 20, 50, 100, 200)), ("seconds", "CPU seconds", (0.2, 0.5, 1))]
    for axes, (key, label, ticks) in zip(both, sides, strict=True):
        for mode in MODES:
            found = chosen(rows, kind="memory", cell="reversible", mode=mode, width=WIDTH)
            points = [(row["depth"], row[key]) for row in found]
            if points:
                axes.plot(*zip(*points, strict=True), "o-", color=COLOURS[mode], label=mode)
        axes.set(xscale="log", yscale="log", xlabel="iterations", ylabel=f"{label} of a step")
        axes.set_xticks(DEPTHS, [str(depth) for depth in DEPTHS])
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    both[0].legend(frameon=False)
    save_figure(made, path)
