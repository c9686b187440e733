"""What denoising one picture costs: certified denoisers beside CRR-NN's 50 steps and BM3D.

Every method has a process of its own with its own peak memory; they take turns in one run, so that
a machine that drifts drifts for all. One run to warm up, then the median, least and most of at
least five. Colour denoisers are compared on a colour picture, grey ones on a grey one.

    python benchmarks/denoiser_cost.py [MODEL ...] [--threads 2] [--turns 7]

Writes docs/results/denoiser_cost.md and .csv. CRR-NN is a timing twin with random weights
(`crr_twin`); BM3D is the package `bm3d` (for non-commercial use), left out where it is missing.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from crr_twin import CRRTwin, Spline, Way, fastest
from fresh_process import FreshProcess, in_fresh_process
from torch import Tensor

from pnp_recon import load_denoiser
from pnp_recon.benchmark.measure import conditions
from pnp_recon.files import shipped
from pnp_recon.models.store import find_card, read_card, shipped_models
from pnp_recon.pictures.colour import to_grey
from pnp_recon.pictures.files import read_picture
from pnp_recon.priors.denoiser import Precision

ROOT = Path(__file__).resolve().parents[1]
LEVEL = 25 / 255
KINDS = {1: "grey", 3: "colour"}
CRR, CRR_CLIP, BM3D = "CRR-NN twin", "CRR-NN twin, clips for splines", "BM3D"
CRR_SPLINES: dict[str, tuple[Spline, ...]] = {CRR: ("gather", "pairs"), CRR_CLIP: ("clip",)}
REFERENCES = (CRR, CRR_CLIP, BM3D)
# Between turns, so that threads of the last method have gone to sleep.
PAUSE = 0.2

HEADER = """# Cost of denoising

`python benchmarks/denoiser_cost.py {arguments}`, {versions}, on {machine}.

One {height}×{width} picture, float32 unless it says bfloat16, {threads} thread(s), wall time,
median of {turns} turns after a warm-up; methods take turns, each in a process of its own. "Of X" is
a method's median over X's: below one is faster. Peak memory is that of the whole process, "work"
the part of it that came after interpreter, libraries, model and picture.

The CRR-NN twin does the operations of {steps} accelerated gradient steps (Goujon et al. 2023: 32
filters 11×11, linear splines, a convolution and its transpose a step) in the fastest way found for
it; with clips in place of the splines it is a lower bound, however splines are evaluated.
"""


@dataclass(frozen=True)
class Method:
    """What is timed: a model by name or path, or a reference, on one kind of picture."""

    name: str
    channels: int
    precision: Precision = "float32"

    @property
    def label(self) -> str:
        name = Path(self.name).name.removesuffix(".json")
        return name if self.precision == "float32" else f"{name}, {self.precision}"


@dataclass
class Row:
    """One line of the table; seconds of every turn."""

    picture: str
    method: str
    precision: str
    threads: int
    seconds: list[float]
    peak_megabytes: float
    work_megabytes: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def picture(channels: int, size: tuple[int, int]) -> Tensor:
    """A noisy picture (1, C, H, W)."""
    clean = F.interpolate(read_picture(shipped("samples/coffee.png")).pixels, size, mode="bilinear")
    clean = to_grey(clean) if channels == 1 else clean
    return clean + LEVEL * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))


def make(
    method: Method, size: tuple[int, int], threads: int, steps: int, way: Way | None
) -> Callable[[], object]:
    """In the method's own process: model and picture, and what denoises the one by the other."""
    y = picture(method.channels, size)
    if way is not None:
        twin = CRRTwin(way, steps)
        return lambda: twin(y)
    if method.name == BM3D:
        import bm3d

        profile = bm3d.BM3DProfile()
        profile.num_threads = threads
        samples = y[0].permute(1, 2, 0).squeeze(2).double().numpy()
        denoise = bm3d.bm3d if method.channels == 1 else bm3d.bm3d_rgb
        return lambda: denoise(samples, LEVEL, profile)
    denoiser = load_denoiser(method.name, precision=method.precision)
    level = min(max(LEVEL, denoiser.sigma_range[0]), denoiser.sigma_range[1])
    return lambda: denoiser(y, level)


def find_way(name: str, channels: int, size: tuple[int, int], threads: int) -> Way:
    """How the CRR-NN twin is fastest here."""
    torch.set_num_threads(threads)
    with torch.inference_mode():
        return fastest(picture(channels, size), CRR_SPLINES[name])


def methods(models: list[str]) -> list[Method]:
    """The models in both precisions, and the references for the pictures that they are for."""
    found = []
    for name in models:
        channels = int(read_card(find_card(name)).config["channels"])
        found += [Method(name, channels), Method(name, channels, "bfloat16")]
    for channels in sorted({method.channels for method in found}, reverse=True):
        for name in REFERENCES:
            if name != BM3D or find_spec("bm3d") is not None:
                found.append(Method(name, channels))
    return found


def certified_models() -> list[str]:
    names = shipped_models("denoiser")
    return [n for n in names if read_card(find_card(n)).certificate["averagedness"] is not None]


def measure(found: list[Method], options: argparse.Namespace) -> list[Row]:
    size = (options.height, options.width)
    threads, steps = options.threads, options.steps
    workers = {}
    for method in found:
        way = None
        if method.name in CRR_SPLINES:
            way = in_fresh_process(find_way, (method.name, method.channels, size, threads))
        workers[method] = FreshProcess(make, (method, size, threads, steps, way), threads)
    seconds: dict[Method, list[float]] = {method: [] for method in found}
    for turn in range(options.turns + 1):
        for method, worker in workers.items():
            time.sleep(PAUSE)
            spent = worker.seconds()
            if turn:  # the first turn warms up
                seconds[method].append(spent)
        print(f"turn {turn} of {options.turns}", flush=True)
    memory = {method: worker.close() for method, worker in workers.items()}
    return [
        Row(KINDS[m.channels], m.label, m.precision, options.threads, seconds[m], *memory[m])
        for m in found
    ]


def table(rows: list[Row]) -> str:
    """Markdown, one table for each kind of picture, fastest first."""
    parts = []
    for kind in dict.fromkeys(row.picture for row in rows):
        ours = sorted((row for row in rows if row.picture == kind), key=lambda row: row.median)
        references = [row for row in ours if row.method in REFERENCES]
        columns = ["method", "ms", "least – most", *(f"of {r.method}" for r in references)]
        columns += ["peak memory, MB", "work, MB"]
        lines = [f"## {kind.capitalize()} picture", ""]
        lines += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        for row in ours:
            cells = [row.method, f"{1e3 * row.median:.0f}"]
            cells.append(f"{1e3 * min(row.seconds):.0f} – {1e3 * max(row.seconds):.0f}")
            cells += [f"{row.median / reference.median:.3f}" for reference in references]
            cells += [f"{row.peak_megabytes:.0f}", f"{row.work_megabytes:.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def write(rows: list[Row], options: argparse.Namespace, arguments: list[str]) -> None:
    facts: dict[str, Any] = {**vars(options), **conditions(), "machine": machine()}
    text = HEADER.format(**facts | {"arguments": " ".join(arguments)})
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.with_suffix(".md").write_text(f"{text}\n{table(rows)}\n", encoding="utf-8")
    with options.output.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        shown = [asdict(row) | {"median": row.median} | conditions() for row in rows]
        writer = csv.DictWriter(file, list(shown[0]))
        writer.writeheader()
        writer.writerows(
            row | {"seconds": " ".join(f"{s:.6f}" for s in row["seconds"])} for row in shown
        )


def machine() -> str:
    """Processor and number of cores in words."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()} ({os.cpu_count()} cores)"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: all certified ones")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--height", type=int, default=321)
    parser.add_argument("--width", type=int, default=481)
    parser.add_argument("--steps", type=int, default=50, help="of the CRR-NN twin")
    parser.add_argument("--only", nargs="*", help="labels of the methods to run, as in the table")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "results" / "denoiser_cost")
    options = parser.parse_args(argv)
    options.models = options.models or certified_models()
    found = methods(options.models)
    found = [m for m in found if options.only is None or m.label in options.only]
    rows = measure(found, options)
    write(rows, options, options.models)
    print(table(rows))


if __name__ == "__main__":
    main()
