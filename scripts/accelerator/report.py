"""Writes the page of a run of `check`: what was measured, and what was not reached.

    python -m scripts.accelerator.report [RECORD.json] [-o PAGE.md]

Every number on the page is one of the record. Knows nothing of how it was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path

from pnp_recon.files import atomic_write
from scripts.accelerator.record import MODES, Found, measured, section, small, table
from scripts.accelerator.report_device import (
    agreement,
    faults,
    mixtures,
    times,
    unreached,
    waiting,
)

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
RECORD = RESULTS / "accelerator" / "h100_check.json"
PAGE = RESULTS / "accelerator.md"
LINK = RECORD.relative_to(RESULTS).as_posix()


def head(record: Found, link: str) -> str:
    found = section(record, "environment")
    what, where, worth = "A dry run", "the CPU", "no measurement of a card"
    if "gpu" in found:
        what, where = "One run", found["gpu"]
        worth = "one run on one card: its times are no benchmark"
    versions = f"torch {found.get('torch', 'unknown')}, Python {found.get('python', 'unknown')}"
    if "cuda_version" in found:
        versions += f", CUDA {found['cuda_version']}, cuDNN {found['cudnn']}"
    return (
        "# On an accelerator\n\n"
        f"{what} of the checks on {where}: {versions}, the tree of commit "
        f"`{(record.get('commit') or 'unknown')[:7]}`, {record['total_s']:.0f} s in all. "
        "`python -m scripts.accelerator.check` measures, `python -m scripts.accelerator.report` "
        f"writes this page from [the record]({link}). It is {worth}."
    )


def exactness(record: Found) -> str:
    rows = measured(section(record, "denoisers").get("agreement", {}))
    if not rows:
        return ""
    largest = max((row["f32_vs_cpu_f32"]["max"], key) for key, row in rows.items())
    certified = max(r["f32_vs_cpu_f32"]["max"] for r in rows.values() if r["guarantee"] is not None)
    text = [
        "## How exactly",
        "Largest difference of a value of the denoised picture ([0, 1]) from float32 on the CPU, "
        "and of float64 from float64 there.",
        table(
            ["denoiser", *MODES.values(), "float64"],
            (
                [
                    key,
                    *(small(row.get(f"{mode}_vs_cpu_f32", {}).get("max")) for mode in MODES),
                    small(row.get("f64_vs_cpu_f64", {}).get("max")),
                ]
                for key, row in rows.items()
            ),
        ),
        f"In float32 the certified denoisers agree with the CPU to {certified:.1e}, and all to "
        f"{largest[0]:.1e} ({largest[1]}).",
    ]
    errors = section(record, "environment").get("conv_relative_error")
    if isinstance(errors, dict):
        on = record["torch_defaults"]["cudnn.allow_tf32"]
        text += [
            f"cuDNN's TF32 is {'on' if on else 'off'} unless a program says otherwise. Relative "
            "error of one convolution of 32 channels, of which float32 on the CPU has "
            f"{small(errors['conv cpu'])}:",
            table(
                ["memory format", "torch's default", "TF32 off", "TF32 on"],
                (
                    [name, *(small(errors[f"conv {name} {m}"]) for m in ("default", "f32", "tf32"))]
                    for name in ("contiguous", "channels_last")
                ),
            ),
            "The networks work in channels_last.",
        ]
    return "\n\n".join(text)


def certified_runs(record: Found) -> str:
    rows = measured(section(record, "reconstruct").get("user_defaults", {}))
    if not rows:
        return ""
    lines = []
    for key, row in rows.items():
        *kind, acceleration, mode = key.split()
        verdict = "contradicted" if row["contradicted"] else "holds"
        lines.append(
            [
                " ".join(kind),
                {"none": "plain", "auto": "Anderson"}[acceleration],
                MODES[mode],
                row["status"].replace("_", " ").lower(),
                row["iterations"],
                f"{row['wall_s']:.2f}",
                small(row["last_relative"]),
                f"{row['psnr'][0]:.2f}",
                verdict if row["proven"] else "none",
            ]
        )
    columns = ["operator", "PnP-HQS", "convolutions", "ended", "iterations", "s", "last residual"]
    text = [
        "## What TF32 does to a certified run",
        "`euler_colour` on 192×256, tolerance 1e-5, each run with a limit of time; PSNR in dB.",
        table([*columns, "PSNR", "certificate"], lines),
    ]
    broken = [(key, row) for key, row in rows.items() if row["contradicted"]]
    if broken:
        laws = "; ".join(f"{key}: {_worst(row):.3g}" for key, row in broken)
        text.append(
            "The certificate is about exact arithmetic. In TF32 the map is another one, and the "
            "law that Anderson's runs check, a ratio of at most 1, catches that the premise is "
            f"false ({laws}). The laws of the plain runs do not see it."
        )
    for key, row in rows.items():
        exact = rows.get(key.replace(" tf32", " f32"))
        if " none tf32" in key and exact and exact["status"] == "CONVERGED" != row["status"]:
            text.append(
                f"{key.partition(' none')[0]}, plain: in TF32 {row['iterations']} iterations in "
                f"{row['wall_s']:.1f} s do not reach the tolerance (last residual "
                f"{small(row['last_relative'])}), in float32 {exact['iterations']} do."
            )
    return "\n\n".join(text)


def _worst(row: Found) -> float:
    found = [re.search(r"BROKEN \(worst ([\d.e+-]+)", words) for words in row["observed"]]
    return max(float(match[1]) for match in found if match)


def attacks(record: Found) -> str:
    found = section(record, "attacks") or section(record, "denoisers")
    planned = found.get("attacks", {})
    rows = measured(planned)
    lines = []
    for key, row in rows.items():
        name, mode, scale, kind = key.split()
        limit = "none" if row["limit"] is None else f"{row['limit']:g}"
        attained = f"{row['attained']:.4g}"
        lines.append([name, kind, scale.removeprefix("scale="), MODES[mode], attained, limit])
    if not rows:
        return ""
    above = [key for key, row in rows.items() if row["limit"] and row["attained"] > row["limit"]]
    text = [
        "## Attacks",
        "Largest ‖f(x+d) − f(x)‖/‖d‖ that gradient ascent found, f the denoiser D or the R of "
        "D = (1 − α)I + αR. The first d has that standard deviation.",
        table(["denoiser", "f", "first d", "convolutions", "attained", "limit"], lines),
        f"{len(rows)} of {len(planned)} attacks were run.",
    ]
    if above:
        text.append(
            f"Above the limit: {', '.join(above)}. The search may shrink d. Likely d has become as "
            "small as the rounding of the computed map, and the ratio is one of roundings: no "
            "expansion of the exact map, but the computed one has no such constant."
        )
    return "\n\n".join(text)


PARTS = (
    exactness,
    certified_runs,
    attacks,
    agreement,
    waiting,
    times,
    mixtures,
    faults,
    unreached,
)


def page(record: Found, link: str = LINK) -> str:
    """The page of a record, in Markdown, with the link to where that lies."""
    texts = [head(record, link), *(part(record) for part in PARTS)]
    return "\n\n".join(text for text in texts if text) + "\n"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("record", type=Path, nargs="?", default=RECORD, help="A record of `check`.")
    parser.add_argument("-o", "--out", type=Path, default=PAGE, help="Write the page here.")
    given = parser.parse_args(argv)
    link = Path(os.path.relpath(given.record, given.out.parent)).as_posix()
    atomic_write(given.out, page(json.loads(given.record.read_text(encoding="utf-8")), link))
    return 0


if __name__ == "__main__":
    sys.exit(main())
