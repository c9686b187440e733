"""Synthetic results of a benchmark, made without running one."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pnp_recon.benchmark.cells import Cell, Degradation, Plan, slug
from pnp_recon.benchmark.rows import Row
from pnp_recon.benchmark.store import Results

GAUSSIAN = "gaussian noise"
CERTIFIED = {"certificate": "certified", "theorem": "Euler blocks, h‖A‖² ≤ 2", "alpha": 0.5,
             "lipschitz": 1.0, "model_sha256": "ab" * 32}  # fmt: skip
UNPROVEN = {"theorem": "no bound of the network is known"}
LEVELS = {"median": 27.0, "tv": 28.5, "euler": 29.0, "dncnn": 29.4}
GUARANTEES: dict[str, Mapping[str, Any]] = {"euler": CERTIFIED, "tv": CERTIFIED}

Change = Callable[[Cell], Mapping[str, Any]]


def plan(**changes: Any) -> Plan:
    base: dict[str, Any] = {
        "suite": "denoise",
        "data": "/data/bsds500",
        "split": "bsd68",
        "pictures": tuple((f"test/{i}.jpg", i) for i in range(4)),
        "channels": 1,
        "crop": None,
        "degradations": tuple(Degradation(GAUSSIAN, noise) for noise in (5.0, 15.0, 25.0)),
        "methods": ("median", "tv", "euler", "dncnn"),
    }
    return Plan(**{**base, **changes})


def row(cell: Cell, of: Plan, **changes: Any) -> Row:
    """A row with plausible numbers that follow from the cell alone."""
    draw = random.Random(repr(cell.key))
    start = 34.0 - 0.55 * cell.degradation.noise + draw.gauss(0, 0.02)
    psnr = LEVELS.get(cell.method, 28.0) + 0.35 * (15 - cell.degradation.noise)
    psnr += 1.5 * random.Random(cell.picture).gauss(0, 1) + draw.gauss(0, 0.05)
    base: dict[str, Any] = {
        "suite": cell.suite, "problem": cell.degradation.name, "noise": cell.degradation.noise,
        "picture": cell.picture, "split": of.split, "method": cell.method,
        "channels": of.channels, "seed": of.seed, "status": "done", "psnr": psnr,
        "psnr_clean_peak": psnr - 0.3, "ssim": 1 - 8 / psnr**1.2, "psnr_input": start,
        "seconds": 0.02 * (1 + of.methods.index(cell.method)) ** 2, "peak_memory_mb": 120.0,
        "versions": "pnp-recon 0.1.0, torch 2.15.0", "revision": "0123abc", "device": "cpu",
        **GUARANTEES.get(cell.method, UNPROVEN),
    }  # fmt: skip
    return Row(**{**base, **changes})


def results(
    folder: Path,
    of: Plan | None = None,
    change: Change = lambda cell: {},
    cells: int | None = None,
    about: Mapping[str, Any] | None = None,
) -> Results:
    """A run; `change` gives fields of single rows, `cells` stops it after so many."""
    of = plan() if of is None else of
    found = Results.create(folder, of, about or {"command": ["pnp-bench", "run", of.suite]})
    for cell in list(of.cells())[:cells]:
        # Straight into the table: `add` flushes every row to the disk.
        made = row(cell, of, **change(cell))
        found._rows[made.key] = made
    found.sort()
    return Results.open(folder)


def stability(folder: Path) -> Results:
    """A run of the suite of that name: settling, running away, and a false certificate."""
    names = ("repeat", "attack", "pnp-pgd")
    of = plan(suite="stability", methods=("euler", "dncnn", "liar"),
              degradations=tuple(Degradation(name, 25.0) for name in names))  # fmt: skip

    def fields(cell: Cell) -> dict[str, Any]:
        good = cell.method != "dncnn"
        base: dict[str, Any] = {"psnr": None, "ssim": None, "psnr_clean_peak": None,
                                **(CERTIFIED if good else UNPROVEN)}  # fmt: skip
        if cell.degradation.name == "attack":
            attained = {"euler": 0.934, "dncnn": 1.7, "liar": 1.2}[cell.method]
            status = "done" if cell.method == "euler" else "expansive"
            verdict = {"certificate": "contradicted"} if cell.method == "liar" else {}
            return {**base, "attained_lipschitz": attained, "status": status, **verdict}
        if good:
            status = "done" if cell.degradation.name == "repeat" else "converged"
            return {**base, "status": status, "iterations": 80, "residual": 1e-7}
        status = "diverged" if cell.degradation.name == "repeat" else "expansive"
        return {**base, "status": status, "iterations": 212 + cell.index}

    found = results(folder, of, fields)
    for cell in of.cells():
        bad, many = cell.method == "dncnn", range(1, 60)
        found.save_curve(cell, {
            "application": [float(k) for k in many],
            "residual": [math.nan if bad and k > 50 else (2.0**k if bad else 1 / k) for k in many],
        })  # fmt: skip
    return found


def png(size: int = 48, value: int = 128) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("L", (size, size), value).save(buffer, "PNG")
    return buffer.getvalue()


def keep_pictures(found: Results, pictures: Sequence[str], methods: Sequence[str]) -> None:
    """Crops as a run keeps them: of the truth, the input and every method."""
    for name in pictures:
        for degradation in found.plan.degradations:
            for i, method in enumerate(("clean", "input", *methods)):
                key = slug(
                    found.plan.suite, degradation.name, f"{degradation.noise:g}", name, method
                )
                found.save_picture(key, png(value=40 + 30 * i))
