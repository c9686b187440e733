"""The page of the study, and the figure of its stopping rules."""

from __future__ import annotations

import itertools
from pathlib import Path

import matplotlib as mpl
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt
from torch import Tensor

from scripts.protocol import Rows, save_figure
from scripts.studies.control.depth import DEPTHS, Trained, gaps
from scripts.studies.control.neural_ode import Oscillator
from scripts.studies.control.stopping import WRONG, Case, best, discrepancy, paths
from scripts.studies.control.unrolled import LEVEL, Learned

RULES = ("discrepancy", "discrepancy, learned factor", "learned time", "least error")
LIMIT = "limit of the commands"
HEAD = """# Training as control

What the laws of [control.md](../control.md) mean in numbers.
From `python -m scripts.studies.control --data BSDS500`.
"""


def stopping(rows: Rows) -> list[str]:
    """What each rule loses against the best step of every picture."""
    first = rows.rows[0]
    lines = [
        "## When to stop Landweber's iteration",
        "",
        f"Crops of BSDS500, grey; {first['pictures']} of val without BSD68 are judged, rules are "
        "learned on crops of "
        "train. Step in units of 1/‖A‖². PSNR of the best whole step of each picture, then what "
        "each rule loses against it "
        f"in the mean, in dB (in brackets: the worst picture). {first['environment']}.",
        "",
        f"| case | noise | step | best | {' | '.join(RULES)} | {LIMIT} (200) |",
        "|---" * (5 + len(RULES)) + "|",
    ]
    for case in _keys(rows):
        found = {r["rule"]: r for r in rows.rows if _key(r) == case}
        name, noise, step = case
        cells = [
            f"{found[rule]['lost']:.2f} ({found[rule]['worst']:.2f})" if rule in found else "–"
            for rule in (*RULES, LIMIT)
        ]
        lines.append(
            f"| {name} | {noise} | {step:g} | {found['best']['psnr']:.2f} | {' | '.join(cells)} |"
        )
    lines += [
        "",
        "Where the learned time is better than the best step it lies between two steps: with "
        "steps of 1.9/‖A‖² a last one of "
        "1/‖A‖² ends what swings.",
        "",
        "With a noise level that is wrong:",
        "",
        "| case | noise | rule | right | "
        + " | ".join(f"σ × {factor:g}" for factor in WRONG)
        + " |",
        "|---|---|---|---|---|---|",
    ]
    for case in _keys(rows):
        found = {r["rule"]: r for r in rows.rows if _key(r) == case}
        for rule in ("discrepancy", "least error"):
            wrong = [found.get(f"{rule}, σ × {factor}") for factor in WRONG]
            if all(wrong):
                cells = [f"{r['lost']:.2f} ({r['worst']:.2f})" for r in (found[rule], *wrong) if r]
                lines.append(f"| {case[0]} | {case[1]} | {rule} | {' | '.join(cells)} |")
    return [*lines, ""]


def unrolled(found: Learned) -> list[str]:
    lines = [
        "## A time that is learned with a network",
        "",
        f"ẋ = −μAᵀ(Ax − y) − ΣwᵢKᵢᵀtanh(Kᵢx) in 10 steps, motion blur, σ·255 = {255 * LEVEL:g}. "
        "T was learned with "
        f"the weights to {found.time:.3f}, where dlog J/dlog T = {found.slope:.1e} on the "
        "training pictures; with the weights "
        f"held it is {found.condition:.0e} at T = {found.settled:.3f}. New pictures, PSNR "
        "and the mean step:",
        "",
        "| rule | PSNR | step |",
        "|---|---|---|",
    ]
    for rule, score in found.scores.items():
        step = f"{found.stops[rule]:.1f}" if rule in found.stops else "10 of its own"
        lines.append(f"| {rule} | {score:.2f} | {step} |")
    return [*lines, ""]


def costates(rows: list[tuple[str, float, float]]) -> list[str]:
    lines = [
        "## Gradients by costates",
        "",
        "Relative distance from back-propagation in float64, six layers; with the symplectic "
        "partner of the tableau, and, "
        "which is wrong, with the tableau itself:",
        "",
        "| tableau | partner | the same |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {right:.0e} | {wrong:.0e} |" for name, right, wrong in rows]
    return [*lines, ""]


def depth(
    found: dict[tuple[float, str], list[Trained]], losses: dict[str, list[float]]
) -> list[str]:
    lines = [
        "## Deep limits",
        "",
        "Misfit, norm over depth, and the distance in L² to the network of twice as many layers; "
        "begun with the weights of the "
        "next shallower network, refined, or with random ones:",
        "",
        "| λ | begun | K | misfit | norm | distance to 2K |",
        "|---|---|---|---|---|---|",
    ]
    for (weight, way), some in found.items():
        between = [f"{gap:.3g}" for gap in gaps(some)] + ["–"]
        for count, trained, gap in zip(DEPTHS, some, between, strict=False):
            lines.append(
                f"| {weight:g} | {way} | {count} | {trained.loss:.4f} | {trained.norm:.4g} | "
                f"{gap} |"
            )
    lines += [
        "",
        "## Successive approximations",
        "",
        "Loss at the beginning and after steps of the maximum principle, eight layers; a rise is "
        "one from a step to the next:",
        "",
        "| how | loss | rises |",
        "|---|---|---|",
    ]
    for name, values in losses.items():
        rises = sum(b > a for a, b in itertools.pairwise(values))
        lines.append(
            f"| {name} | {values[0]:.3f} → {values[-1]:.3f} | {rises} of {len(values) - 1} |"
        )
    return [*lines, ""]


def continuous(
    gap: dict[float, float], found: Oscillator, crossings: dict[str, float]
) -> list[str]:
    plain, adjoint = found.seconds
    return [
        "## Continuous flows",
        "",
        "Gradients by back-propagation and by the adjoint equation, relative distance by the "
        "tolerance of Dormand and Prince's "
        "method: " + ", ".join(f"{tol:.0e}: {value:.0e}" for tol, value in gap.items()) + ".",
        "",
        f"The oscillator from {len(found.times)} irregular times: mean square error "
        f"{found.loss[-1]:.1e} after {len(found.loss)} "
        f"steps of Adam on those, {found.error:.1e} on new points at 50 regular times. A step "
        f"takes {adjoint / plain:.1f} "
        "times as long with the adjoint as with back-propagation.",
        "",
        "−1 ↦ 1 and 1 ↦ −1, mean square error; a flow of the line keeps the order and has at "
        "least 1: " + ", ".join(f"{name} {value:.2g}" for name, value in crossings.items()) + ".",
        "",
    ]


def stopping_figure(rows: Rows, case: Case, judged: Tensor, count: int, path: Path) -> None:
    """One picture's error with its rules, and what rules lose in the mean."""
    found = paths(case, judged, 2, count, (1.0,))
    errors = torch.stack([(z - found.truth).square().flatten(1).mean(1) for z in found.points])
    drawn, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.4), width_ratios=(1, 1.25))
    curve = -10 * errors[:, 0].log10()
    left.plot(curve, lw=1)
    marks = {"best": best(found)[0], "discrepancy": discrepancy(found, 1.0)[0]}
    marks["least error"] = int(found.worth[1.0][0])
    for (name, k), sign in zip(marks.items(), "ovs", strict=True):
        left.plot(k, float(curve[k]), sign, label=name, fillstyle="none")
    left.set(xlabel="step", ylabel="PSNR, dB", title=f"{case.name}, σ = {case.words}")
    left.set_ylim(float(curve.max()) - 4, float(curve.max()) + 0.5)
    left.legend(frameon=False, fontsize=8)
    keys = [key for key in _keys(rows) if key[2] == 1.0]
    for shift, rule in enumerate(RULES):
        lost = [
            r["lost"] for key in keys for r in rows.rows if _key(r) == key and r["rule"] == rule
        ]
        right.bar([i + 0.2 * shift - 0.3 for i in range(len(lost))], lost, 0.2, label=rule)
    names = [f"{name.split(' (')[0]}\n{noise.split(' of')[0]}" for name, noise, _ in keys]
    right.set_xticks(range(len(names)), names, fontsize=6, rotation=60)
    right.set(ylabel="lost against the best step, dB")
    right.set_ylim(0, 1.3 * right.get_ylim()[1])
    right.legend(frameon=False, fontsize=8, ncol=2)
    save_figure(drawn, path)


def _key(row: dict[str, object]) -> tuple[str, str, float]:
    return str(row["case"]), str(row["noise"]), float(str(row["step"]))


def _keys(rows: Rows) -> list[tuple[str, str, float]]:
    return list(dict.fromkeys(map(_key, rows.rows)))
