"""The page of the table: means, and what they are worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from scripts.protocol import Rows, read_rows

# Rows of scripts/tables/ct.py for the same slices and the same noise.
SAMPLES = "patch_flow_samples.csv"
FROM_CT = {"FBP": "FBP", "TV": "TV", "pnp-hqs (euler_ct)": "euler_ct"}


def page(rows: Rows, results: Path) -> str:
    lines = [
        "# Patch flow and critic, as energies",
        "",
        "`descent` on ½‖Ax − y‖² + λR with a patch flow (after Altekrüger et al. 2023, with the "
        "noise level as an input) and with a certified critic (after Lunz et al. 2018), each "
        "trained on six pictures, in some minutes of one core. Strengths are tuned on "
        "other pictures for every method. Few and small pictures: a difference of 0.2 dB means "
        f"little. Measured in: {rows.measured_in()}. From `python -m scripts.studies.patch_flow`.",
        "",
        "| problem | noise | method | parameters, trained on | theorem | pictures | PSNR / SSIM | "
        "above TV | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    every = [*rows.rows, *_from_ct(rows, results)]
    for problem, noise in dict.fromkeys((row["problem"], row["noise"]) for row in every):
        here = [row for row in every if (row["problem"], row["noise"]) == (problem, noise)]
        for method in sorted({row["method"] for row in here}, key=ORDER.index):
            lines.append(_line(problem, noise, method, here))
    return "\n".join([*lines, "", *NOTES, *_of_samples(results)]) + "\n"


ORDER = ("FBP", "TV", "euler_ct", "euler_grey", "energy_grey", "critic", "patch flow")
TRAINED = {
    "FBP": "–",
    "TV": "–",
    "euler_grey": "74 k, 232 photographs",
    "euler_ct": "297 k, 124 slices",
    "energy_grey": "1155 k, 220 photographs",
    "critic": "19 k, six",
    "patch flow": "97 k, six",
}
NOTES = (
    "- What is proven: convergence of every descent to a critical point of its energy, checked "
    "step by step (Attouch, Bolte & Svaiter 2013). Of the patch flow's gradient there is no "
    "Lipschitz constant on the whole space; of the critic's there is one, stated on its card.",
    "- The critic is well below total variation: what tells bad pictures from good ones best is "
    "not what restores them best. On CT it was not measured. It is here as a demonstration.",
    "- Nothing is proven of how near a critical point is to the truth, nor that the flow is the "
    "density of patches.",
    "- Seconds are by the clock of one thread on a machine with other work; compare orders only.",
    "- The flows are the shipped `patch_flow_grey` and `patch_flow_ct`.",
)


def _line(problem: str, noise: float, method: str, rows: list[dict[str, Any]]) -> str:
    found = {row["picture"]: row for row in rows if row["method"] == method}
    tv = {row["picture"]: row["psnr"] for row in rows if row["method"] == "TV"}
    gains = np.array([row["psnr"] - tv[name] for name, row in found.items() if name in tv])
    gain = "–" if method == "TV" or not len(gains) else f"{gains.mean():+.2f}"
    if len(gains) > 1 and gain != "–":
        gain += f" ± {gains.std(ddof=1):.2f}"
    values = list(found.values())
    mean = {key: np.mean([row[key] for row in values]) for key in ("psnr", "ssim", "seconds")}
    theorem = values[0].get("theorem") or "–"
    return (
        f"| {problem} | {noise:g} | {method} | {TRAINED[method]} | {theorem} | {len(values)} | "
        f"{mean['psnr']:.2f} / {mean['ssim']:.3f} | {gain} | {mean['seconds']:.0f} |"
    )


def _of_samples(results: Path) -> list[str]:
    """What `samples` found, once it was run."""
    return [
        f"- Samples with half of the pixels missing: the critical point has {row['descent']} dB, "
        f"their mean {row['mean']}, one of them {row['sample']}; of the errors of the mean a share "
        f"of {row['within two']} lies within two standard deviations, and over the missing pixels "
        f"their correlation with it is {row['correlation']} ({row['environment']})."
        for row in read_rows(results / SAMPLES)
    ]


def _from_ct(rows: Rows, results: Path) -> list[dict[str, Any]]:
    """Of the slices that are in the table."""
    path = results / "ct.jsonl"
    if not path.exists():
        return []
    slices = {row["picture"] for row in rows.rows if row["problem"] == "CT"}
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if str(row["slice"]) in slices and row["method"] in FROM_CT:
            held = {"problem": "CT", "noise": 1.0, "picture": str(row["slice"])}
            theorem = "averaged map" if row["method"].startswith("pnp") else None
            kept = {key: row[key] for key in ("psnr", "ssim", "seconds")}
            found.append({**held, **kept, "method": FROM_CT[row["method"]], "theorem": theorem})
    return found
