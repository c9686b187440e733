"""Writes docs/results/ct_totals.md: how far slices leave the mass of their scan, and what it costs.

    python -m scripts.tables.ct_totals --data ct_slices_256.npz

Slices of `train` that `euler_ct` was not trained on, scanned as in ct.md: 60 views, Gaussian noise
of 1 % of the sinogram's maximum. Each prior runs as `pnp-ct` runs it, with the strength that it
finds, and again at the same strength with `keep_total`.
"""

from __future__ import annotations

import argparse
import math
import statistics
from pathlib import Path
from typing import Any

import torch

from pnp_recon import reconstruct
from pnp_recon.pictures.metrics import psnr
from scripts.protocol import RESULTS, Rows
from scripts.tables.ct import NOISE, VIEWS, Slice, slices

COUNT = 8
# Which prior, and whether it takes `keep_total`.
PRIORS = {"tv": False, "euler_ct": True, "energy_grey": True}


def record(rows: Rows, scan: Slice, key: dict[str, Any], keeps: bool) -> None:
    """A run, and another one with the total kept; what is known already is not run again."""
    if not rows.has(**key, kept=False):
        _run(rows, scan, key, False, "auto")
    if keeps and not rows.has(**key, kept=True):
        found = next(row for row in rows.rows if key.items() <= row.items())
        _run(rows, scan, key, True, found["strength"])


def _run(rows: Rows, scan: Slice, key: dict[str, Any], kept: bool, strength: Any) -> None:
    start = scan.A.initial_guess(scan.y).clamp(0, 1)
    found = reconstruct(
        scan.y,
        scan.A,
        key["prior"],
        noise_level=scan.noise,
        start=start,
        strength=strength,
        keep_total=kept,
    )
    assert scan.u is not None
    total = float(scan.y.double().sum())
    off = float(scan.A.A(found.image.double()).sum()) - total
    row = {
        "strength": strength if found.strength is None else found.strength.value,
        "psnr": float(psnr(found.image.clamp(0, 1), scan.u)),
        "off": off / (scan.noise * math.sqrt(scan.y.numel())),
        "share": off / total,
        "certified": found.certificate.holds,
        "status": found.status.name,
    }
    rows.add(**key, kept=kept, **row)
    print(key, row, flush=True)


def table(rows: Rows) -> str:
    """Means over the slices, and what keeping the total gains."""
    lines = [
        "# The mass of a scan",
        "",
        f"How far reconstructions of {COUNT} CT slices of 256² are from Σ A x = Σ y, and what "
        f"`keep_total` gains: {VIEWS} views, Gaussian noise {NOISE:.0%} of the sinogram's maximum, "
        "priors at the strength that the command finds. Means over the slices; *off* is the mean "
        "of |Σ A x − Σ y| in standard deviations of the noise of Σ y, and as a part of it; *gain* "
        "is against the same prior without it, with its least and its largest. "
        f"Measured in: {rows.measured_in()}. From `python -m scripts.tables.ct_totals`.",
        "",
        "| prior | off, in noise | off, of the total | PSNR, dB | gain, dB | runs certified |",
        "|---|---|---|---|---|---|",
    ]
    for prior, keeps in PRIORS.items():
        free = _of(rows, prior, False)
        for kept in (False, True) if keeps else (False,):
            found = _of(rows, prior, kept)
            gains = [a["psnr"] - b["psnr"] for a, b in zip(found, free, strict=True)]
            least, most = min(gains), max(gains)
            gain = f"{statistics.mean(gains):+.3f} ({least:+.3f} to {most:+.3f})" if kept else ""
            lines.append(
                f"| {prior}{', keep_total' if kept else ''} | {_mean(found, 'off'):.2g} | "
                f"{_mean(found, 'share'):.1e} | {_mean(found, 'psnr'):.3f} | {gain} | "
                f"{sum(row['certified'] for row in found)}/{len(found)} |"
            )
    return "\n".join(lines) + "\n"


def _of(rows: Rows, prior: str, kept: bool) -> list[dict[str, Any]]:
    return [row for row in rows.rows if (row["prior"], row["kept"]) == (prior, kept)]


def _mean(found: list[dict[str, Any]], field: str) -> float:
    return statistics.mean(abs(row[field]) for row in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = Rows(options.results / "ct_totals.jsonl")
    for index, values in slices(options.data, "train")[:COUNT]:
        scan = Slice(values, index)
        for prior, keeps in PRIORS.items():
            record(rows, scan, {"slice": index, "prior": prior}, keeps)
    text = table(rows)
    (options.results / "ct_totals.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
