"""Time and memory of `pnp-deblur` on large pictures, and what it stated of both beforehand.

A sample picture, mirrored and repeated to the size, blurred by a camera shake of 25 pixels with
noise of σ·255 = 2.55, is restored in a process of its own. Noise and kernel are given, so that the
time is that of the strength and of the iteration. Processor seconds are given beside those of the
clock, as a busy machine stretches only these.

    python -m scripts.tables.large 1 2 4 [--iterations N] [--denoiser NAME] [--threads 1]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from operators import Convolution, kernels
from pnp_recon.files import shipped
from pnp_recon.pictures.files import read_picture
from pnp_recon.problems.noise import standard_normal
from scripts.protocol import RESULTS

SIDE, SIGMA = 25, 2.55 / 255
COLUMNS = (
    "megapixels", "size", "iterations", "processor s", "clock s", "stated s", "peak GiB",
    "stated GiB",
)  # fmt: skip
UNITS = {"seconds": 1, "minutes": 60, "hours": 3600}


def picture(megapixels: float, path: Path) -> tuple[int, int]:
    """Writes the degraded picture, 4 : 3; its width and height."""
    width = 8 * round((megapixels * 1e6 * 4 / 3) ** 0.5 / 8)
    height = 8 * round(width * 3 / 4 / 8)
    x = read_picture(shipped("samples/coffee.png")).pixels
    x = torch.cat([x, x.flip(-1)], -1)
    x = torch.cat([x, x.flip(-2)], -2)
    down, right = height + SIDE - 1, width + SIDE - 1
    x = x.repeat(1, 1, -(-down // x.shape[-2]), -(-right // x.shape[-1]))[..., :down, :right]
    y = Convolution(kernels.trajectory(SIDE, 0), x.shape[1:], "valid").A(x)
    y = y + SIGMA * standard_normal(y, 0)
    samples = (255 * y[0].permute(1, 2, 0).clamp(0, 1)).round().byte().numpy()
    Image.fromarray(np.ascontiguousarray(samples)).save(path, compress_level=1)
    return width, height


def seconds(stated: str) -> str:
    """A stated range in seconds: "2 to 7 minutes" as "120–420"."""
    ends, unit = [], 1
    for end in reversed(stated.split(" to ")):
        number, *word = end.split()
        unit = UNITS[word[0]] if word else unit
        ends.append(f"{float(number) * unit:g}")
    return "–".join(reversed(ends))


def run(source: Path, options: argparse.Namespace) -> dict[str, float | str]:
    """One command in a process of its own, and what it said."""
    command = [sys.executable, "-m", "pnp_recon.cli.deblur", str(source)]
    command += [
        "--kernel",
        "trajectory",
        "--kernel-size",
        str(SIDE),
        "--sigma",
        "2.55/255",
        "--denoiser",
        options.denoiser,
    ]
    command += ["--strength", options.strength, "-o", str(source.with_name("out.png"))]
    if options.iterations is not None:
        command += ["--max-iter", str(options.iterations)]
    begin = time.perf_counter()
    threads = {"OMP_NUM_THREADS": str(options.threads), "PYTHONUNBUFFERED": "1"}
    log = source.with_suffix(".txt")
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, env={**os.environ, **threads})
        _, code, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(code) not in (0, 3):
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(code)}")
    said = log.read_text(encoding="utf-8")
    memory = re.search(r"about ([\d.]+) GiB", said)
    ahead = re.search(r"^time: (?:about )?(.+?) \(", said, re.MULTILINE)
    made = re.search(r"^ended: .*?(\d+) iterations?,", said, re.MULTILINE)
    nan = float("nan")
    return {
        "iterations": nan if made is None else int(made[1]),
        "processor s": used.ru_utime + used.ru_stime,
        "clock s": time.perf_counter() - begin,
        "stated s": nan if ahead is None else seconds(ahead[1]),
        "peak GiB": used.ru_maxrss / 2**20,
        "stated GiB": nan if memory is None else float(memory[1]),
    }


def row(values: Mapping[str, float | str]) -> str:
    cells = [
        value
        if isinstance(value := values[name], str)
        else "–"
        if value != value
        else f"{value:.3g}"
        for name in COLUMNS
    ]
    return f"| {' | '.join(cells)} |"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("megapixels", type=float, nargs="+")
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--strength", default="auto")
    parser.add_argument("--denoiser", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULTS / "large.md")
    options = parser.parse_args(argv)
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    for megapixels in options.megapixels:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "in.png"
            width, height = picture(megapixels, source)
            found = run(source, options)
        size = {"megapixels": f"{width * height / 1e6:.2f}", "size": f"{width}×{height}"}
        lines.append(row({**size, **found}))
        print(lines[-1], flush=True)
    asked = " ".join(argv if argv is not None else sys.argv[1:])
    text = f"# Large pictures\n\n`python -m scripts.tables.large {asked}`: colour.\n\n"
    options.output.write_text(text + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
