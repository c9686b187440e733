"""Draws docs/images/descent.png: how a descent on a strong energy ends, for a bundled picture.

    python -m scripts.figures.descent

A crop of coffee.png of the samples, blurred, with noise of σ = 7.65/255. Left, how far E lies above
its last value; right, ‖∇E‖, both after every step of the run, in float64.
"""

from __future__ import annotations

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from operators import Convolution, kernels
from pnp_recon import Stopping, reconstruct
from pnp_recon.files import shipped
from pnp_recon.models.load import load_energy
from pnp_recon.pictures.files import read_picture
from pnp_recon.problems.noise import standard_normal
from pnp_recon.solvers.core.solution import History
from pnp_recon.solvers.descent import solver
from scripts.protocol import IMAGES, save_figure

SIDE, BLUR, NOISE = 64, 1.6, 7.65 / 255
EVALUATIONS = 2
STOPPING = Stopping(tol=1e-6, max_iter=40)


def run() -> History:
    """The history of the run that is drawn."""
    solver.CANDIDATE = EVALUATIONS  # more points to draw than the run of a user has
    picture = read_picture(shipped("samples/coffee.png")).pixels[..., :SIDE, :SIDE]
    A = Convolution(kernels.gaussian(BLUR), picture.shape[1:], boundary="circular")
    energy = load_energy("energy_colour")
    y = A.A(picture) + NOISE * standard_normal(picture, 0)
    solution = reconstruct(y, A, energy, noise_level=NOISE, strength=1.0, stopping=STOPPING)
    print(solution.status.name, solution.certificate.verdict, solution.parameters)
    return solution.history


def draw(history: History) -> None:
    """The two curves over evaluations of E; steps of a search take about as many each."""
    steps = [EVALUATIONS * (k + 1) for k in range(history.iterations)]
    energies = [row[0] for row in history.energies]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.1), dpi=110)
    left.semilogy(steps[:-1], [e - energies[-1] for e in energies[:-1]], ".-", color="#1f4e79")
    left.set_ylabel("E(x_k) − E(x_last)")
    right.semilogy(steps, [row[0] for row in history.gradients], ".-", color="#1f4e79")
    right.set_ylabel("‖∇E(x_k)‖")
    for axes in (left, right):
        axes.set_xlabel("evaluations of E, about")
        axes.grid(alpha=0.25)
    figure.tight_layout()
    save_figure(figure, IMAGES / "descent.png")


def main() -> None:
    draw(run())


if __name__ == "__main__":
    main()
