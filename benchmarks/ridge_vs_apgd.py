"""A ridge reconstruction against a straightforward accelerated gradient method for the same energy.

Both descend E(x) = ½‖A x − y‖² + λR_σ(x) + (c/2) dist²(x, [0, 1]ⁿ) of a ridge energy, from the same
start, in turns, on the same threads. The straightforward one is what one writes down first: FISTA's
momentum (Beck & Teboulle 2009), restarted where it points uphill (O'Donoghue & Candès 2015), with
the network's own `value_and_gradient` and the step 1/L, L the bound of the curvature of E; or, with
the proximal map of the data, the step 1/(λμ + c). Ours is `reconstruct` with the energy; λ, σ and c
are those that it says it ran with. Ours stops by its own rule at --tol; the others go on until
‖∇E‖, of which they know the parts at each step, is as small as where ours ended. Energies and
pictures at the end stand beside the seconds: methods that end elsewhere show it.

A benchmark, not a test: timings do not belong in tests.

    python benchmarks/ridge_vs_apgd.py --data BSDS500 [--model ridge_colour] [--size 128]
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from operators import kernels
from pnp_recon import reconstruct
from pnp_recon.benchmark.pictures import read, select
from pnp_recon.errors import InputError
from pnp_recon.models.load import load, load_denoiser
from pnp_recon.models.store import is_shipped
from pnp_recon.networks.energies.ridge import RidgeNet
from pnp_recon.pictures.metrics import psnr
from pnp_recon.problems.noise import benchmark_noise
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import deblurring
from pnp_recon.solvers import Stopping

APART = Path(__file__).resolve().parents[1] / "trained_models"
LONGEST = 5000
# Error of a proximal map that is no closed form.
INNER = 1e-6
# λ = c (noise/σ)² at σ = the noise level, where `reconstruct` says nothing of it.
FACTOR = 0.35


@dataclass(frozen=True)
class Objective:
    """E and its gradient as one writes them down.

    Attributes:
        energy: R_σ, with its own `value_and_gradient`.
        level: σ.
        weight: λ.
        penalty: c.
    """

    problem: Problem
    energy: RidgeNet
    level: float
    weight: float
    penalty: float

    def prior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """λR_σ + (c/2) dist² of one picture, and the gradient of that."""
        value, gradient = self.energy.value_and_gradient(x, self.level)
        outside = x - x.clamp(0, 1)
        size = 0.5 * self.penalty * outside.square().sum()
        return self.weight * value.sum() + size, self.weight * gradient + self.penalty * outside

    def __call__(self, x: Tensor) -> tuple[float, Tensor]:
        fidelity = self.problem.data_term
        value, gradient = self.prior(x)
        return float(value + fidelity.value(x).sum()), gradient + fidelity.gradient(x)

    @property
    def curvature(self) -> float:
        """A bound of that of λR_σ + (c/2) dist²: ‖W‖ is about 1 (`networks.energies.ridge`)."""
        sigma = torch.tensor([self.level])
        return self.weight * float(self.energy.potentials(sigma).steepest) + self.penalty


@dataclass(frozen=True)
class End:
    """Where a method came to: its picture, how many steps it took, and the seconds."""

    image: Tensor
    steps: int
    seconds: float


def accelerated(objective: Objective, target: float, *, proximal: bool) -> End:
    """FISTA's momentum with restarts, until ‖∇E‖ ≤ target or `LONGEST` steps are done."""
    fidelity = objective.problem.data_term
    curvature = objective.curvature + (0.0 if proximal else fidelity.lipschitz)
    x = z = objective.problem.first_guess()
    t, begin = 1.0, time.perf_counter()
    for step in range(1, LONGEST + 1):
        slope, pull = objective.prior(z)[1], fidelity.gradient(z)
        if float((slope + pull).norm()) <= target:
            return End(z, step - 1, time.perf_counter() - begin)
        if proximal:
            new = fidelity.prox(z - slope / curvature, 1 / curvature, start=z, tol=INNER)[0]
        else:
            new = z - (slope + pull) / curvature
        if float(((z - new) * (new - x)).sum()) > 0:
            t = 1.0
        larger = 0.5 * (1 + (1 + 4 * t * t) ** 0.5)
        z, x, t = new + (t - 1) / larger * (new - x), new, larger
    return End(x, LONGEST, time.perf_counter() - begin)


def ours(prior: Any, problem: Problem, tol: float) -> tuple[End, dict[str, float]]:
    """`reconstruct` as a caller has it, and the numbers that it ran with."""
    begin = time.perf_counter()
    found = reconstruct(
        problem.y,
        problem.A,
        prior,
        noise_level=problem.noise(),
        strength=1.0,
        stopping=Stopping(tol=tol, max_iter=LONGEST),
    )
    return End(found.image, found.iterations, time.perf_counter() - begin), found.parameters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="BSDS500; pictures of val")
    parser.add_argument("--model", default="ridge_colour")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--noise", type=float, default=7.65, help="σ·255")
    parser.add_argument("--tol", type=float, default=1e-4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    name = options.model if is_shipped(options.model) else str(APART / f"{options.model}.json")
    prior, denoiser = load(name), load_denoiser(name)
    if not isinstance(denoiser.function, RidgeNet):
        raise InputError(f"{options.model} is no ridge energy; give ridge_grey or ridge_colour")
    split, pictures = select(options.data, "val", 1, "deblur")
    channels = denoiser.channels or 1
    x = read(options.data, split, pictures[0][0], channels, options.size)
    sigma = options.noise / 255
    problem = deblurring(x, kernels.trajectory(25, 0), sigma, benchmark_noise(sigma, 0, 0))
    with torch.inference_mode():
        compare(prior, denoiser.function, problem, x, options)


def compare(prior: Any, energy: RidgeNet, problem: Problem, x: Tensor,
            options: argparse.Namespace) -> None:  # fmt: skip
    """Runs the methods in turns and prints the table."""
    first, numbers = ours(prior, problem, options.tol)
    weight = numbers.get("lambda", FACTOR)
    objective = Objective(
        problem,
        energy,
        numbers["denoiser_level"] if "lambda" in numbers else problem.noise(),
        weight,
        numbers.get("penalty", weight),
    )
    target = float(objective(first.image)[1].norm())
    runs = {
        "reconstruct": lambda: ours(prior, problem, options.tol)[0],
        "accelerated gradient": lambda: accelerated(objective, target, proximal=False),
        "accelerated proximal gradient": lambda: accelerated(objective, target, proximal=True),
    }
    ends: dict[str, list[End]] = {key: [] for key in runs}
    for round_number in range(options.rounds + 1):
        for key, run in runs.items():
            end = run()
            if round_number:  # the first round warms up
                ends[key].append(end)
    print(
        f"{options.model}, {options.size}², trajectory 0, σ·255 = {options.noise:g}, "
        f"{options.threads} thread(s), medians of {options.rounds}; λ {objective.weight:.4g}, "
        f"σ_R·255 {255 * objective.level:.3g}\n\n"
        "| method | steps | s | times ours | E | ‖∇E‖ | PSNR |\n|---|---|---|---|---|---|---|"
    )
    seconds = {key: statistics.median(end.seconds for end in found) for key, found in ends.items()}
    for key, found in ends.items():
        image = found[-1].image
        value, gradient = objective(image)
        print(
            f"| {key} | {found[-1].steps} | {seconds[key]:.2f} | "
            f"{seconds[key] / seconds['reconstruct']:.2f} | {value:.6g} | "
            f"{float(gradient.norm()):.2e} | {float(psnr(image, x)):.2f} |"
        )


if __name__ == "__main__":
    main()
