"""Undersampled k-space: zero-filled, total variation, wavelets, and certified priors, by `pnp-mri`.

No scan of a scanner is in it. A numerical head, slices of computed tomography (val, other patients
than those that anything was tuned on) and a photograph of BSDS500 test stand in for it, 128²
pixels, as the modulus; a smooth phase, coil maps and noise of 1 % of white are simulated. A run
that was stopped goes on.

    python -m scripts.tables.mri --ct ct_slices_256.npz --data BSDS500
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pnp_recon.cli.mri import main as pnp_mri
from pnp_recon.kspace import head
from pnp_recon.pictures.files import write_picture
from pnp_recon.scans import HOUNSFIELD_WINDOW
from pnp_recon.scans.window import Window
from scripts.protocol import Rows, crop

SIDE, SIGMA, FACTORS = 128, 0.01, (4, 8)
METHODS: dict[str, list[str]] = {
    "zero-filled": ["--method", "zero-filled"],
    "TV": ["--method", "tv"],
    "wavelets": ["--denoiser", "wavelet"],
    "`euler_grey`": ["--denoiser", "euler_grey"],
    "`energy_grey`": [],
}
CT_SLICES, PHOTOS = 2, 1
HEAD = f"""Stand-ins for magnetic resonance, named as such: a numerical head, CT slices of val, a
photograph of BSDS500 test, {SIDE}² pixels, as the modulus of a complex picture with a
smooth phase. Random lines of k-space with the centre, complex noise of 1 % of white in
each part. Coil maps are those of the simulation; the phase is estimated from the
centre. PSNR in dB / SSIM of the modulus, by `pnp-mri` with its defaults: strengths are
found from each picture; the levels of the priors were found on other slices and on val
without BSD68. Certified: every run of the column converged under its theorem; total
variation by a saddle point, wavelets and `euler_grey` by averaged maps, `energy_grey`
by a critical point that depends on the start, which is the picture of total variation."""


def pictures(ct: Path, data: Path) -> Iterator[tuple[str, Tensor]]:
    """Kind and number, and the modulus (1, 1, 128, 128)."""
    yield "numerical head", head(SIDE)
    with np.load(ct) as archive:
        chosen = np.flatnonzero(archive["split"] == "val")
        for index in chosen[:: len(chosen) // CT_SLICES][:CT_SLICES]:
            values = archive["img"][index].astype(np.float32) - 1024
            unit = Window(*HOUNSFIELD_WINDOW).to_unit(torch.from_numpy(values)).clamp(0, 1)
            yield f"CT {index}", functional.avg_pool2d(unit[None, None], 2)
    for path in sorted((data / "test").glob("*.jpg"))[:: 200 // PHOTOS][:PHOTOS]:
        yield f"photo {path.stem}", crop(path, SIDE, True)


def measured(modulus: Tensor, method: str, factor: int, coils: int) -> dict[str, Any]:
    """One run of the command."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_picture(folder / "x.png", modulus)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            pnp_mri([
                str(folder / "x.png"), "--simulate", "--undersampling", str(factor),
                "--coils", str(coils), "--sigma", str(SIGMA), "--json", "--device", "cpu",
                *METHODS[method],
            ])  # fmt: skip
    found = json.loads(said.getvalue())
    after, strength = found["metrics"]["after"], found["strength"]
    return {
        "psnr": round(after["psnr"], 3),
        "ssim": round(after["ssim"], 4),
        "certified": found["certificate"]["holds"] and found["status"] == "converged",
        "status": found["status"],
        "strength": None if strength is None else strength["value"],
        "iterations": found["iterations"],
        "seconds": round(found["seconds"], 1),
    }


def table(rows: Rows) -> str:
    """Every picture by itself, as Markdown."""
    lines = [
        "| picture | coils | undersampling | " + " | ".join(METHODS) + " |",
        "|---|---:|---:|" + "---|" * len(METHODS),
    ]
    keys = dict.fromkeys((row["picture"], row["coils"], row["factor"]) for row in rows.rows)
    for picture, coils, factor in keys:
        cells = []
        for method in METHODS:
            some = [
                row
                for row in rows.rows
                if (row["picture"], row["coils"], row["factor"], row["method"])
                == (picture, coils, factor, method)
            ]
            cells.append(f"{some[0]['psnr']:.2f} / {some[0]['ssim']:.3f}" if some else "")
        lines.append(f"| {picture} | {coils} | {factor} | " + " | ".join(cells) + " |")
    held = []
    for method in METHODS:
        runs = [row for row in rows.rows if row["method"] == method]
        sure = sum(row["certified"] for row in runs)
        held.append("a formula" if method == "zero-filled" else f"{sure} of {len(runs)}")
    lines.append("| certified | | | " + " | ".join(held) + " |")
    seconds = [f"{np.median([r['seconds'] for r in rows.rows if r['method'] == m]):.0f}"
               for m in METHODS]  # fmt: skip
    lines.append("| seconds, median | | | " + " | ".join(seconds) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ct", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    rows = Rows(options.results / "mri.jsonl")
    for name, modulus in pictures(options.ct, options.data):
        for coils in (1, 4) if name == "numerical head" else (1,):
            for factor in FACTORS:
                for method in METHODS:
                    key = {"picture": name, "coils": coils, "factor": factor, "method": method}
                    if not rows.has(**key):
                        rows.add(**key, **measured(modulus, method, factor, coils))
                        print(rows.rows[-1], flush=True)
    text = f"{HEAD}\n\n{rows.measured_in()}.\n\n{table(rows)}\n"
    (options.results / "mri.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
