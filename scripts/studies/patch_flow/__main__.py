"""Patch flow and critic beside other priors, on few crops and slices; rows go on where they ended.

python -m scripts.studies.patch_flow train --photographs BSDS500 --slices SLICES --models FOLDER
python -m scripts.studies.patch_flow tune      with the same options
python -m scripts.studies.patch_flow table     with the same options
python -m scripts.studies.patch_flow samples   with the same options
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from pnp_recon.models.load import load
from pnp_recon.pictures.metrics import psnr, ssim
from scripts.protocol import IMAGES, RESULTS, Rows, environment, write_rows
from scripts.studies.patch_flow.problems import Case, ct_cases, deblurring_cases
from scripts.studies.patch_flow.report import SAMPLES, page
from scripts.studies.patch_flow.samples import draw_samples
from scripts.studies.patch_flow.train import train_all

# Multiples of what a solver chooses by itself, or of TV's automatic weight.
STRENGTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
GRIDS = {"TV": STRENGTHS, "critic": (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)}
PRIORS = {
    "deblurring": {
        "TV": "tv",
        "euler_grey": "euler_grey",
        "energy_grey": "energy_grey",
        "patch flow": "patch_flow_grey",
        "critic": "critic_grey",
    },
    "CT": {"energy_grey": "energy_grey", "patch flow": "patch_flow_ct", "critic": "critic_ct"},
}


def prior_of(problem: str, method: str, models: Path) -> Any:
    if method == "TV":
        return None
    name = PRIORS[problem][method]
    apart = models / f"{name}.json"
    return load(str(apart) if apart.is_file() else name)


def record(rows: Rows, case: Case, method: str, strength: float, models: Path) -> None:
    key = {**case.key, "method": method, "strength": strength}
    if rows.has(**key):
        return
    prior, began = prior_of(case.problem, method, models), time.perf_counter()
    solution = case.solve(prior, strength)
    seconds = time.perf_counter() - began
    image = solution.image.clamp(0, 1)
    held = solution.certificate
    assert not held.contradicted, held.verdict
    rows.add(
        **key,
        psnr=float(psnr(image, case.truth)),
        ssim=float(ssim(image, case.truth)),
        seconds=seconds,
        status=solution.status.name,
        certified=held.holds,
        theorem=solution.certificate.theorem.kind,
        sha256=(getattr(prior, "card", None) or {}).get("sha256", "")[:12],
    )
    print(rows.rows[-1], flush=True)


def best(rows: Rows, problem: str, noise: float, method: str) -> float:
    """The strength of the highest mean PSNR on the pictures that are tuned on."""
    tried = {
        row["strength"]
        for row in rows.rows
        if (row["problem"], row["noise"], row["method"]) == (problem, noise, method)
    }
    return max(
        tried,
        key=lambda s: rows.mean("psnr", problem=problem, noise=noise, method=method, strength=s),
        default=1.0,
    )


def climb(rows: Rows, cases: list[Case], method: str, models: Path) -> None:
    """From 1 along the grid for as long as the mean rises: each run takes long."""
    grid = GRIDS.get(method, STRENGTHS)

    def mean(k: int) -> float:
        for case in cases:
            record(rows, case, method, grid[k], models)
        first = cases[0]
        return rows.mean(
            "psnr", problem=first.problem, noise=first.noise, method=method, strength=grid[k]
        )

    at = grid.index(1.0)
    for step in (1, -1):
        k, height = at, mean(at)
        while 0 <= k + step < len(grid) and (higher := mean(k + step)) > height:
            k, height = k + step, higher
        if k != at:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", choices=("train", "tune", "table", "samples", "report"))
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--slices", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--methods", default="TV,euler_grey,energy_grey,patch flow,critic")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--images", type=Path, default=IMAGES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tuning = Rows(options.results / "patch_flow_tuning.jsonl")
    rows = Rows(options.results / "patch_flow.jsonl")
    methods, tuned = options.methods.split(","), options.task == "tune"
    if options.task == "train":
        train_all(options.photographs, options.slices, options.models, options.models / "runs")
        return
    if options.task == "samples":
        picture = options.images / "patch_flow_samples.png"
        found = draw_samples(options.photographs, options.models, picture)
        numbers = {name: f"{value:.3g}" for name, value in found.items()}
        write_rows(options.results / SAMPLES, [{**numbers, "environment": environment()}])
    groups: list[list[Case]] = []
    if options.task in ("tune", "table"):
        if options.photographs:
            groups += deblurring_cases(options.photographs, tuned)
        if options.slices:
            groups += ct_cases(options.slices, tuned)
    for cases in groups:
        for method in methods:
            if method not in PRIORS[cases[0].problem]:
                continue
            if tuned:
                climb(tuning, cases, method, options.models)
                continue
            for case in cases:
                strength = best(tuning, case.problem, case.noise, method)
                record(rows, case, method, strength, options.models)
    (options.results / "patch_flow.md").write_text(page(rows, options.results), encoding="utf-8")


if __name__ == "__main__":
    main()
