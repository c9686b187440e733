"""The equivariant grey denoiser beside the plain one: both averaged, certified by the same bound.

Denoising of BSD68 (whole pictures), and deblurring at the certified fixed point (256² crops of ten
BSDS500 test pictures, circular motion blur of 15 px at 30°), upright and turned by 90° together
with their kernel, where an equivariant denoiser gives the turned picture.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from operators import Convolution, kernels
from pnp_recon import load_denoiser, reconstruct
from pnp_recon.datasets.splits import bsd68, test_pictures
from pnp_recon.networks.equivariant import check_equivariance
from pnp_recon.pictures.metrics import psnr
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.problems.noise import noisy, table_noise
from pnp_recon.problems.simulate import deblurring
from pnp_recon.solvers import Stopping
from scripts.protocol import LEVELS, Rows, crop

MODELS = ("euler_grey", "euler_grey_eq")
DENOISING = (5.0, 15.0, 25.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", choices=("run", "report"))
    parser.add_argument("--data", type=Path, help="BSDS500; not for report")


def main(options: argparse.Namespace) -> None:
    rows = Rows(options.results / "equivariance_denoisers.jsonl")
    if options.task == "run":
        if options.data is None:
            raise SystemExit("denoisers run needs --data, the folder of BSDS500")
        for name in MODELS:
            model = load_denoiser(name)
            symmetry(rows, name, model)
            deblur(rows, name, model, deblurred_pictures(options.data))
            denoise(rows, name, model, bsd68(options.data))
    text = table(rows)
    (options.results / "equivariance_denoisers.md").write_text(text, encoding="utf-8")
    print(text)


def deblurred_pictures(data: Path) -> list[Path]:
    """Every twentieth test picture of BSDS500."""
    return test_pictures(data)[::20]


@torch.inference_mode()
def denoise(rows: Rows, name: str, model: Denoiser, pictures: Sequence[Path]) -> None:
    """Rows of whole pictures, noisy at the levels of `DENOISING`."""
    for index, path in enumerate(pictures):
        x = crop(path, None, True)
        for level in DENOISING:
            key = {"task": "denoise", "model": name, "picture": path.name, "noise": level}
            if not rows.has(**key):
                image = model(noisy(x, level / 255, index), level / 255)
                rows.add(**key, sha256=model.card["sha256"], psnr=float(psnr(image, x)))


def deblur(
    rows: Rows, name: str, model: Denoiser, pictures: Sequence[Path], turn: bool = True
) -> None:
    """Rows at the certified fixed point; with `turn` also of the turned problem."""
    kernel = kernels.linear_motion(15, 30)
    for index, path in enumerate(pictures):
        x = crop(path, 256, True)
        turned = Convolution(torch.rot90(kernel, 1, (-2, -1)), (1, 256, 256), "circular")
        for noise in LEVELS:
            key = {"task": "deblur", "model": name, "picture": path.name, "noise": noise}
            if rows.has(**key):
                continue
            problem = deblurring(x, kernel, noise / 255, table_noise(noise, index))
            A, y = problem.A, problem.y
            stopping = Stopping(tol=1e-5, max_iter=500)
            options = {"noise_level": noise / 255, "strength": 1, "stopping": stopping}
            upright = reconstruct(y, A, model, **options)
            found: dict[str, Any] = {}
            if turn:
                other = reconstruct(torch.rot90(y, 1, (-2, -1)), turned, model, **options)
                back = torch.rot90(other.image, -1, (-2, -1))
                found["psnr_turned"] = float(psnr(back, x))
                found["difference"] = float((back - upright.image).norm() / upright.image.norm())
            rows.add(
                **key,
                sha256=model.card["sha256"],
                psnr=float(psnr(upright.image, x)),
                **found,
                iterations=upright.iterations,
                status=upright.status.name,
                certified=upright.certificate.holds,
            )


def symmetry(rows: Rows, name: str, model: Denoiser) -> None:
    key = {"task": "symmetry", "model": name}
    if not rows.has(**key):
        exact = load_denoiser(name, dtype=torch.float64)
        report = check_equivariance(lambda x: exact(x, 25 / 255), 1, 1, reflections=True)
        found: dict[str, Any] = {"error": report.worst_exact, "parameters": parameters(model)}
        rows.add(**key, **found, alpha=model.guarantee.averagedness, sha256=model.card["sha256"])


def parameters(model: Denoiser) -> int:
    return int(model.card["parameters"])


def table(rows: Rows) -> str:
    lines = [
        "BSD68 (grey, whole pictures) and deblurring of ten BSDS500 test pictures (grey, 256² "
        "crops, motion 15 px at 30°, circular, pnp-hqs to 1e-5); mean PSNR in dB. Turned: picture "
        f"and kernel turned by 90°, the result turned back. {rows.measured_in()}.",
        "",
        "| model | learned numbers | certified α | error of 90° turns, flips (float64) | denoising "
        f"σ·255 = {' / '.join(f'{level:g}' for level in DENOISING)} | deblurring σ·255 = "
        f"{' / '.join(map(str, LEVELS))} | turned | relative difference | certified runs |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in MODELS:
        one = next(r for r in rows.rows if r["task"] == "symmetry" and r["model"] == name)
        found = [r for r in rows.rows if r["task"] == "deblur" and r["model"] == name]

        def mean(field: str, task: str, levels: tuple[float, ...], name: str = name) -> str:
            values = [rows.mean(field, task=task, model=name, noise=n) for n in levels]
            return " / ".join(f"{value:.2f}" for value in values)

        difference = statistics.median(r["difference"] for r in found)
        certified = sum(bool(r["certified"]) for r in found)
        lines.append(
            f"| {name} ({one['sha256'][:8]}) | {one['parameters']} | {one['alpha']:.5f} | "
            f"{one['error']:.1e} | {mean('psnr', 'denoise', DENOISING)} | "
            f"{mean('psnr', 'deblur', LEVELS)} | {mean('psnr_turned', 'deblur', LEVELS)} | "
            f"{difference:.1e} | {certified} of {len(found)} |"
        )
    return "\n".join(lines) + "\n"
