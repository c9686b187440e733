"""Inference of equivariant networks against ordinary twins, and of tied against exported ones.

Two shapes: an unrolled network (256², 50 views, width 48, depth 8) and an Euler denoiser (256²
grey, width 64, 8 blocks). Untrained: time does not depend on the weights. All variants of a shape
take turns in one run; the table has medians and the ratio to the ordinary twin.

    python benchmarks/equivariant_inference.py [--repeats 15] [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from operators import RayTransform, parallel_beam
from pnp_recon.networks.configs import EulerConfig, UnrolledConfig
from pnp_recon.networks.equivariant import export
from pnp_recon.networks.euler import EulerNet
from pnp_recon.networks.unrolled import UnrolledNetwork

SIDE = 256
Variant = Callable[[], object]


def unrolled() -> dict[str, Variant]:
    A = RayTransform(parallel_beam(50, SIDE), (1, SIDE, SIDE))
    y = A.A(torch.rand(1, 1, SIDE, SIDE))
    variants: dict[str, Variant] = {}
    for group in ("C1", "C4", "D4"):
        network = UnrolledNetwork(UnrolledConfig(group=group, width=48, gradient="filtered")).eval()
        plain = export(network)
        variants[f"{group}, exported"] = lambda plain=plain: plain(y, A)
        variants[f"{group}, tied"] = lambda network=network: network(y, A)
    return variants


def euler() -> dict[str, Variant]:
    x = torch.rand(1, 1, SIDE, SIDE)
    variants: dict[str, Variant] = {}
    for group in ("C1", "D4"):
        network = EulerNet(EulerConfig(group=group, lifting="unshuffle")).eval()
        network.certify()
        plain = network.plain()
        variants[f"{group}, exported"] = lambda plain=plain: plain(x, 0.1)
        variants[f"{group}, tied"] = lambda network=network: network(x, 0.1)
    return variants


@torch.no_grad()
def medians(variants: dict[str, Variant], repeats: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(repeats + 1):
        for name, variant in variants.items():
            begin = time.perf_counter()
            variant()
            if turn:  # the first turn warms up
                times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    for title, variants in (("unrolled network", unrolled()), ("Euler denoiser", euler())):
        found = medians(variants, options.repeats)
        ordinary = found["C1, exported"]
        print(f"\n{title}, {SIDE}², {options.threads} threads\n")
        print("| variant | ms | ratio |\n|---|---|---|")
        for name, seconds in found.items():
            print(f"| {name} | {1000 * seconds:.1f} | {seconds / ordinary:.3f} |")


if __name__ == "__main__":
    main()
