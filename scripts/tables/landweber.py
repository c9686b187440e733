"""Writes docs/results/landweber.md: where the commands end Landweber's iteration in scans.

    python -m scripts.tables.landweber

Two phantoms of 64², a parallel beam, Gaussian noise or counted photons. Every rule is held against
the best of the first 2000 steps, which nobody knows without the truth.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from operators import LinearOperator, parallel_beam
from operators.row_scaled import RowScaled
from pnp_recon import reconstruct
from pnp_recon.cli.ct.light import FEW, MANY_FEW
from pnp_recon.cli.run.case import EARLY
from pnp_recon.cli.run.solve import LEAST_ERROR
from pnp_recon.fidelity import LeastSquares
from pnp_recon.kspace.phantom import head
from pnp_recon.problems.noise import command_counts, table_scan_noise
from pnp_recon.problems.simulate import in_window, photon_tomography, tomography
from pnp_recon.scans import statistical_weights
from pnp_recon.scans.window import Window
from pnp_recon.solvers import Landweber, Stopping
from scripts.protocol import RESULTS, Rows

SIDE = 64
VIEWS = (30, 90)
# Attenuation where the phantom is 1, in units of 1/side: what rays lose at most, about.
DENSITIES = {"thin": 5.0, "dense": 20.0}
PHOTONS = (1e3, 1e4)
SHARES = (0.02, 0.005)
RULES = ("200 steps", "least error", "one level", "weighted")
# Of the second phantom: value, radius, place; in half sides.
DISCS = ((0.6, 0.8, 0, 0), (-0.4, 0.25, -0.4, 0.1), (0.4, 0.15, 0.3, 0.4), (0.3, 0.08, 0.4, -0.4))


@dataclass(frozen=True)
class Scan:
    """A scan in the window, where the phantom lies in [0, 1].

    Attributes:
        levels: standard deviation of the noise of each ray; None: it is `level` in all.
        few: share of rays with fewer than `FEW` photons.
    """

    A: LinearOperator
    y: Tensor
    truth: Tensor
    level: float
    levels: Tensor | None
    few: float = 0.0


def discs(side: int) -> Tensor:
    """The second phantom, (1, 1, side, side)."""
    place = (torch.arange(side) + 0.5) * (2 / side) - 1
    out = torch.zeros(side, side)
    for value, radius, x, y in DISCS:
        out += value * ((place - x) ** 2 + (place[:, None] - y) ** 2 <= radius**2)
    return out[None, None]


def scans() -> Iterator[tuple[dict[str, Any], Scan]]:
    """What a scan is of, and the scan."""
    for number, (phantom, picture) in enumerate({"head": head, "discs": discs}.items()):
        for views in VIEWS:
            beam = parallel_beam(views, SIDE)
            for density, rate in DENSITIES.items():
                truth = picture(SIDE) * rate / SIDE
                window = Window(0.0, rate / SIDE)
                for photons in PHOTONS:
                    draw = command_counts(photons, number)
                    problem, counts = photon_tomography(truth, beam, photons, draw)
                    seen = in_window(problem, window)
                    weights = window.weights(statistical_weights(counts))
                    levels = weights.clamp_min(weights[weights > 0].min()).rsqrt()
                    noise = f"{photons:g} photons, {density}"
                    key = {"phantom": phantom, "views": views, "noise": noise}
                    rms = float(levels.square().mean().sqrt())
                    assert seen.truth is not None
                    few = float((counts < FEW).double().mean())
                    yield key, Scan(seen.A, seen.y, seen.truth, rms, levels, few)
            for share in SHARES:
                draw = table_scan_noise(number)
                problem = tomography(picture(SIDE), beam, share, draw)
                key = {"phantom": phantom, "views": views, "noise": f"Gaussian, {share:.1%}"}
                yield key, Scan(problem.A, problem.y, picture(SIDE), problem.noise(), None)


def psnr(x: Tensor, truth: Tensor) -> float:
    return -10 * math.log10(float((x - truth).double().square().mean()))


@torch.inference_mode()
def best(A: LinearOperator, y: Tensor, truth: Tensor) -> tuple[float, int]:
    """The best PSNR of the first steps of 1/‖A‖², and its step."""
    squares = LeastSquares(A, y)
    solver = Landweber(squares, torch.zeros_like(truth), step_size=1 / squares.lipschitz)
    state, found = solver.init(), (-math.inf, 0)
    for k in range(int(LEAST_ERROR["max_iter"])):
        state = solver.step(state, k).state
        found = max(found, (psnr(state.z, truth), k + 1))
    return found


def ended(A: LinearOperator, y: Tensor, truth: Tensor, level: float | Tensor) -> dict[str, Any]:
    """As the commands end it."""
    rule = Stopping(**LEAST_ERROR)
    found = reconstruct(y, A, noise_level=level, solver="landweber", stopping=rule)
    steps = int(found.parameters["steps_worth_making"])
    return {"psnr": psnr(found.image, truth), "steps": steps, "status": found.status.name}


def measured(scan: Scan) -> dict[str, dict[str, Any]]:
    """Every rule, and what it loses against the best step of its iteration."""
    A, y, truth = scan.A, scan.y, scan.truth
    limit = EARLY["landweber"]
    stopping = Stopping(1e-9, limit, early=True)
    plain = reconstruct(y, A, noise_level=scan.level, solver="landweber", stopping=stopping)
    out = {"200 steps": {"psnr": psnr(plain.image, truth), "steps": limit, "status": ""}}
    most, step = best(A, y, truth)
    if scan.levels is None:
        out["least error"] = ended(A, y, truth, scan.level)
    else:
        out["least error"] = ended(A, y, truth, scan.levels)
        out["one level"] = ended(A, y, truth, scan.level)
        root = 1 / scan.levels
        white = RowScaled(A, root)
        found = best(white, root * y, truth)
        out["weighted"] = ended(white, root * y, truth, 1.0)
        out["weighted"] |= {"best": found[0], "best_step": found[1]}
    for row in out.values():
        row.setdefault("best", most)
        row.setdefault("best_step", step)
    return out


def table(rows: Rows, few: dict[tuple[Any, ...], float]) -> str:
    """The page; `few` says of each scan which share of its rays had few photons."""
    lines = [
        "# Where Landweber's iteration ends",
        "",
        f"Scans of two phantoms of {SIDE}². *Best*: the best PSNR of the first "
        f"{LEAST_ERROR['max_iter']} steps of 1/‖A‖², and its step. Then what is lost against it, "
        "in dB, and after how many steps: by 200 steps of 1.9/‖A‖², where the commands ended "
        "before; by `least_error` with the noise of each ray, as they end now; by `least_error` "
        "with one level for all rays, the root mean square. *Weighted*: the same iteration with "
        "weights of the photons, its own best and what `least_error` loses against that; * where "
        f"the limit came first. *Few*: rays with fewer than {FEW} photons. "
        f"Measured in: {rows.measured_in()}. From `python -m scripts.tables.landweber`; see "
        "[control.md](../control.md#when-to-stop).",
        "",
        "| phantom | views | noise | few | best | 200 steps | least error | one level "
        "| weighted: best | least error |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    keys = dict.fromkeys((r["phantom"], r["views"], r["noise"]) for r in rows.rows)
    for key in keys:
        mine = {r["rule"]: r for r in rows.rows if (r["phantom"], r["views"], r["noise"]) == key}
        first = mine["least error"]
        weighted = mine.get("weighted")
        own = "" if weighted is None else f"{weighted['best']:.2f} at {weighted['best_step']}"
        cells = [*map(str, key), f"{few[key]:.0%}" if weighted else ""]
        cells += [f"{first['best']:.2f} at {first['best_step']}"]
        cells += [_cell(mine.get(rule)) for rule in RULES[:3]]
        lines.append(f"| {' | '.join([*cells, own, _cell(weighted)])} |")
    lines += ["", "Lost in the mean, and at most, where the best step came before the limit:", ""]
    for words, wanted in (("enough photons", False), ("few in more than 1 % of the rays", True)):
        for rule in RULES:
            lost = [
                row["best"] - row["psnr"]
                for row in rows.rows
                if row["rule"] == rule
                and row["best_step"] < LEAST_ERROR["max_iter"]
                and (few[row["phantom"], row["views"], row["noise"]] > MANY_FEW) is wanted
            ]
            if lost:
                mean, most = statistics.mean(lost), max(lost)
                said = f"{mean:.2f} and {most:.2f} dB ({len(lost)} scans)"
                lines.append(f"- {words}, {rule}: {said}")
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    mark = "*" if row["status"] == "ITERATION_LIMIT" else ""
    return f"{row['best'] - row['psnr']:.2f} at {row['steps']}{mark}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = Rows(options.results / "landweber.jsonl")
    few = {}
    for key, scan in scans():
        few[tuple(key.values())] = scan.few
        if rows.has(**key):
            continue
        for rule, row in measured(scan).items():
            rows.add(**key, rule=rule, **row)
            print(key, rule, row, flush=True)
    text = table(rows, few)
    (options.results / "landweber.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
