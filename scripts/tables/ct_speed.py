"""What `pnp-ct` takes, in CPU seconds of one thread and memory, for slices of any size.

    python -m scripts.tables.ct_speed run LABEL --data ct_slices_256.npz --case 256 60 pnp …
    python -m scripts.tables.ct_speed scan LABEL --data tooth.h5
    python -m scripts.tables.ct_speed report

A slice of the archive is enlarged to the wanted side, projected, and reconstructed by the command
in a process of its own: the time is that of all of it, imports and simulation too. `scan` is
filtered back-projection of the first slice of a measured scan. LABEL says which state of the code
ran; a copy of an older state is measured from its folder (--package).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch

ROWS = Path("docs/results/ct_speed.jsonl")
TABLE = Path("docs/results/ct_speed.md")
SHIFT = 1024  # of the archive: HU + 1024


def enlarged(data: Path, index: int, side: int, target: Path) -> None:
    """Writes slice `index` with side × side pixels as an archive of one slice."""
    with np.load(data) as archive:
        values, pixel = archive["img"][index], float(archive["px_mm"][index])
    picture = torch.from_numpy(values.astype(np.float32))[None, None]
    if side != values.shape[0]:
        picture = torch.nn.functional.interpolate(picture, (side, side), mode="bicubic")
    stored = picture[0].clamp(0, 4 * SHIFT - 1).round().numpy().astype(np.uint16)
    np.savez(target, img=stored, px_mm=np.array([pixel * values.shape[0] / side]))


def measured(package: Path, data: Path, side: int, views: int, method: str) -> dict[str, object]:
    """CPU seconds, peak memory in GB, iterations and PSNR of one run of the command."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "slice.npz"
        enlarged(data, 140, side, source)
        words = f"--simulate --index 0 --views {views} --method {method}"
        return {"side": side, "views": views, "method": method} | _of_command(
            package, source, words
        )


def of_scan(package: Path, data: Path) -> dict[str, object]:
    """The same of a measured scan, by filtered back-projection."""
    found = _of_command(package, data, "--slice 0 --method fbp", "--quiet")
    with h5py.File(data) as file:
        views, _, side = file["exchange/data"].shape
    return {"side": side, "views": views, "method": "fbp of a measured scan", **found}


def _of_command(package: Path, source: Path, *words: str) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pnp_recon.cli.ct", str(source.resolve())]
        command += [*" ".join(words).split(), "--no-picture", "-o", str(Path(folder) / "out.npy")]
        settings = dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH=str(package.resolve()))
        with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
            process = subprocess.Popen(
                command, cwd=package, env=settings, stdout=said, stderr=subprocess.STDOUT
            )
            _, status, used = os.wait4(process.pid, 0)
            said.seek(0)
            text = said.read()
    if status:
        raise SystemExit(f"{' '.join(command)} failed:\n{text}")
    quality = re.search(r"PSNR [\d.]+ -> ([\d.]+)", text)
    steps = re.search(r"(\d+) iterations", text)
    return {
        "seconds": round(used.ru_utime + used.ru_stime, 1),
        "memory": round(used.ru_maxrss / 1e6, 2),
        "iterations": int(steps[1]) if steps and int(steps[1]) else None,
        "psnr": float(quality[1]) if quality else None,
        "running": round(os.getloadavg()[0]),
    }


def report() -> str:
    """The rows as a table, one line for each case and label."""
    rows = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    rows.sort(key=lambda row: (row["method"], row["side"], row["views"], row["order"]))
    lines = [
        "# What pnp-ct takes",
        "",
        "CPU seconds of one thread for the command with `--simulate` (imports, simulation and",
        "reconstruction), and peak memory. A slice of the archive of `ct.md`, enlarged.",
        "",
        "*Squares* has pixels in squares in memory, and a faster smear. Its rows, and those",
        "without a memory, were taken while up to sixteen processes shared the two cores, which",
        "counts as CPU seconds, too: the same product took up to twice as long.",
        "",
        "*Running*: processes that wanted the two cores meanwhile, this one included, where that",
        "was recorded. *Light*: a formula of a measured scan does not load ODL, and what",
        "nobody looks at is not made.",
        "",
        "| method | side | views | code | running | CPU s | memory, GB | iterations | PSNR, dB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        steps = "–" if row["iterations"] is None else row["iterations"]
        memory = "–" if row["memory"] is None else f"{row['memory']:.2f}"
        lines.append(
            f"| {row['method']} | {row['side']} | {row['views']} | {row['label']} | "
            f"{row.get('running', '–')} | {row['seconds']:.1f} | {memory} | {steps} | "
            f"{'–' if row['psnr'] is None else format(row['psnr'], '.2f')} |"
        )
    return "\n".join(lines) + "\n"


def _record(label: str, row: dict[str, object]) -> None:
    with open(ROWS, "a", encoding="utf-8") as rows:
        order = {"before": 0, "squares": 2, "light": 3}.get(label, 1)
        rows.write(json.dumps({"label": label, "order": order, **row}) + "\n")
    print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    todo = parser.add_subparsers(dest="todo", required=True)
    run = todo.add_parser("run")
    run.add_argument("--case", nargs=3, action="append", required=True)
    scan = todo.add_parser("scan")
    for one in (run, scan):
        one.add_argument("label")
        one.add_argument("--data", type=Path, required=True)
        one.add_argument("--package", type=Path, default=Path())
    todo.add_parser("report")
    options = parser.parse_args()
    if options.todo == "scan":
        _record(options.label, of_scan(options.package, options.data))
    if options.todo == "run":
        for side, views, method in options.case:
            row = measured(options.package, options.data, int(side), int(views), method)
            _record(options.label, row)
    TABLE.write_text(report(), encoding="utf-8")


if __name__ == "__main__":
    main()
