"""Shipped unrolled networks at full size: slices of 256², the scan that they are trained for.

Rows are kept by the hash of the weights, so that those of earlier weights stay to compare with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pnp_recon import load_unrolled
from scripts.protocol import Rows
from scripts.studies.equivariance.ct_data import INCIDENT, TEST_SETS, TESTING, VIEWS, read, scans
from scripts.studies.equivariance.ct_runs import scores

SIDE = 256
MODELS = ("unrolled_ct", "equivariant_ct")


def run(data: Path, results: Path, models: list[str] | None = None) -> None:
    """Rows of models, by name or path, and the table.

    Args:
        data: the archive of slices.
        results: where rows and table go.
        models: default: those that are shipped.
    """
    rows = Rows(results / "equivariance_ct_models.jsonl")
    held = read(data, "val")
    everything = list(range(len(held.numbers)))
    for name in models or MODELS:
        model = load_unrolled(name)
        card = model.card
        key = {"model": model.name, "sha256": card["sha256"][:12]}
        if rows.has(**key):
            continue
        found = {}
        for test, change in TEST_SETS.items():
            A, pairs = scans(change(held), everything, SIDE, TESTING)
            found[test] = scores(model.network, A, pairs)
        rows.add(**key, group=card["network"]["group"], width=card["network"]["width"],
                 parameters=card["parameters"], steps=card["training"]["steps_done"],
                 began_with=card["began_with"]["model"], scores=found)  # fmt: skip
        print(key, {t: round(float(np.mean(s["psnr"])), 3) for t, s in found.items()}, flush=True)
    write(rows, results)


def write(rows: Rows, results: Path) -> None:
    text = table(rows)
    (results / "equivariance_ct_models.md").write_text(text, encoding="utf-8")
    print(text)


def table(rows: Rows) -> str:
    shipped = {load_unrolled(name).card["sha256"][:12] for name in MODELS}
    lines = [
        f"{SIDE}² slices, {VIEWS} views of a parallel beam, {INCIDENT:.0e} photons a ray, peak = "
        f"window of 2524 HU; 13 `val` slices; mean ± standard deviation over slices, in dB; "
        f"{rows.measured_in()}.",
        "",
        "| model | weights | group | width | parameters | val | SSIM | val turned | val rotated |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows.rows:
        cells = [spread(row, test) for test in TEST_SETS]
        now = " (shipped)" if row["sha256"] in shipped else " (earlier)"
        ssim = np.mean(row["scores"]["val"]["ssim"])
        lines.append(
            f"| {row['model']} | {row['sha256']}{now} | {row['group']} | {row['width']} | "
            f"{row['parameters']} | {cells[0]} | {ssim:.3f} | {cells[1]} | {cells[2]} |"
        )
    return "\n".join(lines) + "\n"


def spread(row: dict[str, Any], test: str) -> str:
    values = np.array(row["scores"][test]["psnr"])
    return f"{values.mean():.2f} ± {values.std():.2f}"
