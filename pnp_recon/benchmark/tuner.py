"""The search for a method's parameters, on pictures that no table is made of, and its record.

Every candidate is run as the benchmark would run it; all of them go to `search.csv`, the best to
`tuned.json`, which `tuned` reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pnp_recon.benchmark import table, tuned
from pnp_recon.benchmark.cells import Cell, Key, Plan
from pnp_recon.benchmark.choice import Search
from pnp_recon.benchmark.descent import ascend
from pnp_recon.benchmark.methods import Method, load_method
from pnp_recon.benchmark.rows import Row
from pnp_recon.benchmark.runner import run_cell
from pnp_recon.benchmark.store import Results
from pnp_recon.benchmark.suites.catalogue import SUITES
from pnp_recon.errors import InputError
from pnp_recon.solvers.tuning import SPLITTINGS

# Weights of variational methods, in units of the automatic weight.
WEIGHTS = (0.25, 0.35, 0.5, 0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0)
# For a denoiser inside an iteration: its level, σ·255, and c of γ = c (level/σ)² in units of the
# solver's automatic one. The level hardly matters where the coupling is right; a coupling off by
# a factor of 1.5 costs a tenth of a decibel or two.
LEVELS = (3.5, 7.0, 10.0, 14.0)
COUPLINGS = (0.35, 0.6, 0.8, 1.0, 1.3, 2.8)

Report = Callable[[str, float, Mapping[str, float], float], None]


def candidates(suite: str, method: Method, channels: int) -> list[dict[str, float]]:
    """The parameters that are tried for a method in a suite."""
    if suite == "denoise":
        return tuned.candidates(method)
    if suite == "stability":
        raise InputError("suite stability has no parameters of its own; tune denoise")
    if method.regulariser(1.0, channels) is not None:
        return [{"weight": weight} for weight in WEIGHTS]
    automatic = SPLITTINGS[SUITES.find(suite).settings["solver"]].factor
    return [
        {"level": level, "coupling": round(c * automatic, 3)} for level in LEVELS for c in COUPLINGS
    ]


def beginning(suite: str, method: Method, channels: int) -> dict[str, float]:
    """Where a descent begins: what a reconstruction runs with untuned; empty for other suites."""
    if suite in ("denoise", "stability"):
        return {}
    if method.regulariser(1.0, channels) is not None:
        return {"weight": 1.0}
    usual = SPLITTINGS[SUITES.find(suite).settings["solver"]]
    return {"level": usual.level, "coupling": usual.factor}


def tune(
    results: Results, report: Report | None = None, search: Search = Search.candidates
) -> dict[str, Any]:
    """Searches every method of a plan at every noise level; returns the table of the best.

    The score is the mean PSNR over the pictures and problems of one noise level. A search that was
    stopped goes on: rows that are in `search.csv` are not run again.

    Args:
        results: what a plan gave on pictures that may be tuned on; its folder keeps the record.
        report: called with method, noise, parameters and mean PSNR of each candidate.
        search: descent is for reconstructions; parameters of denoisers,
            some of which are whole numbers, are searched among candidates all the same.

    Returns:
        {suite: {method: {channels: [{"noise", "parameters", "psnr", "pictures"}]}}}.
    """
    plan = results.plan
    record = _Record(results.folder / "search.csv")
    best: dict[str, Any] = {}
    for name in plan.methods:
        method = load_method(name, plan.channels, plan.device)
        if len(candidates(plan.suite, method, plan.channels)) < 2:
            continue
        for noise in sorted({one.noise for one in plan.degradations}):
            scores = _searched(plan, name, method, noise, record, report, search)
            if not scores:
                continue
            psnr, point = max(scores, key=lambda pair: pair[0])
            entries = best.setdefault(plan.suite, {}).setdefault(method.name, {})
            entries.setdefault(str(plan.channels), []).append(
                {
                    "noise": noise,
                    "parameters": point,
                    "psnr": round(psnr, 3),
                    "pictures": len(plan.pictures),
                }
            )
    return best


def _searched(
    plan: Plan,
    name: str,
    method: Method,
    noise: float,
    record: _Record,
    report: Report | None,
    search: Search,
) -> list[tuple[float, dict[str, float]]]:
    """(mean PSNR, parameters) of all points of a search that were whole."""
    scores: list[tuple[float, dict[str, float]]] = []

    def score(point: dict[str, float]) -> float | None:
        found = list(_rows(plan, name, method, noise, point, record))
        values = [row.psnr for row in found if row.measured and row.psnr is not None]
        if len(values) < len(found):
            return None  # it failed or diverged somewhere: no candidate
        mean = sum(values) / len(values)
        scores.append((mean, point))
        if report is not None:
            report(name, noise, point, mean)
        return mean

    first = beginning(plan.suite, method, plan.channels) if search is Search.descent else {}
    if first:
        ascend(score, first)
    else:
        for point in candidates(plan.suite, method, plan.channels):
            score(point)
    return scores


def _rows(
    plan: Plan,
    entry: str,
    method: Method,
    noise: float,
    point: dict[str, float],
    record: _Record,
) -> Iterator[Row]:
    """The rows of one candidate, from the record where they are there."""
    levels = [{"noise": noise, "parameters": point}]
    trial = replace(
        plan,
        methods=(entry,),
        degradations=tuple(one for one in plan.degradations if one.noise == noise),
        tuned=tuned.merged(
            plan.tuned,
            {plan.suite: {method.name: {str(plan.channels): levels}}},
        ),
    )
    for cell in trial.cells():
        row = record.find(cell, point)
        if row is None:
            row = run_cell(trial, cell).row
            row = replace(row, parameters=point)
            record.add(row)
        yield row


class _Record:
    """All candidates that were run, as rows of the benchmark in a CSV file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        held = table.read(path) if path.exists() else []
        self._rows = {self._key(row.key, row.parameters): row for row in held}
        table.write(path, held)  # without a line that a kill cut off

    @staticmethod
    def _key(key: Key, point: Mapping[str, float]) -> tuple[Key, str]:
        return key, json.dumps(dict(point), sort_keys=True)

    def find(self, cell: Cell, point: Mapping[str, float]) -> Row | None:
        return self._rows.get(self._key(cell.key, point))

    def add(self, row: Row) -> None:
        table.append(self.path, row)
        self._rows[self._key(row.key, row.parameters)] = row
