"""PSNR and SSIM of the shipped denoisers on BSD68/CBSD68 and BSDS500 test.

White Gaussian noise on unclipped float pictures, one seed for each (picture, level), whole
pictures, no crop. Rows go to a JSON Lines file; a run that was stopped goes on.

    python scripts/denoising_table.py --data BSDS500 [--sets bsd68,test] [--limit N]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from protocol import Rows, crop, environment

from pnp_recon import load_denoiser
from pnp_recon.datasets import bsd68, noisy, test_pictures
from pnp_recon.metrics import psnr, psnr_clean_peak, ssim

LEVELS = (5.0, 15.0, 25.0, 38.25)
SETS = {"bsd68": bsd68, "test": test_pictures}
MODELS = ("euler_grey", "euler_colour")


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default="bsd68,test")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--limit", type=int, default=None, help="every k-th picture to keep N")
    parser.add_argument("--output", type=Path, default=Path("docs/results/denoising.jsonl"))
    options = parser.parse_args()
    rows = Rows(options.output)
    for name in options.models.split(","):
        denoiser = load_denoiser(name)
        digest = denoiser.card["sha256"]
        for part in options.sets.split(","):
            paths = SETS[part](options.data)
            paths = paths if options.limit is None else paths[:: len(paths) // options.limit]
            for index, path in enumerate(paths):
                x = crop(path, None, denoiser.channels == 1)
                for level in LEVELS:
                    key = {"model": name, "set": part, "picture": path.name, "noise": level}
                    if rows.has(**key, sha256=digest):
                        continue
                    image = denoiser(noisy(x, level / 255, index), level / 255)
                    rows.add(
                        **key,
                        sha256=digest,
                        psnr=float(psnr(image, x)),
                        psnr_clean_peak=float(psnr_clean_peak(image, x)),
                        ssim=float(ssim(image, x)),
                    )
            print(summary(rows, name, part, digest), flush=True)
    lines = [f"Mean PSNR in dB / SSIM; {environment()}.", ""]
    head = " | ".join(f"σ·255 = {level:g}" for level in LEVELS)
    lines += [
        f"| model | α certified | pictures | {head} |",
        "|---|---|---|" + "---|" * len(LEVELS),
    ]
    for name in options.models.split(","):
        denoiser = load_denoiser(name)
        for part in options.sets.split(","):
            lines.append(summary(rows, name, part, denoiser.card["sha256"]))
    options.output.with_suffix(".md").write_text("\n".join(lines) + "\n")


def summary(rows: Rows, model: str, part: str, digest: str) -> str:
    """One line of the table."""
    key = {"model": model, "set": part, "sha256": digest}
    count = sum(all(row.get(k) == v for k, v in key.items()) for row in rows.rows) // len(LEVELS)
    label = {"bsd68": "BSD68" if "grey" in model else "CBSD68", "test": "BSDS500 test"}[part]
    alpha = load_denoiser(model).guarantee.averagedness
    cells = [
        f"{rows.mean('psnr', noise=level, **key):.2f} / {rows.mean('ssim', noise=level, **key):.3f}"
        for level in LEVELS
    ]
    return (
        f"| {model} ({digest[:8]}) | {alpha:.5f} | {label}, {count} | " + " | ".join(cells) + " |"
    )


if __name__ == "__main__":
    main()
