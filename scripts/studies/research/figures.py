"""The curves of docs/research.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.protocol import save_figure
from scripts.studies.research.trials import TRIALS

# Which rows share a picture; `small` is in all of them.
CURVES_OF = {
    "start": ("adam_clip", "adam_ball4", "muon_ball4", "adam", "first_0", "first_-1", "first_-4"),
    "normalisation": ("aol", "sll", "adam", "bjorck", "orthogonal"),
    "structure": (
        "firm",
        "theta_75",
        "step_half_held",
        "step_99_held",
        "skip",
        "tied_8",
        "prox_20",
        "c1",
        "d4",
    ),
    "shape": (
        "clip",
        "radii3",
        "features_4",
        "features_8",
        "features_8_hidden_64",
        "blocks_4",
        "kernel_5",
        "dilated",
        "factored",
        "pyramid",
        "wide",
        "one_step_11",
    ),
    "training": (
        "small_only_25",
        "loss_l1",
        "loss_log",
        "small_patch_128",
        "tightened",
        "small_1800",
        "free_small",
        "free_small_1800",
    ),
}
# Below it all curves are steep and none can be told from another.
LOWEST = 26.3


def figures(
    curves: Sequence[dict[str, str]], gains: dict[str, dict[str, str]], folder: Path
) -> None:
    """Writes research_NAME.png for each group."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    for group, names in CURVES_OF.items():
        wide = group == "normalisation"
        figure, axes = plt.subplots(
            1, 2 if wide else 1, figsize=(8.4 if wide else 6.4, 3.8), dpi=100, squeeze=False
        )
        draw_curves(axes[0, 0], curves, ("small", *names))
        if wide:
            draw_gains(axes[0, 1], gains)
        save_figure(figure, folder / f"research_{group}.png")


def style(name: str) -> dict[str, Any]:
    """The same line for a row wherever it is drawn."""
    if name == "small":
        return {"color": "black", "linewidth": 2}
    place = list(TRIALS).index(name)
    return {"color": f"C{place % 10}", "linestyle": ("-", "--", ":")[place // 10 % 3]}


def draw_curves(axes: Any, curves: Sequence[dict[str, str]], names: Sequence[str]) -> None:
    for name in names:
        points = [point for point in curves if point["name"] == name]
        if not points:
            continue
        steps = [int(point["step"]) for point in points]
        values = [float(point["psnr_25"]) for point in points]
        axes.plot(steps, values, marker=".", label=name, **style(name))
    axes.set_ylim(bottom=LOWEST)
    axes.set_xlabel("steps")
    axes.set_ylabel("PSNR in dB at σ·255 = 25, held out")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def draw_gains(axes: Any, gains: dict[str, dict[str, str]]) -> None:
    for name, row in gains.items():
        shares = sorted(int(key[1:]) for key in row if key[1:].isdigit())
        values = [float(row[f"q{share:02}"]) for share in shares]
        axes.plot(shares, values, label=name, **style(name))
    axes.set_xlabel("per cent of all singular values, at all frequencies")
    axes.set_ylabel("are below")
    axes.set_ylim(0, 1.05)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
