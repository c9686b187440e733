"""energies.md from the rows of energies.csv: means, paired differences, wins, seconds.

A difference is taken picture by picture, between two rows of the same cell; its spread is the
standard deviation over the pictures, and a win is a picture on which the method is ahead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pnp_recon.benchmark.methods.scheduled import PREFIX

Rows = Sequence[Mapping[str, str]]
# dB at σ·255: what a model has to reach, and what it should.
BARS = {
    "ridge_grey": {"5": (37.4, 37.65), "15": (31.0, 31.21), "25": (28.5, 28.68)},
    "energy_grey": {"5": (37.6, None), "15": (31.3, 31.6), "25": (28.8, 29.2)},
    "energy_colour": {"5": (39.9, None), "15": (33.3, 33.9), "25": (30.6, 31.2)},
}
BASELINES = {"1": "euler_grey", "3": "euler_colour"}
CT_BASELINE = "euler_ct"
CELL = ("suite", "problem", "noise", "channels", "crop")


def report(rows: Rows) -> str:
    """The page in Markdown."""
    denoised = [row for row in rows if row["suite"] == "denoise"]
    solved = [row for row in rows if row["suite"] != "denoise"]
    parts = [
        "# Energies beside certified denoisers",
        "`python -m scripts.tables.energies` writes the rows (energies.csv) and this page. BSD68 "
        "and CBSD68; noise on unclipped pictures with one seed for each picture and level, PSNR in "
        f"dB with range 1; one thread. {_conditions(rows)}",
    ]
    if denoised:
        parts += ["## Denoising, whole pictures", _denoising(denoised)]
    if solved:
        parts += ["## Reconstruction", _reconstruction(solved), *_means(solved)]
    return "\n\n".join(parts) + "\n"


def _conditions(rows: Rows) -> str:
    versions = ", then ".join(dict.fromkeys(row["versions"] for row in rows))
    models = dict.fromkeys(
        (row["method"], row["sha256"])
        for row in rows
        if row["sha256"] and not row["method"].startswith(PREFIX)
    )
    hashes = ", ".join(f"{name} {sha}" for name, sha in models)
    return f"Versions: {versions}. SHA-256 of the weights: {hashes}."


def _denoising(rows: Rows) -> str:
    lines = [
        "| method | σ·255 | pictures | PSNR / SSIM | floor | goal | above Euler ± spread | wins "
        "| s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in _cells(rows):
        here = _of(rows, cell)
        for method in _methods(here):
            found = [row for row in here if row["method"] == method]
            floor, goal = BARS.get(method, {}).get(cell["noise"], (None, None))
            lines.append(
                f"| {method} | {cell['noise']} | {_quality(found)} | {_bar(floor, found)} | "
                f"{_bar(goal, found)} | {_beside(here, method, BASELINES[cell['channels']])} | "
                f"{_seconds(found)} |"
            )
    return "\n".join(lines)


def _reconstruction(rows: Rows) -> str:
    lines = [
        "| problem | noise | method | certificate | strength | pictures | PSNR / SSIM | "
        "above Euler ± spread | wins | s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in _cells(rows):
        here = _of(rows, cell)
        for method in _methods(here):
            found = [row for row in here if row["method"] == method]
            certificate = ", ".join(dict.fromkeys(row["certificate"] for row in found))
            lines.append(
                f"| {_problem(cell)} | {cell['noise']} | {method} | {certificate} | "
                f"{_strength(found)} | {_quality(found)} | "
                f"{_beside(here, method, _baseline(cell))} | {_seconds(found)} |"
            )
    return "\n".join(lines)


def _means(rows: Rows) -> list[str]:
    """In the mean of all cells of a suite, over the baseline and over DPIR's schedule."""
    lines = [
        "| suite | method | over | cells | mean difference ± spread | worst cell | wins |",
        "|---|---|---|---|---|---|---|",
    ]
    for suite in dict.fromkeys(row["suite"] for row in rows):
        here = [row for row in rows if row["suite"] == suite]
        baseline = _baseline(here[0])
        for method in _methods(here):
            same = f"{PREFIX}{baseline}" if method.startswith(PREFIX) else f"{PREFIX}{method}"
            for other in (baseline, same):
                found = [_differences(_of(here, cell), method, other) for cell in _cells(here)]
                found = [values for values in found if len(values)]
                if other == method or not found:
                    continue
                together = np.concatenate(found)
                lines.append(
                    f"| {suite} | {method} | {other} | {len(found)} | {together.mean():+.2f} ± "
                    f"{_spread(together):.2f} | {min(values.mean() for values in found):+.2f} | "
                    f"{(together > 0).sum()} of {len(together)} |"
                )
    return ["### In the mean of the cells", "\n".join(lines)]


def _cells(rows: Rows) -> list[dict[str, str]]:
    """The different cells, grey before colour, in the order of the rows, noise rising."""
    found = {tuple(row[name] for name in CELL): None for row in rows}
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    ordered = sorted(found, key=lambda c: (c[0], c[3], problems.index(c[1]), float(c[2])))
    return [dict(zip(CELL, cell, strict=True)) for cell in ordered]


def _of(rows: Rows, cell: Mapping[str, str]) -> Rows:
    return [row for row in rows if all(row[name] == value for name, value in cell.items())]


def _methods(rows: Rows) -> list[str]:
    """In the order of the alphabet of their kinds: Euler first, schedules last."""
    names = dict.fromkeys(row["method"] for row in rows)
    return sorted(names, key=lambda name: (":" in name, not name.startswith("euler"), name))


def _baseline(cell: Mapping[str, str]) -> str:
    return CT_BASELINE if cell["suite"] == "ct" else BASELINES[cell["channels"]]


def _problem(cell: Mapping[str, str]) -> str:
    crop = f", {cell['crop']}² crops" if cell["crop"] else ""
    return f"{cell['suite']}: {cell['problem']}{crop}"


def _numbers(rows: Rows, name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows if row[name]])


def _quality(rows: Rows) -> str:
    psnr, ssim = _numbers(rows, "psnr"), _numbers(rows, "ssim")
    return f"{len(rows)} | {psnr.mean():.2f} / {ssim.mean():.3f}"


def _bar(bar: float | None, rows: Rows) -> str:
    if bar is None:
        return "–"
    mean = float(_numbers(rows, "psnr").mean())
    return f"{bar:g} ({'reached' if mean >= bar else f'{mean - bar:+.2f}'})"


def _differences(rows: Rows, method: str, other: str) -> np.ndarray:
    """PSNR of `method` less that of `other` on every picture that both have."""
    mine, theirs = (
        {
            row["picture"]: float(row["psnr"])
            for row in rows
            if row["method"] == name and row["psnr"]
        }
        for name in (method, other)
    )
    return np.array([mine[name] - theirs[name] for name in mine if name in theirs])


def _beside(rows: Rows, method: str, other: str) -> str:
    found = _differences(rows, method, other)
    if method == other or not len(found):
        return "– | –"
    wins = f"{(found > 0).sum()} of {len(found)}"
    return f"{found.mean():+.2f} ± {_spread(found):.2f} | {wins}"


def _spread(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _strength(rows: Rows) -> str:
    found = [float(row["strength"]) for row in rows if row["strength"]]
    if found:
        return f"{min(found):.2g} – {max(found):.2g}"
    return "–" if all(row["method"].startswith(PREFIX) for row in rows) else "tuned"


def _seconds(rows: Rows) -> str:
    return f"{np.median(_numbers(rows, 'seconds')):.2f}"
