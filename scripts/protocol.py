"""What tables, figures and studies share: where docs/ lies, pictures, kernels, recorded rows."""

from __future__ import annotations

import csv
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pnp_recon
from operators import kernels
from pnp_recon.pictures.colour import to_grey
from pnp_recon.pictures.files import read_picture

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
RESULTS, IMAGES = DOCS / "results", DOCS / "images"
LEVELS = (2.55, 7.65)


def deblurring_kernels() -> dict[str, Tensor]:
    """The kernels of the deblurring table."""
    return {
        "motion 15 px, 30°": kernels.linear_motion(15, 30),
        "trajectory (seed 0)": kernels.trajectory(25, 0),
    }


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Rows with the same columns, at least one, as a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def crop(path: Path, size: int | None, grey: bool) -> Tensor:
    """A picture (1, C, H, W); its central `size`² crop where a size is given."""
    pixels = read_picture(path).pixels
    pixels = to_grey(pixels) if grey else pixels
    if size is None:
        return pixels
    top, left = ((side - size) // 2 for side in pixels.shape[-2:])
    return pixels[..., top : top + size, left : left + size]


def save_figure(figure: Any, path: Path) -> None:
    """Writes a figure of matplotlib, the same bytes in every version, and closes it."""
    import matplotlib.pyplot as plt

    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)


class Rows:
    """Rows of a table in a JSON Lines file: appended one by one, so that a run can go on.

    Each says in which environment it was measured, which may be another than that of whoever
    writes the page (`measured_in`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def has(self, **key: Any) -> bool:
        return any(all(row.get(k) == v for k, v in key.items()) for row in self.rows)

    def add(self, **row: Any) -> None:
        row.setdefault("environment", environment())
        self.rows.append(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def mean(self, field: str, **key: Any) -> float:
        values = [r[field] for r in self.rows if all(r.get(k) == v for k, v in key.items())]
        return sum(values) / len(values) if values else float("nan")

    def measured_in(self) -> str:
        """The environments of the rows, in words for the head of a table."""
        known = dict.fromkeys(str(row["environment"]) for row in self.rows if "environment" in row)
        older = sum("environment" not in row for row in self.rows)
        words = list(known) + ([f"{older} rows without a note of versions"] if older else [])
        return "; ".join(words) or "no rows yet"


@torch.inference_mode()
def processor_seconds(run: Callable[[], object], times: int = 7) -> float:
    """Median processor time of a run, after one that warms up: other processes change it little."""
    taken = []
    for _ in range(times + 1):
        begin = time.process_time()
        run()
        taken.append(time.process_time() - begin)
    return statistics.median(taken[1:])


def environment() -> str:
    """Versions and machine, for the head of a table."""
    threads = torch.get_num_threads()
    return (
        f"pnp-recon {pnp_recon.__version__}, torch {torch.__version__}, "
        f"Python {platform.python_version()}, {threads} CPU threads"
    )
