"""What is measured of a network of the study: what is proven, PSNR on BSD68, seconds."""

from __future__ import annotations

import copy
import statistics
from pathlib import Path
from typing import Any, cast

import torch

from pnp_recon import load_denoiser
from pnp_recon.networks.euler import EulerNet
from pnp_recon.pictures.metrics import psnr
from pnp_recon.problems.noise import noisy
from scripts.protocol import Rows, crop, processor_seconds

DENOISING = (5.0, 15.0, 25.0)


def trained(name: str) -> EulerNet:
    return cast(EulerNet, load_denoiser(name).function)


@torch.inference_mode()
def measure(
    rows: Rows, name: str, network: EulerNet, test: list[Path], *, stage: str, **facts: Any
) -> None:
    """Adds the row of a network, whose norms are set to what is proven first."""
    if rows.has(name=name):
        return
    picture = crop(test[0], None, True)
    network = copy.deepcopy(network).float().eval()
    for block in network.flow_blocks():
        block.settle(20)
    network.certify()
    scores: dict[float, list[float]] = {level: [] for level in DENOISING}
    for index, path in enumerate(test):
        x = crop(path, None, True)
        for level in DENOISING:
            y = noisy(x, level / 255, index)
            scores[level].append(float(psnr(network(y, level / 255), x)))
    rows.add(
        name=name,
        stage=stage,
        blocks=len(network.blocks),
        parameters=sum(p.numel() for p in network.parameters()),
        steps=[float(block.relative_step) for block in network.flow_blocks()],
        alpha=network.check().averagedness,
        psnr={f"{level:g}": statistics.mean(found) for level, found in scores.items()},
        pictures=len(test),
        seconds=processor_seconds(lambda: network(picture, 15 / 255)),
        **facts,
    )


def table(rows: Rows) -> str:
    count = rows.rows[0]["pictures"]
    lines = [
        f"Denoising of BSD68 ({count} pictures, grey, whole), mean PSNR in dB at σ·255 = 5 / 15 / "
        "25; kept: numbers of the blocks of euler_grey that are left; seconds: processor time for "
        "one picture of 481×321, median of seven. Stage `simplex`: Σ of the relative steps is T; "
        "`freed`: what is left, trained on with free steps; `first blocks`: the same depth, the "
        "first blocks, as many steps; `from nothing`: the recipe of euler_grey. "
        f"{rows.measured_in()}.",
        "",
        "| network | stage | T | blocks kept | Σ of steps | certified α | dB at 5 / 15 / 25 | "
        "seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows.rows:
        kept = " ".join(str(index) for index in row.get("kept", range(row["blocks"])))
        chosen = "" if row["stage"] == "from nothing" else f" ({kept})"
        scores = " / ".join(f"{row['psnr'][f'{level:g}']:.2f}" for level in DENOISING)
        total = f"{row['total']:g}" if "total" in row else "–"
        lines.append(
            f"| {row['name']} | {row['stage']} | {total} | {row['blocks']}{chosen} | "
            f"{sum(row['steps']):.2f} | {row['alpha']:.5f} | {scores} | {row['seconds']:.3f} |"
        )
    return "\n".join(lines) + "\n"
