"""Writes docs/results/volumes.md: slices a minute of `pnp-ct --slices`, ASTRA's FBP and ODL's TV.

    python -m scripts.tables.volumes [--slices 32] [--few 4] [--size 128] [--tooth tooth.h5]

A stack of ellipses that grow from slice to slice, half as many views as pixels, 1 % of noise; and
the tooth's two slices. One process, one thread. Times are processor seconds of one run, with all
that a command does: reading, the trials of three slices, pictures. They say what this machine took.
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
from numpy.typing import NDArray

from operators import RayTransform, parallel_beam
from pnp_recon.cli.ct import main
from pnp_recon.problems.noise import table_scan_noise
from scripts.protocol import RESULTS

LEVEL = 0.01


def phantom(size: int, share: float) -> torch.Tensor:
    """A slice (1, 1, N, N) of ellipses; `share` from 0 to 1 says which."""
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, size),) * 2, indexing="ij")
    out = 0.01 * ((x / 0.7) ** 2 + (y / 0.8) ** 2 < 1).float()
    out += 0.008 * (((x - 0.2) / 0.2) ** 2 + ((y + 0.1) / (0.2 + 0.2 * share)) ** 2 < 1)
    out -= 0.006 * (((x + 0.3) / 0.15) ** 2 + ((y - 0.2 * share) / 0.1) ** 2 < 1)
    return out[None, None]


def stack(path: Path, slices: int, size: int) -> NDArray[np.float32]:
    """Writes the scan, a stack of projections; its line integrals (slices, views, detectors)."""
    A = RayTransform(parallel_beam(size // 2, (size, size)), (1, size, size))
    lines = []
    for number in range(slices):
        clean = A.A(phantom(size, number / max(slices - 1, 1)))
        noise = table_scan_noise(number)
        lines.append(clean + LEVEL * clean.max() * noise(clean))
    y = torch.cat(lines)[:, 0].numpy()
    with h5py.File(path, "w") as file:
        file["exchange/data"] = y.transpose(1, 0, 2)
        file["exchange/theta"] = np.rad2deg(A.geometry.angles)
    return y


def astra_alone(y: NDArray[np.float32], angles: NDArray[np.float64], size: int) -> float:
    """Processor seconds of ASTRA's own filtered back-projection on the CPU, slice by slice."""
    import astra

    volume = astra.create_vol_geom(size, size)
    beam = astra.create_proj_geom("parallel", 1.0, y.shape[2], angles)
    projector = astra.create_projector("linear", beam, volume)
    begin = time.process_time()
    for one in y:
        data = astra.data2d.create("-sino", beam, one)
        result = astra.data2d.create("-vol", volume)
        settings = astra.astra_dict("FBP")
        settings["ProjectorId"] = projector
        settings["ProjectionDataId"], settings["ReconstructionDataId"] = data, result
        algorithm = astra.algorithm.create(settings)
        astra.algorithm.run(algorithm)
        astra.data2d.get(result)
        astra.algorithm.delete(algorithm)
        astra.data2d.delete([data, result])
    return time.process_time() - begin


# Iterations of ODL's solver, which has no rule to stop by.
ODL_STEPS = 200


def odl_total_variation(y: NDArray[np.float32], size: int, weight: float) -> float:
    """Processor seconds of total variation as ODL's documentation solves it, slice by slice.

    ½‖Ax − y‖² + weight·TV over x ≥ 0 by PDHG with ASTRA's CPU projector, step sizes by ODL's own
    rule from a power iteration. No certificate: the norm is an estimate.
    """
    import odl
    from odl import solvers
    from odl.applications import tomo
    from odl.functionals import GroupL1Norm, IndicatorNonnegativity, L2NormSquared, SeparableSum

    half = size / 2
    space = odl.uniform_discr([-half] * 2, [half] * 2, (size, size), dtype="float32")
    scan = tomo.parallel_beam_geometry(space, num_angles=y.shape[1], det_shape=y.shape[2])
    ray = tomo.RayTransform(space, scan, impl="astra_cpu")
    slopes = odl.Gradient(space)
    together = odl.BroadcastOperator(ray, slopes)
    begin = time.process_time()
    norm = 1.1 * odl.power_method_opnorm(together, maxiter=20)
    for one in y:
        x = space.zero()
        data = L2NormSquared(ray.range).translated(ray.range.element(one))
        outer = SeparableSum(0.5 * data, weight * GroupL1Norm(slopes.range))
        solvers.pdhg(
            x,
            IndicatorNonnegativity(space),
            outer,
            together,
            ODL_STEPS,
            tau=1 / norm,
            sigma=1 / norm,
        )
    return time.process_time() - begin


def command(scan: Path, slices: str, folder: Path, *more: str) -> dict[str, float]:
    """One run of the command: processor seconds of all, of the slices, and what is certified."""
    out = folder / "volume.h5"
    begin = time.process_time()
    main([str(scan), "--slices", slices, *more, "-o", str(out), "--overwrite", "-q"])
    whole = time.process_time() - begin
    found = json.loads((folder / "volume.h5.summary.json").read_text(encoding="utf-8"))
    count = found["certified"] + found["uncertified"]
    return {
        "slices": count,
        "certified": found["certified"],
        "failed": found["failed"],
        "seconds": whole,
        "worst": math.nan if found["worst"] is None else found["worst"][1],
    }


def row(what: str, method: str, found: dict[str, float]) -> str:
    seconds, slices = found["seconds"], found["slices"]
    worst = "–" if math.isnan(found["worst"]) else f"{found['worst']:.1e}"
    return (
        f"| {what} | {method} | {slices:.0f} | {found['certified']:.0f} | {worst} | "
        f"{seconds:.1f} | {60 * slices / seconds:.3g} |\n"
    )


def table(options: argparse.Namespace, folder: Path) -> str:
    torch.set_num_threads(1)
    size, scan = options.size, folder / "stack.h5"
    y = stack(scan, options.slices, size)
    angles = math.pi * np.arange(size // 2) / (size // 2)
    name, kind = f"ellipses {size}²", ["--kind", "line-integrals", "--size", str(size)]
    alone = {"slices": len(y), "certified": 0, "failed": 0, "worst": math.nan}
    out = row(name, "ASTRA's FBP alone", {**alone, "seconds": astra_alone(y, angles, size)})
    few_y = y[: options.few]
    took = odl_total_variation(few_y, size, 1.0)
    out += row(
        name, f"ODL's TV, {ODL_STEPS} iterations", {**alone, "slices": len(few_y), "seconds": took}
    )
    few, every = f"0:{options.few}", "all"
    runs: tuple[tuple[str, str, list[str]], ...] = (
        ("`--method fbp`", every, ["--method", "fbp"]),
        ("`--method tv`", every, ["--method", "tv"]),
        ("`--method tv --strength 1.5`", every, ["--method", "tv", "--strength", "1.5"]),
        ("`--method tv --across auto`", every, ["--method", "tv", "--across", "auto"]),
        ("default (energy)", few, []),
    )
    for method, slices, more in runs:
        out += row(name, method, command(scan, slices, folder, *kind, *more))
        print(out.splitlines()[-1], flush=True)
    if options.tooth is not None:
        small = ["--size", "160"]
        for method, more in (("`--method fbp`", ["fbp"]), ("`--method tv`", ["tv"])):
            found = command(options.tooth, "all", folder, "--method", *more, *small)
            out += row("tooth, 160²", method, found)
            print(out.splitlines()[-1], flush=True)
    return out


HEAD = """# Volumes

Slices a minute of `pnp-ct --slices`: one process, one thread, processor seconds of one run with all
that a command does (reading, the trials on three slices, pictures); of ASTRA the filtered
back-projection alone, without reading and writing; of ODL (PDHG, ASTRA's projector on the CPU)
total variation alone, whose 200 iterations end by no rule and prove nothing. Times are those
of one machine. Filtered back-projection is a formula and has no certificate. Where few slices are
run, much of the time is that of the trials for the strength; with `--strength` there are none.

| stack | method | slices | certified | worst residual | processor s | slices a minute |
|---|---|---|---|---|---|---|
"""


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=32)
    parser.add_argument("--few", type=int, default=4)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--tooth", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        found = table(parsed(), Path(made))
    (RESULTS / "volumes.md").write_text(HEAD + found, encoding="utf-8")
