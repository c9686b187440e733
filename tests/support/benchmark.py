"""Small pictures, denoisers of a user's own, and tables without what may vary."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pnp_recon.benchmark.rows import VARYING
from pnp_recon.cli.bench import main
from support.cli import only_line

SIDE = 48

# A user's own file: a class of three lines, and functions of every temper.
MINE = """
import os, time
from pnp_recon.benchmark import Method

class Half(Method):
    def denoise(self, x, sigma):
        return 0.5 * x + 0.25

calls = 0

def stalls(x, sigma):
    global calls
    calls += 1
    if calls > int(os.environ.get("STALL_AFTER", "1000000")):
        time.sleep(3600)  # until it is killed
    return x

def doubles(x, sigma):
    return 2 * x

def stumbles(x, sigma):
    if x.shape[-1] == 48 and float(x.mean()) > 0.6:
        raise RuntimeError("out of luck")
    return x

def interrupted(x, sigma):
    raise KeyboardInterrupt
"""


def picture(kind: int) -> np.ndarray:
    """An 8 bit picture (48, 48): edges, a texture, or a bright slope."""
    y, x = np.mgrid[:SIDE, :SIDE]
    if kind == 0:
        values = np.where((x // 12 + y // 16) % 2 == 0, 60, 190)
    elif kind == 1:
        values = 120 + 50 * np.sin(x / 3) * np.cos(y / 5)
    else:
        values = 170 + 0.9 * x + 0.5 * y
    return np.rint(values).astype(np.uint8)


def folder_of_pictures(folder: Path, count: int = 3) -> Path:
    folder.mkdir()
    for kind in range(count):
        Image.fromarray(picture(kind)).save(folder / f"{'abc'[kind]}.png")
    return folder


def own_file(folder: Path) -> Path:
    path = folder / "mine.py"
    path.write_text(MINE)
    return path


def bench(*arguments: Any) -> int:
    """`pnp-bench` in this process, on one thread, keeping no pictures; returns the exit code."""
    words = [str(argument) for argument in arguments]
    usual = ["--threads", "1", "--keep", "0"] if words[0] == "run" else []
    return main([*words[:1], *usual, *words[1:]])


def start(data: Path, out: Path, *more: Any) -> int:
    """`pnp-bench run denoise` on a folder of pictures."""
    return bench("run", "denoise", "--data", data, "-o", out, "--quiet", *more)


def table(folder: Path) -> list[dict[str, str]]:
    """Rows of results.csv without what two equal runs may differ in."""
    with (folder / "results.csv").open(newline="") as file:
        return [
            {name: value for name, value in row.items() if name not in VARYING}
            for row in csv.DictReader(file)
        ]


def column(folder: Path, name: str) -> list[str]:
    return [row[name] for row in table(folder)]


def error(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of an error of `pnp-bench`."""
    return only_line("pnp-bench", capsys.readouterr().err)
