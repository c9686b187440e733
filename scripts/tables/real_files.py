"""What `pnp-deblur` makes of the files that people have: JPEG, soft noise, resized pictures.

Crops of pictures of BSDS500 val without BSD68, blurred beyond the border (what is outside is not
known), with noise of σ·255 = 1, and saved as each kind of file; then the command itself, with
`--sigma auto` and with each level of a grid. The best of the grid, by PSNR against the truth, is
what nobody without the truth has. Writes a row for each run as it is done, and goes on where it
was stopped; rows of `auto` are measured again with --again, those of some kinds with --kinds.

    python -m scripts.tables.real_files --data BSDS500 [--pictures 4] [--minutes 10] [--again]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from operators import Convolution, kernels
from pnp_recon.cli import deblur
from pnp_recon.datasets.splits import validation_pictures
from pnp_recon.problems.noise import standard_normal
from scripts.protocol import RESULTS, crop, environment, read_rows, write_rows

SIDE = 96
SIGMA = 1 / 255
# The noise of a camera that averages 2 × 2 pixels is told from white noise only if it is not lost
# in the rounding to 8 bit.
SOFT_SIGMA = 3.88 / 255
GRID = (0.7, 1.0, 1.5, 2.5, 4.0, 6.5)  # σ·255
KERNELS: dict[str, tuple[Tensor, tuple[str, ...]]] = {
    "motion": (kernels.linear_motion(9, 30), ("motion", "--length", "9", "--angle", "30")),
    "disk": (kernels.disk(3), ("disk", "--length", "3")),
}
FIELDS = (
    "picture", "kernel", "kind", "sigma", "psnr_in", "psnr", "level", "origin", "strength", "rule",
    "warned", "iterations", "seconds",
)  # fmt: skip


def eight_bit(x: Tensor) -> Image.Image:
    samples = x[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255
    return Image.fromarray(samples.round().astype(np.uint8))


def white(y: Tensor, seed: int) -> Tensor:
    return y + SIGMA * standard_normal(y, seed)


def png(y: Tensor, path: Path, seed: int) -> None:
    eight_bit(white(y, seed)).save(path)


def jpeg(quality: int) -> Callable[[Tensor, Path, int], None]:
    def save(y: Tensor, path: Path, seed: int) -> None:
        eight_bit(white(y, seed)).save(path, quality=quality)

    return save


def soft(y: Tensor, path: Path, seed: int) -> None:
    """The noise is a mean of 2 × 2 pixels."""
    height, width = y.shape[-2:]
    noise = standard_normal(y.new_empty(*y.shape[:2], height + 1, width + 1), seed)
    noise = torch.nn.functional.avg_pool2d(noise, 2, 1)
    eight_bit(y + SOFT_SIGMA * noise / noise.std()).save(path)


def resized(y: Tensor, path: Path, seed: int) -> None:
    """Taken at 3/4 of the size, and enlarged."""
    size = (y.shape[-1], y.shape[-2])
    small = eight_bit(y).resize((size[0] * 3 // 4, size[1] * 3 // 4), Image.Resampling.BICUBIC)
    values = torch.from_numpy(np.asarray(small, np.float32) / 255).permute(2, 0, 1)[None]
    eight_bit(white(values, seed)).resize(size, Image.Resampling.BICUBIC).save(path)


KINDS = {
    "PNG": (png, ".png"),
    "JPEG q95": (jpeg(95), ".jpg"),
    "JPEG q75": (jpeg(75), ".jpg"),
    "JPEG q50": (jpeg(50), ".jpg"),
    "JPEG q30": (jpeg(30), ".jpg"),
    "soft noise": (soft, ".png"),
    "resized": (resized, ".png"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=4, help="the first so many")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--again", action="store_true", help="measure the rows of auto again")
    parser.add_argument("--kinds", default="", help="only those whose names begin so")
    parser.add_argument("--only", choices=("auto", "grid"), help="run only these levels")
    parser.add_argument("--output", type=Path, default=RESULTS / "real_files.csv")
    options = parser.parse_args()
    rows = read_rows(options.output)

    def among(kind: str) -> bool:
        return kind.startswith(options.kinds)

    if options.again:
        rows = [row for row in rows if not (row["sigma"] == "auto" and among(row["kind"]))]
    done = {tuple(row[name] for name in FIELDS[:4]) for row in rows}
    wanted = [
        (index, path, kernel, kind, sigma)
        for index, path in enumerate(validation_pictures(options.data)[: options.pictures])
        for kernel in KERNELS
        for kind in filter(among, KINDS)
        for sigma in ("auto", *map(str, GRID))
        if (path.stem, kernel, kind, sigma) not in done
        and options.only in (None, "auto" if sigma == "auto" else "grid")
    ]
    begin = time.perf_counter()
    for count, (index, path, kernel, kind, sigma) in enumerate(wanted, 1):
        rows.append({"picture": path.stem} | measured(index, path, kernel, kind, sigma))
        write_rows(options.output, rows)
        spent = time.perf_counter() - begin
        left = spent / count * (len(wanted) - count) / 60
        row = rows[-1]
        print(
            path.stem, kernel, kind, sigma, row["psnr_in"], "->", row["psnr"],
            f"({count}/{len(wanted)}, {left:.0f} min left)", flush=True,
        )  # fmt: skip
        if spent > 60 * options.minutes:
            break
    text = table(rows)
    options.output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


def made(index: int, path: Path, kernel: str, kind: str, folder: Path) -> tuple[Path, Path]:
    """The file of a case, and the truth beside it."""
    weights = KERNELS[kernel][0]
    reach = weights.shape[-1] // 2
    x = crop(path, SIDE + 2 * reach, False)
    y = Convolution(weights, tuple(x.shape[1:]), "valid").A(x)
    save, suffix = KINDS[kind]
    file, truth = folder / f"photo{suffix}", folder / "truth.png"
    save(y, file, index)
    eight_bit(x[..., reach:-reach, reach:-reach]).save(truth)
    return file, truth


def measured(index: int, path: Path, kernel: str, kind: str, sigma: str) -> dict[str, str]:
    """The columns of one run."""
    with tempfile.TemporaryDirectory() as place:
        file, truth = made(index, path, kernel, kind, Path(place))
        args = [str(file), "--kernel", *KERNELS[kernel][1], "--reference", str(truth)]
        args += ["--sigma", sigma if sigma == "auto" else f"{sigma}/255", "--tol", "1e-3"]
        args += ["--json", "-o", str(Path(place) / "out.png")]
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            deblur.main(args)
    found = json.loads(said.getvalue())
    return {
        "kernel": kernel,
        "kind": kind,
        "sigma": sigma,
        "psnr_in": f"{found['metrics']['before']['psnr']:.3f}",
        "psnr": f"{found['metrics']['after']['psnr']:.3f}",
        "level": f"{255 * found['noise_level']:.3f}",
        "origin": found["noise_origin"],
        "strength": f"{found['strength']['value']:.3g}",
        "rule": found["strength"]["rule"],
        "warned": str(int(any("worse than the input" in note for note in found["notes"]))),
        "iterations": str(found["iterations"]),
        "seconds": f"{found['seconds']:.1f}",
    }


def cases(rows: list[dict[str, str]]) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """The automatic run of each case beside the best of its grid, where all of it is there."""
    for row in rows:
        if row["sigma"] != "auto":
            continue
        key = [row[name] for name in FIELDS[:3]]
        grid = [r for r in rows if [r[n] for n in FIELDS[:3]] == key and r["sigma"] != "auto"]
        if len(grid) == len(GRID):
            yield row, max(grid, key=lambda r: float(r["psnr"]))


def table(rows: list[dict[str, str]]) -> str:
    """Markdown: a line for each kernel and kind of file."""
    every = [row for row in rows if row["sigma"] == "auto"]
    best = {_case(auto): known for auto, known in cases(rows)}
    lines = [
        f"{len({row['picture'] for row in every})} pictures of BSDS500 val without BSD68 "
        f"({SIDE}² crops in colour), `pnp-deblur` with the kernel and its default prior, "
        f"`energy_colour`, `--tol 1e-3`; {environment()}. "
        f"Noise: σ·255 = {255 * SIGMA:g} before the file is made, {255 * SOFT_SIGMA:g} where it "
        "is soft (mean of 2 × 2 pixels); resized: taken at 3/4 of the size. Best: of σ·255 = "
        + ", ".join(f"{level:g}" for level in GRID)
        + ", by PSNR against the truth, for the pictures that were run with all of them; rows are "
        "kept between runs of the script, and those of the grid are older than the others.",
        "",
        "| kernel | file | cases | input, dB | auto, dB | gain: mean, least | σ·255 auto | worse | "
        "warned | with the grid | behind the best: mean, worst | σ·255 best |",
        "|---" * 12 + "|",
    ]
    for kernel in KERNELS:
        for kind in KINDS:
            some = [row for row in every if (row["kernel"], row["kind"]) == (kernel, kind)]
            if some:
                lines.append(line(kernel, kind, some, best))
    gains = [float(row["psnr"]) - float(row["psnr_in"]) for row in every]
    lines += [
        "",
        f"Of all {len(every)} automatic runs {sum(gain < 0 for gain in gains)} are worse than "
        f"their input; the mean gain is {mean(gains or [0]):+.2f} dB, the least "
        f"{min(gains, default=0):+.2f} dB.",
    ]
    return "\n".join(lines) + "\n"


def _case(row: dict[str, str]) -> tuple[str, str, str]:
    return row["picture"], row["kernel"], row["kind"]


def line(
    kernel: str,
    kind: str,
    some: list[dict[str, str]],
    best: dict[tuple[str, str, str], dict[str, str]],
) -> str:
    """The automatic runs of one kind of file, and how far they are behind the best of a grid."""

    def column(name: str) -> list[float]:
        return [float(row[name]) for row in some]

    before, auto, level = column("psnr_in"), column("psnr"), column("level")
    gained = [a - b for a, b in zip(auto, before, strict=True)]
    beside = [(row, best[_case(row)]) for row in some if _case(row) in best]
    lost = [float(known["psnr"]) - float(row["psnr"]) for row, known in beside]
    levels = [float(known["level"]) for _, known in beside]
    grid = "– | –"
    if beside:
        grid = f"{mean(lost):.2f}, {max(lost):.2f} | {min(levels):g} to {max(levels):g}"
    return (
        f"| {kernel} | {kind} | {len(some)} | {mean(before):.2f} | {mean(auto):.2f} | "
        f"{mean(gained):+.2f}, {min(gained):+.2f} | {min(level):.2f} to {max(level):.2f} | "
        f"{sum(gain < 0 for gain in gained)} | {sum(column('warned')):.0f} | {len(beside)} | "
        f"{grid} |"
    )


if __name__ == "__main__":
    main()
