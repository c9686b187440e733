"""What the loop costs beside the denoiser and the operator: checks, residuals, acceleration.

The wall time of runs of a fixed number of iterations against the time of the same number of
proximal steps and denoiser calls alone, interleaved, medians of several rounds. A benchmark, not a
test: timings do not belong in tests.

    python benchmarks/loop_overhead.py [--size 256] [--rounds 5] [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from operators import Convolution, kernels
from pnp_recon import load_denoiser, reconstruct
from pnp_recon.fidelity import LeastSquares
from pnp_recon.files import shipped
from pnp_recon.pictures.files import read_picture
from pnp_recon.solvers import Stopping

NEVER = 1e-300


def timed(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    size, count = options.size, options.iterations
    x = read_picture(shipped("samples/coffee.png")).pixels[..., 40 : 40 + size, 100 : 100 + size]
    A = Convolution(kernels.linear_motion(15, 30), tuple(x.shape[1:]), "circular")
    y = A.A(x) + 0.01 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    denoiser = load_denoiser("euler_colour")
    fidelity = LeastSquares(A, y)

    def parts() -> None:
        z = y
        with torch.inference_mode():
            for _ in range(count):
                z = denoiser(fidelity.prox(z, 50.0)[0], 10 / 255)

    def loop(acceleration: str) -> Callable[[], object]:
        return lambda: reconstruct(
            y,
            A,
            denoiser,
            noise_level=0.01,
            gamma=50.0,
            denoiser_level=10 / 255,
            acceleration=acceleration,
            stopping=Stopping(tol=NEVER, max_iter=count),
        )

    runs = {"parts alone": parts, "loop": loop("none"), "loop, anderson": loop("anderson")}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for round_number in range(options.rounds + 1):
        for name, run in runs.items():
            seconds = timed(run)
            if round_number:  # the first round warms up
                times[name].append(seconds)
    base = statistics.median(times["parts alone"])
    print(f"{size}² colour, {count} iterations, {options.threads} thread(s), medians")
    for name, found in times.items():
        middle = statistics.median(found)
        print(f"{name:16s} {1e3 * middle / count:8.1f} ms an iteration  {middle / base - 1:+.1%}")


if __name__ == "__main__":
    main()
