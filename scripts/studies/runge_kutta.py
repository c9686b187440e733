"""Runge–Kutta denoisers beside the Euler one, at the same number of evaluations or parameters.

    python -m scripts.studies.runge_kutta run --data BSDS500 --models runs/*_grey/*_grey.json
    python -m scripts.studies.runge_kutta report

Models are cards or names of shipped ones; `euler_grey` is always among them. Each is trained by

    pnp-train denoiser --data BSDS500 --grey --width 32 --hidden 32 --activation ball4 \
        --optimiser muon --lr 0.01 --steps 6000 --integrator improved_euler --blocks 4

with its own integrator and blocks, which is the recipe of `euler_grey`. Rows that are there are
not made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import cast

from pnp_recon import load_denoiser
from pnp_recon.datasets.splits import bsd68
from pnp_recon.networks.euler import EulerNet
from pnp_recon.priors.denoiser import Denoiser
from scripts.protocol import LEVELS, RESULTS, Rows, crop, processor_seconds
from scripts.studies.equivariance.denoisers import (
    DENOISING,
    deblur,
    deblurred_pictures,
    denoise,
)

REFERENCE = "euler_grey"


def facts(rows: Rows, name: str, model: Denoiser, picture: Path) -> None:
    """What the card proves, flow times, and processor seconds for one whole picture."""
    if rows.has(task="facts", model=name):
        return
    network, x = cast(EulerNet, model.function), crop(picture, None, True)
    tableau = network.flow_blocks()[0].integrator.tableau
    rows.add(
        task="facts",
        model=name,
        sha256=model.card["sha256"],
        method=tableau.name,
        blocks=len(network.blocks),
        evaluations=tableau.stages * len(network.blocks),
        parameters=int(model.card["parameters"]),
        alpha=model.guarantee.averagedness,
        # ‖W‖ ≤ 1 in a block, so that L = 1 and h ≤ 2r is the proven range.
        proven_time=2 * tableau.radius / tableau.stages,
        flow_time=sum(
            2 * tableau.radius * float(block.relative_step) for block in network.flow_blocks()
        ),
        seconds=processor_seconds(lambda: model(x, 15 / 255)),
    )


def table(rows: Rows) -> str:
    denoised = [r for r in rows.rows if r["task"] == "denoise"]
    pictures = {task: len({r["picture"] for r in rows.rows if r["task"] == task})
                for task in ("denoise", "deblur")}  # fmt: skip
    lines = [
        "Runge–Kutta denoisers, trained as `euler_grey` (6000 steps, width 32) and measured by the "
        "same code. Evaluations: of a field ‖W‖ ≤ 1, each a convolution and its transpose; proven "
        "time: the flow time 2r/stages that one evaluation may cover within the circle of "
        "contractivity (r its radius); flow time: Σh of the trained steps. Denoising of BSD68 "
        f"({pictures['denoise']} whole grey pictures); deblurring of {pictures['deblur']} BSDS500 "
        "test pictures at the certified fixed point (256² crops, motion 15 px at 30°, circular, "
        "pnp-hqs to 1e-5); mean PSNR in dB; processor seconds for one picture of 481×321, median "
        f"of seven. {rows.measured_in()}.",
        "",
        "| model | method × blocks | evaluations | parameters | proven time | flow time | "
        f"certified α | denoising σ·255 = {' / '.join(f'{level:g}' for level in DENOISING)} | "
        f"deblurring σ·255 = {' / '.join(map(str, LEVELS))} | certified runs | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    measured = {row["model"] for row in denoised}
    for row in (r for r in rows.rows if r["task"] == "facts" and r["model"] in measured):
        name = row["model"]
        runs = [r for r in rows.rows if r["task"] == "deblur" and r["model"] == name]

        def mean(task: str, levels: tuple[float, ...], name: str = name) -> str:
            values = [rows.mean("psnr", task=task, model=name, noise=n) for n in levels]
            return " / ".join(f"{value:.2f}" for value in values)

        lines.append(
            f"| {name} ({row['sha256'][:8]}) | {row['method']} × {row['blocks']} | "
            f"{row['evaluations']} | {row['parameters']} | {row['proven_time']:.3g} | "
            f"{row['flow_time']:.1f} | {row['alpha']:.5f} | {mean('denoise', DENOISING)} | "
            f"{mean('deblur', LEVELS)} | {sum(bool(r['certified']) for r in runs)} of {len(runs)} "
            f"| {row['seconds']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("task", choices=("run", "report"))
    parser.add_argument("--data", type=Path, help="BSDS500; not for report")
    parser.add_argument("--models", nargs="*", default=[], help="cards or names")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true", help="one picture, to see that it runs")
    options = parser.parse_args(arguments)
    rows = Rows(options.results / "runge_kutta.jsonl")
    if options.task == "run":
        if options.data is None:
            raise SystemExit("run needs --data, the folder of BSDS500")
        count = 1 if options.quick else None
        test, blurred = bsd68(options.data)[:count], deblurred_pictures(options.data)[:count]
        for source in dict.fromkeys((REFERENCE, *options.models)):
            model = load_denoiser(source)
            name = str(model.card["name"])
            facts(rows, name, model, test[0])
            denoise(rows, name, model, test)
            deblur(rows, name, model, blurred, turn=False)
    text = table(rows)
    (options.results / "runge_kutta.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
