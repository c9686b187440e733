"""Writes docs/results/volumes_across.md: what a prior across slices gives, by `pnp-ct --slices`.

    python -m scripts.tables.volumes_across [--size 64] [--slices 6] [--data ct_slices_256.npz]

Two stacks whose slices follow one another: the three-dimensional Shepp–Logan phantom, and slices of
one patient of the archive (not the patient on whom the bond was chosen). Half as many views as
pixels, parallel beam, noise of 1 % and 3 % of the largest line integral; with and without the prior
across slices, each with the strength that the command finds. One PSNR over the volume in [0, 1].
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from operators import RayTransform, parallel_beam
from pnp_recon.cli.ct import main
from pnp_recon.problems.noise import table_scan_noise
from scripts.protocol import RESULTS

PATIENT = "1.3.6.1.4.1.9328.50.1.0117"
WINDOW = 2524.0  # HU from −1024 to 1500
METHODS: tuple[tuple[str, list[str]], ...] = (
    ("`--method fbp`", ["--method", "fbp"]),
    ("`--method tv`", ["--method", "tv"]),
    ("`--method tv --across auto`", ["--method", "tv", "--across", "auto"]),
    ("default (energy)", []),
    ("default, `--across auto`", ["--across", "auto"]),
)


def shepp_logan(slices: int, size: int) -> Tensor:
    """The middle slices of the phantom of N³ voxels, (slices, N, N)."""
    from odl.core.discr.discr_space import uniform_discr
    from odl.core.phantom import shepp_logan as phantom

    space = uniform_discr([-1] * 3, [1] * 3, (size, size, size), dtype="float32")
    values = torch.from_numpy(np.array(phantom(space, True).data)).permute(2, 1, 0)
    first = (size - slices) // 2
    return values[first : first + slices].clamp(0, 1)


def patient(data: Path, slices: int, size: int) -> Tensor:
    """Slices of one patient, one after the other, (slices, N, N) in [0, 1]."""
    with np.load(data) as archive:
        places = [i for i, name in enumerate(archive["patient"]) if name == PATIENT][:slices]
        values = torch.from_numpy(archive["img"][places].astype(np.float32))
    small = torch.nn.functional.interpolate(values[:, None], (size, size), mode="area")[:, 0]
    return (small / WINDOW).clamp(0, 1)


def scan(path: Path, truth: Tensor, level: float) -> None:
    """Writes the projections of a stack with noise."""
    size = truth.shape[-1]
    A = RayTransform(parallel_beam(size // 2, (size, size)), (len(truth), size, size))
    clean = A.A(truth[None])
    noise = table_scan_noise(0)
    y = (clean + level * clean.max() * noise(clean))[0].numpy()
    with h5py.File(path, "w") as file:
        file["exchange/data"] = y.transpose(1, 0, 2)
        file["exchange/theta"] = np.rad2deg(A.geometry.angles)


def measured(path: Path, truth: Tensor, more: list[str], folder: Path) -> str:
    """Certified slices, certificates, PSNR and processor seconds of one run, as cells."""
    out = folder / "volume.npy"
    args = ["--slices", "all", "--window", "0,1", "--axis", "center", "--size", truth.shape[-1]]
    args += ["--kind", "line-integrals", *more, "-o", out, "--overwrite", "-q"]
    begin = time.process_time()
    main([str(path), *map(str, args)])
    seconds = time.process_time() - begin
    found = json.loads((folder / "volume.npy.summary.json").read_text(encoding="utf-8"))
    error = np.load(out) - truth.numpy()
    psnr = -10 * math.log10(float(np.square(error).mean()))
    each = min(found["certified"], 1) if "--across" in more else found["certified"]
    return f"{found['certified']} | {each} | {psnr:.2f} | {seconds:.0f}"


HEAD = """# A prior across slices

`pnp-ct --slices` with and without `--across auto`: {slices} slices of {size}² that follow one
another, {views} views, noise in parts of the largest line integral; PSNR over the whole volume in
[0, 1], by the strength that the command finds. The bond of the energy was chosen on slices of
another patient (Pancreas-CT-CB_001). With `--across` one certificate is about the whole
volume. Processor seconds, one thread.

| stack | noise | method | slices certified | certificates | PSNR | s |
|---|---|---|---|---|---|---|
"""


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=6)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--data", type=Path)
    return parser.parse_args()


def table(options: argparse.Namespace, folder: Path) -> str:
    torch.set_num_threads(1)
    stacks = {"Shepp–Logan in 3-D": shepp_logan(options.slices, options.size)}
    if options.data is not None:
        stacks["CT of one patient"] = patient(options.data, options.slices, options.size)
    out = ""
    for name, truth in stacks.items():
        for level in (0.01, 0.03):
            scan(folder / "scan.h5", truth, level)
            for method, more in METHODS:
                cells = measured(folder / "scan.h5", truth, more, folder)
                out += f"| {name} | {level:.0%} | {method} | {cells} |\n"
                print(out.splitlines()[-1], flush=True)
    return out


if __name__ == "__main__":
    given = parsed()
    with tempfile.TemporaryDirectory() as made:
        rows = table(given, Path(made))
    head = HEAD.format(slices=given.slices, size=given.size, views=given.size // 2)
    (RESULTS / "volumes_across.md").write_text(head + rows, encoding="utf-8")
