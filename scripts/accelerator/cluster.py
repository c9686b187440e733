"""The benchmark and a volume on a Dask cluster with one GPU a worker, against one process.

    python -m scripts.accelerator.cluster OUT --data PICTURES [--scan SCAN.h5] [--workers N]

On a machine with several GPUs every worker sees one of them: by dask-cuda's LocalCUDACluster where
that is installed, else by workers that are started with CUDA_VISIBLE_DEVICES set. Without a GPU the
workers compute on the CPU: the same code, and what it shows is that the results are the same.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pnp_recon.cli.bench import main as bench
from pnp_recon.cli.ct import main as ct

BENCHMARK = ("denoise", "--noise", "25", "--crop", "64", "--grey", "--quiet")
VOLUME = ("--method", "fbp", "-q")
# Of a row of the benchmark, what has to be the same.
SAME = ("picture", "method", "noise", "status", "psnr", "certificate")


@contextmanager
def one_gpu_a_worker(workers: int, cuda: bool, folder: Path) -> Iterator[tuple[str, str]]:
    """A cluster on this machine, every worker with one thread: its address, and what made it.

    Raises:
        SystemExit: Dask is not installed.
    """
    try:
        from distributed import Nanny, Scheduler, SpecCluster
    except ImportError as error:
        raise SystemExit("Dask is not installed; install pnp-recon[cluster]") from error
    if cuda:
        try:
            from dask_cuda import LocalCUDACluster
        except ImportError:
            pass
        else:
            with LocalCUDACluster(
                n_workers=workers, dashboard_address=None, silence_logs=True
            ) as made:
                yield made.scheduler_address, "LocalCUDACluster"
            return

    def worker(number: int) -> dict[str, Any]:
        seen = {"CUDA_VISIBLE_DEVICES": str(number), "OMP_NUM_THREADS": "1"}
        options = {"nthreads": 1, "env": seen, "local_directory": str(folder)}
        return {"cls": Nanny, "options": options}

    specification = {number: worker(number) for number in range(workers)}
    scheduler = {"cls": Scheduler, "options": {"dashboard": False, "port": 0}}
    with SpecCluster(workers=specification, scheduler=scheduler, silence_logs=True) as made:
        yield made.scheduler_address, "workers with CUDA_VISIBLE_DEVICES"


def benchmarked(folder: Path, data: Path, device: str, *more: str) -> tuple[float, list[Any]]:
    """Seconds, and the rows without what two equal runs may differ in."""
    began = time.perf_counter()
    options = ("--data", str(data), "--methods", "euler_grey", "--device", device)
    if code := bench(["run", *BENCHMARK, *options, "-o", str(folder), *more]):
        raise SystemExit(code)
    seconds = time.perf_counter() - began
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        return seconds, [[row[key] for key in SAME] for row in csv.DictReader(file)]


def volume(out: Path, scan: Path, slices: str, *more: str) -> tuple[float, Any]:
    began = time.perf_counter()
    if code := ct([str(scan), *VOLUME, "--slices", slices, "-o", str(out), *more]):
        raise SystemExit(code)
    return time.perf_counter() - began, np.load(out)


def main(argv: Sequence[str] | None = None) -> int:
    import torch

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="a new folder for the results")
    parser.add_argument("--data", type=Path, required=True, help="pictures to denoise")
    parser.add_argument("--scan", type=Path, help="a stack of projections to reconstruct as well")
    parser.add_argument("--slices", default="all", help="slices of the scan, as for pnp-ct")
    parser.add_argument("--workers", type=int, default=max(2, torch.cuda.device_count()))
    given = parser.parse_args(argv)
    given.out.mkdir(parents=True, exist_ok=True)
    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    with one_gpu_a_worker(given.workers, cuda, given.out) as (address, made_by):
        print(f"{given.workers} workers ({made_by}), {device}, {os.cpu_count()} cores")
        seconds = {}
        seconds["denoise"], one = benchmarked(given.out / "one", given.data, device)
        seconds["denoise, cluster"], many = benchmarked(
            given.out / "cluster", given.data, device, "--dask", address
        )
        same = one == many
        if given.scan is not None:
            seconds["volume"], first = volume(given.out / "one.npy", given.scan, given.slices)
            seconds["volume, cluster"], second = volume(
                given.out / "cluster.npy", given.scan, given.slices, "--dask", address
            )
            same = same and np.allclose(first, second, rtol=0, atol=1e-6 * float(first.max()))
    for what, took in seconds.items():
        print(f"{what:20} {took:8.1f} s")
    print("the results are the same" if same else "the results DIFFER")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
