"""Tuning a reconstruction by Itoh–Abe descent, against candidates and Nelder–Mead.

The score is that of `pnp-bench tune`, the mean PSNR over pictures and blurs of one noise level, so
that every point costs as many reconstructions. What was found is run on pictures that no search
has seen, beside the choice of each picture's own cross-validation.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from scipy.optimize import minimize

from pnp_recon.benchmark import tuned, tuner
from pnp_recon.benchmark.cells import Plan
from pnp_recon.benchmark.choice import Choice
from pnp_recon.benchmark.descent import FACTOR, ascend
from pnp_recon.benchmark.methods import load_method
from pnp_recon.benchmark.planning import search_plan
from pnp_recon.benchmark.runner import run_cell
from scripts.protocol import Rows, save_figure

METHODS = ("euler_grey", "tv")
NOISES = (2.55, 7.65)
PROBLEMS = ("motion 15 px, 30°", "Gaussian 1.6 px")
CROP, PICTURES, HELD_OUT = 96, 3, 6
NEAR = 0.02
# Nelder–Mead: evaluations, and the tolerance in dB that descent settles with.
EVALUATIONS, TOLERANCE = 40, 0.01

Score = Callable[[dict[str, float]], float | None]


def plan_of(data: Path, noises: tuple[float, ...], pictures: int) -> tuple[Plan, Plan]:
    """The plan of the search and that of the pictures held out, all of val without BSD68."""
    choice = Choice(
        suite="deblur", data=data, methods=list(METHODS), noise=list(noises),
        images=None, grey=True, crop=CROP, problems=list(PROBLEMS), threads=1, device="cpu",
    )  # fmt: skip
    every = search_plan(replace(choice, images=0))
    seen = every.pictures[:: len(every.pictures) // pictures][:pictures]
    others = [one for one in every.pictures if one not in seen]
    held = others[:: max(1, len(others) // HELD_OUT)][:HELD_OUT]
    return replace(every, pictures=tuple(seen)), replace(every, pictures=tuple(held))


def shortened(plan: Plan) -> Plan:
    """One picture, one blur, one noise level, total variation: for a trial."""
    first = plan.degradations[:1]
    return replace(plan, pictures=plan.pictures[:1], degradations=first, methods=("tv",), crop=48)


def measured(plan: Plan, name: str, noise: float, point: dict[str, float]) -> float | None:
    """The mean PSNR of a point; an empty one: each picture's own choice."""
    levels = [{"noise": noise, "parameters": point}]
    method = load_method(name, plan.channels)
    table = {plan.suite: {method.name: {str(plan.channels): levels}}}
    trial = replace(
        plan,
        methods=(name,),
        degradations=tuple(one for one in plan.degradations if one.noise == noise),
        tuned=tuned.merged(plan.tuned, table) if point else plan.tuned,
        strength=plan.strength if point else "auto",
    )
    values = [run_cell(trial, cell).row.psnr for cell in trial.cells()]
    return None if None in values else statistics.fmean(v for v in values if v is not None)


def nelder_mead(score: Score, start: dict[str, float]) -> None:
    """The simplex of Nelder & Mead in the logarithms, its first edges as long as the descent's."""
    names = list(start)
    first = np.log(list(start.values()))
    simplex = np.vstack([first, first + math.log(FACTOR) * np.eye(len(names))])

    def loss(logs: Any) -> float:
        point = {n: float(f"{math.exp(v):.3g}") for n, v in zip(names, logs, strict=True)}
        found = score(point)
        return math.inf if found is None else -found

    options = {"initial_simplex": simplex, "maxfev": EVALUATIONS, "fatol": TOLERANCE, "xatol": 0.05}
    minimize(loss, first, method="Nelder-Mead", options=options)


def searches(plan: Plan, name: str) -> dict[str, Callable[[Score], None]]:
    method = load_method(name, plan.channels)
    start = tuner.beginning(plan.suite, method, plan.channels)
    points = tuner.candidates(plan.suite, method, plan.channels)

    def all_of_them(score: Score) -> None:
        for point in points:
            score(point)

    return {
        "candidates": all_of_them,
        "Itoh–Abe": lambda score: ascend(score, start),
        "Nelder–Mead": lambda score: nelder_mead(score, start),
    }


def study(rows: Rows, seen: Plan, held: Plan) -> None:
    """Each search of each method and noise level; rows that are there are not made again."""
    for noise in sorted({one.noise for one in seen.degradations}):
        for name in seen.methods:
            known: dict[str, float | None] = {}
            for search, call in searches(seen, name).items():
                key = {"method": name, "noise": noise, "search": search}
                if rows.has(**key):
                    continue
                course: list[float] = []
                best: tuple[float, dict[str, float]] = (-math.inf, {})

                def score(point: dict[str, float], name: str = name, noise: float = noise,
                          known: dict[str, float | None] = known,
                          course: list[float] = course) -> float | None:  # fmt: skip
                    nonlocal best
                    if str(point) not in known:
                        known[str(point)] = measured(seen, name, noise, point)
                    found = known[str(point)]
                    course.append(-math.inf if found is None else round(found, 4))
                    best = max(best, (course[-1], point), key=lambda pair: pair[0])
                    return found

                call(score)
                rows.add(**key, course=course, parameters=best[1], psnr=best[0],
                         held_out=measured(held, name, noise, best[1]))  # fmt: skip
            own = {"method": name, "noise": noise, "search": "cross-validation"}
            if not rows.has(**own):
                rows.add(**own, held_out=measured(held, name, noise, {}))


def figure(rows: Rows, path: Path) -> None:
    """How far the best point so far is below the best of all, a panel for each case."""
    courses = [row for row in rows.rows if "course" in row]
    cases = list(dict.fromkeys((row["method"], row["noise"]) for row in courses))
    drawn, panels = plt.subplots(1, len(cases), figsize=(2.6 * len(cases), 2.8), squeeze=False)
    for axes, case in zip(panels[0], cases, strict=True):
        same = [row for row in courses if (row["method"], row["noise"]) == case]
        best = max(row["psnr"] for row in same)
        for row in same:
            gaps = best - np.maximum.accumulate(row["course"])
            axes.semilogy(range(1, len(gaps) + 1), np.maximum(gaps, 1e-3), label=row["search"])
        axes.axhline(NEAR, color="0.7", lw=0.8)
        axes.set(title=f"{case[0]}, σ·255 = {case[1]:g}", xlabel="points")
    panels[0, 0].set(ylabel="dB below the best")
    panels[0, 0].legend(frameon=False, fontsize=7)
    save_figure(drawn, path)


def page(rows: Rows, seen: Plan, held: Plan) -> str:
    lines = [
        "# Tuning a reconstruction",
        "",
        f"Grey pictures of BSDS500 val without BSD68, central {CROP}² crops, "
        f"{' and '.join(PROBLEMS)}. A point is the mean PSNR over {len(seen.pictures)} pictures "
        "and both blurs; what was found is run on "
        f"{len(held.pictures)} others. Points: all that were run, and those until within "
        f"{NEAR} dB of the best that any search found. Cross-validation chooses for each picture "
        "and sees no truth. From `python -m scripts.studies.optimisers tuning --data BSDS500`.",
        "",
        "| method | noise σ·255 | search | points | until within 0.02 dB | parameters | PSNR | "
        "held out |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows.rows:
        held_out = f"{row['held_out']:.2f}"
        if "course" not in row:
            lines.append(
                f"| {row['method']} | {row['noise']} | {row['search']} | | | | | {held_out} |"
            )
            continue
        same = [r for r in rows.rows if (r["method"], r["noise"]) == (row["method"], row["noise"])]
        best = max(r["psnr"] for r in same if "psnr" in r)
        near = next((k + 1 for k, v in enumerate(row["course"]) if v >= best - NEAR), "–")
        words = ", ".join(f"{n} {v:g}" for n, v in row["parameters"].items())
        lines.append(
            f"| {row['method']} | {row['noise']} | {row['search']} | {len(row['course'])} | {near} "
            f"| {words} | {row['psnr']:.2f} | {held_out} |"
        )
    return "\n".join([*lines, ""])
