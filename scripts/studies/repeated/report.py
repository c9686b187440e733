"""Table and figure of the repeated application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch

from scripts.protocol import Rows, save_figure
from scripts.studies.repeated.orbits import LOST, SHOWN

mpl.use("Agg")
import matplotlib.pyplot as plt

# Applications that the table and the figure show.
COLUMNS = (1, 10, 100, 1000)


def label(row: dict[str, Any]) -> str:
    trained = f", {row['trained']} steps" if "trained" in row else ""
    return f"{row['model']}{trained}"


def caption(row: dict[str, Any]) -> str:
    """The network of a row, for a picture."""
    kind, _, rest = row["model"].partition("_")
    if kind not in ("bn", "plain"):
        return str(row["model"])
    size = rest.partition("_")[0].replace("x", "×")
    form = "with batch norm." if kind == "bn" else "without batch norm."
    return f"DnCNN {size}\n{form}"


def entry(row: dict[str, Any], field: str, k: int, form: str) -> str:
    """A number of the row after k applications, or a dash where the orbit was lost before."""
    if k not in row["applied"]:
        return "–"
    return format(row[field][row["applied"].index(k)], form)


def table(rows: Rows) -> str:
    lines = [
        "A denoiser applied again and again, x_{k+1} = D(x_k): two noisy test pictures of BSDS500 "
        "(48² crops), bn and plain with depth × width, σ·255 and steps of the whole training: "
        "DnCNNs of one level with and without batch normalisation, by Adam (8 patches of 32² a "
        f"step). Lost: the norm is above {LOST:g} times the first. Quotient: the largest "
        "‖D(x_k) − D(x_{k−1})‖/‖x_k − x_{k−1}‖ of one picture; above 1 the map is no contraction "
        f"there. {rows.measured_in()}.",
        "",
        "| network | σ·255 | ‖x_k‖/‖x_0‖ at k = " + " / ".join(map(str, COLUMNS)) + " | PSNR in dB "
        "at the same | quotient | lost at k |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows.rows:
        norms = " / ".join(entry(row, "norms", k, ".3g") for k in COLUMNS)
        psnr = " / ".join(entry(row, "psnr", k, ".1f") for k in COLUMNS)
        lines.append(
            f"| {label(row)} | {row['level']:g} | {norms} | {psnr} | {row['quotient']:.3f} | "
            f"{row['lost'] or 'never'} |"
        )
    return "\n".join(lines) + "\n"


def orbit_file(runs: Path, **key: object) -> Path:
    """Where the pictures of a row lie: clean, noisy and those of `SHOWN`, (n, 1, H, W)."""
    return runs / ("_".join(str(part) for part in key.values()) + ".pt")


def draw(rows: Rows, runs: Path, path: Path, level: float | None = None) -> None:
    """A line of pictures for each network of a level (the highest), the last of each training."""
    level = max(row["level"] for row in rows.rows) if level is None else level
    last = {row["model"]: row for row in rows.rows if row["level"] == level}
    shown: list[tuple[dict[str, Any], torch.Tensor]] = []
    for row in last.values():
        key = {k: row[k] for k in ("model", "level", "trained") if k in row}
        if (file := orbit_file(runs, **key)).exists():
            shown.append((row, torch.load(file, weights_only=True)))
    if not shown:
        return
    heads = ["clean", "noisy", *(f"k = {k}" for k in COLUMNS)]
    size = (1.25 * len(heads) + 1.2, 1.35 * len(shown) + 0.3)
    figure, axes = plt.subplots(len(shown), len(heads), figsize=size, dpi=110, squeeze=False)
    for index, (line, (row, pictures)) in enumerate(zip(axes, shown, strict=True)):
        # A lost orbit ends early: what is missing stays empty.
        places = [0, 1, *(2 + SHOWN.index(k) for k in COLUMNS)]
        for panel, place, head in zip(line, places, heads, strict=True):
            panel.set_xticks([])
            panel.set_yticks([])
            if place < len(pictures):
                picture = pictures[place, 0].clamp(0, 1)
                panel.imshow(picture.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            else:
                panel.text(0.5, 0.5, "lost", ha="center", va="center", transform=panel.transAxes)
            if index == 0:
                panel.set_title(head, fontsize=8)
        line[0].set_ylabel(caption(row), fontsize=7)
    save_figure(figure, path)
