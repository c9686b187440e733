"""Reconstruction of CT slices: filtered back-projection, tuned TV, certified plug-and-play.

Parallel beam, 60 views of 180°, Gaussian noise of 1 % of the sinogram's maximum, 256² slices. The
window [-1024, 1500] HU is the peak of PSNR and the range of SSIM for every method. Parameters are
searched on the twelve slices of the `train` split that `euler_ct` was not trained on; the table is
of the `val` split (other patients). Rows go to JSON Lines files, a run that was stopped goes on.

    python -m scripts.tables.ct tune  --data ct_slices_256.npz
    python -m scripts.tables.ct table --data ct_slices_256.npz
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from operators import attenuation, parallel_beam
from pnp_recon import load_denoiser, reconstruct
from pnp_recon.datasets.splits import held_out
from pnp_recon.pictures.metrics import psnr, ssim
from pnp_recon.problems.noise import table_scan_noise
from pnp_recon.problems.simulate import in_window, tomography
from pnp_recon.proximal import TotalVariation
from pnp_recon.scans import hounsfield_window
from pnp_recon.solvers import Stopping
from scripts.protocol import Rows

VIEWS, NOISE = 60, 0.01
TUNED_ON = 12
METHODS = ("FBP", "TV", "pnp-hqs (euler_grey)", "pnp-hqs (euler_ct)")
GRIDS: dict[str, list[dict[str, float]]] = {
    "FBP": [{"cutoff": c} for c in (0.45, 0.55, 0.65, 0.75, 0.85, 1.0)],
    # Of the automatic weight, level and coupling.
    "TV": [{"factor": f} for f in (0.5, 0.7, 1.0, 1.4)],
    "pnp-hqs (euler_grey)": [{"level": a, "c": c} for a in (7, 10) for c in (5.5, 8.0, 12.0)],
    "pnp-hqs (euler_ct)": [{"level": a, "c": c} for a in (5, 7, 10) for c in (5.5, 8.0, 12.0)],
}


class Slice:
    """One simulated scan in the window: truth u, measurements y, noise level, operator."""

    def __init__(self, hounsfield: np.ndarray, index: int) -> None:
        values = np.clip(hounsfield.astype(np.float32) - 1024, -1024, 1500)
        window = hounsfield_window()
        x = attenuation(torch.from_numpy(values))[None, None]
        scan = tomography(x, parallel_beam(VIEWS, x.shape[-1]), NOISE, table_scan_noise(index))
        seen = in_window(scan, window)
        self.A, self.measured, self.window = scan.A, scan.y, window
        self.y, self.u, self.noise = seen.y, seen.truth, seen.noise()

    def run(
        self, method: str, point: dict[str, float], tol: float
    ) -> tuple[Tensor, dict[str, Any]]:
        if method == "FBP":
            return self.window.to_unit(self.A.fbp(self.measured, "hann", point["cutoff"])), {}
        stopping = Stopping(tol=tol, max_iter=1000)
        start = self.A.initial_guess(self.y).clamp(0, 1)
        if method == "TV":
            from pnp_recon.solvers.tuning import total_variation_weight

            weight = point["factor"] * total_variation_weight(self.noise, self.A.norm_bound)
            prior = TotalVariation(weight, box=(0, 1))
            solution = reconstruct(self.y, self.A, prior, stopping=stopping, start=start)
            return solution.image, {"iterations": solution.iterations}
        denoiser = load_denoiser(method.partition("(")[2].rstrip(")"))
        level = point["level"] / 255
        solution = reconstruct(
            self.y,
            self.A,
            denoiser,
            noise_level=self.noise,
            denoiser_level=level,
            gamma=point["c"] * (level / self.noise) ** 2,
            acceleration="anderson",
            stopping=stopping,
            start=start,
        )
        held = solution.certificate
        assert not held.contradicted, held.verdict
        return solution.image, {
            "iterations": solution.iterations,
            "status": solution.status.name,
            "certified": held.holds,
            "sha256": denoiser.card["sha256"][:12],
        }


def slices(data: Path, split: str) -> list[tuple[int, np.ndarray]]:
    with np.load(data) as archive:
        chosen = np.flatnonzero(archive["split"] == split)
        if split == "train":
            chosen = chosen[held_out(len(chosen), TUNED_ON)]
        return [(int(i), archive["img"][i]) for i in chosen]


def record(
    rows: Rows, scan: Slice, key: dict[str, Any], point: dict[str, float], tol: float
) -> None:
    if rows.has(**key, **point):
        return
    begin = time.perf_counter()
    image, extra = scan.run(key["method"], point, tol)
    seconds = time.perf_counter() - begin
    image = image.clamp(0, 1)
    scores = {"psnr": float(psnr(image, scan.u)), "ssim": float(ssim(image, scan.u))}
    rows.add(**key, **point, **scores, seconds=seconds, **extra)
    print(key, point, {k: round(v, 3) for k, v in scores.items()}, f"{seconds:.1f} s", flush=True)


def best(rows: Rows, method: str) -> dict[str, float]:
    """The point of the grid with the highest mean PSNR on the tuning slices."""
    return max(GRIDS[method], key=lambda point: rows.mean("psnr", method=method, **point))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", choices=("tune", "table"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--every", type=int, default=1, help="of the tuning slices: every so many")
    parser.add_argument("--results", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    tuning = Rows(options.results / "ct_tuning.jsonl")
    rows = Rows(options.results / "ct.jsonl")
    methods = options.methods.split(",")
    if options.task == "tune":
        for index, values in slices(options.data, "train")[:: options.every]:
            scan = Slice(values, index)
            for method in methods:
                for point in GRIDS[method]:
                    # TV far from its minimum is another method: the start shows through.
                    tol = 1e-5 if method == "TV" else 1e-3
                    record(tuning, scan, {"slice": index, "method": method}, point, tol)
        for method in methods:
            print(
                method,
                best(tuning, method),
                tuning.mean("psnr", method=method, **best(tuning, method)),
            )
        return
    for index, values in slices(options.data, "val"):
        scan = Slice(values, index)
        for method in methods:
            record(rows, scan, {"slice": index, "method": method}, best(tuning, method), 1e-5)
    text = table(rows, tuning)
    (options.results / "ct.md").write_text(text, encoding="utf-8")
    print(text)


def table(rows: Rows, tuning: Rows) -> str:
    """Means over the slices, with the standard deviation of the PSNR and of its gain over TV."""
    values = {
        m: np.array([row["psnr"] for row in rows.rows if row["method"] == m]) for m in METHODS
    }
    count = len(values["FBP"])
    lines = [
        f"{count} val slices, {VIEWS} views, Gaussian noise {NOISE:.0%} of the sinogram's maximum, "
        f"peak = window of 2524 HU; mean ± standard deviation over slices; {rows.measured_in()}.",
        "",
        "| method | parameters | PSNR (dB) | SSIM | above FBP | above TV | iterations to 1e-5 |",
        "|---|---|---|---|---|---|---|",
    ]
    for method, found in values.items():
        point = ", ".join(f"{k} {v:g}" for k, v in best(tuning, method).items())
        gains = []
        for other in ("FBP", "TV"):
            gain = found - values[other]
            gains.append(
                "" if method in ("FBP", other) else f"{gain.mean():+.2f} ± {gain.std():.2f}"
            )
        steps = rows.mean("iterations", method=method) if method != "FBP" else float("nan")
        lines.append(
            f"| {method} | {point} | {found.mean():.2f} ± {found.std():.2f} | "
            f"{rows.mean('ssim', method=method):.3f} | {gains[0]} | {gains[1]} | "
            f"{'' if method == 'FBP' else f'{steps:.0f}'} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
