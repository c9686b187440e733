"""python -m scripts.figures.flows: pictures of flows and maps, for docs/flows.md.

Phase portraits; eigenvalues that prove nothing; a 1-Lipschitz flow and its Euler maps; why naive
inversion blows up; two proximal maps.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import numpy as np
import torch
import typer

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from operators import Convolution, kernels
from pnp_recon.files import shipped
from pnp_recon.networks.flows.bounds import markus_yamabe
from pnp_recon.networks.flows.fields import GradientField
from pnp_recon.networks.flows.registry import integrator
from pnp_recon.pictures.colour import to_grey
from pnp_recon.pictures.files import read_picture
from pnp_recon.problems.noise import standard_normal
from scripts.protocol import IMAGES, save_figure

BLUE, RED, GREY = "#1f6fb4", "#d9541e", "#888888"
PORTRAITS = {
    "expanding, λ = 2": [[2.0, -2.0], [0.0, 2.0]],
    "contracting, λ = −2": [[-2.0, 0.0], [2.0, -2.0]],
    "turning, λ = ±i": [[0.0, -1.0], [1.0, 0.0]],
}


def portraits(path: Path) -> None:
    """Solutions of ẋ = Ax for a growing, a decaying and a turning matrix."""
    figure, grid = plt.subplots(1, 3, figsize=(9, 3.1))
    side = np.linspace(-2, 2, 25)
    x, y = np.meshgrid(side, side)
    for axes, (name, matrix) in zip(grid, PORTRAITS.items(), strict=True):
        (a, b), (c, d) = matrix
        axes.streamplot(x, y, a * x + b * y, c * x + d * y, color=BLUE, linewidth=0.8, density=0.9)
        axes.set_title(name, fontsize=10)
        square(axes, 2)
    save_figure(figure, path)


def eigenvalues(path: Path) -> None:
    """Markus & Yamabe: real parts of −¼ at every time, and a solution that grows by e^{t/2}."""
    times, states = np.linspace(0, 8, 801), [torch.tensor([-1.0, 0.0]).double()]
    method = integrator("rk4")
    for t in times[:-1]:
        # Frozen over a short step, which is enough for a picture.
        a = markus_yamabe(float(t) + 0.005)
        states.append(method.step(lambda z, a=a: z @ a.T, states[-1], 0.01))  # type: ignore[misc]
    norms = torch.stack(states).norm(dim=1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.1))
    real = [float(torch.linalg.eigvals(markus_yamabe(float(t))).real.max()) for t in times]
    left.plot(times, real, color=BLUE)
    left.axhline(0, color=GREY, linewidth=0.8)
    left.set(xlabel="time", title="largest real part of the eigenvalues", ylim=(-0.5, 0.25))
    right.semilogy(times, norms, color=RED, label="solution")
    right.semilogy(times, np.exp(times / 2), "--", color=GREY, label="exp(t/2)")
    right.set(xlabel="time", title="length of a solution")
    right.legend(frameon=False)
    save_figure(figure, path)


def euler_maps(path: Path) -> None:
    """A circle of points under the flow of −WᵀReLU(Wx), ‖W‖ = 1, and under single Euler steps."""
    field = GradientField(2, 2, "relu").double()
    with torch.no_grad():
        field.weight.copy_(0.5 * math.sqrt(2) * torch.tensor([[1.0, -1.0], [1.0, 1.0]]))
    angle = torch.linspace(0, 2 * math.pi, 400).double()
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    figure, grid = plt.subplots(1, 4, figsize=(11, 3.1))
    with torch.no_grad():
        shown = {"flow, time 2": _flow(field, circle, 2.0)}
        for tau in (1.0, 2.0, 2.2):
            shown[f"Euler, τ = {tau:g}"] = integrator("euler").step(field, circle, tau)
    for axes, (name, moved) in zip(grid, shown.items(), strict=True):
        axes.plot(circle[:, 0], circle[:, 1], color=GREY, linewidth=0.8)
        axes.plot(moved[:, 0], moved[:, 1], color=RED if "2.2" in name else BLUE)
        ratio = float((moved[1:] - moved[:-1]).norm(dim=1).max() / (2 * math.pi / 399))
        axes.set_title(f"{name}\nlargest stretch {ratio:.2f}", fontsize=10)
        square(axes, 1.35)
    save_figure(figure, path)


def _flow(field: GradientField, x: Tensor, time: float) -> Tensor:
    for _ in range(400):
        x = integrator("rk4").step(field, x, time / 400)
    return x


def inversion(path: Path, picture: Tensor) -> None:
    """A blurred picture divided by its transfer function, without noise and with a little of it."""
    kernel = kernels.gaussian(1.6, dtype=torch.float64)
    picture = picture.double()
    A = Convolution(kernel, picture.shape[1:], boundary="circular").to(dtype=torch.float64)
    clean = A.A(picture)
    noisy = clean + standard_normal(picture, 0) / 255
    response = torch.fft.rfft2(clean) / torch.fft.rfft2(picture)

    def divide(y: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(y.double()) / response, s=y.shape[-2:])

    shown = {
        "blurred, σ·255 = 1": noisy,
        "divided, without noise": divide(clean),
        "divided, σ·255 = 1": divide(noisy),
    }
    figure, grid = plt.subplots(1, 3, figsize=(8.4, 3.1))
    for axes, (name, values) in zip(grid, shown.items(), strict=True):
        axes.imshow(values[0, 0].clamp(0, 1), cmap="gray", vmin=0, vmax=1)
        axes.set_title(name, fontsize=10)
        axes.set_axis_off()
    save_figure(figure, path)


def proximal_maps(path: Path) -> None:
    """The proximal maps of ½x² (ridge) and of |x|: shrinking, and shrinking to zero."""
    x = np.linspace(-3, 3, 601)
    figure, axes = plt.subplots(figsize=(3.6, 3.4))
    axes.plot(x, x, ":", color=GREY, label="identity")
    axes.plot(x, x / 2, color=BLUE, label="of ½x² (ridge)")
    axes.plot(x, np.sign(x) * np.maximum(np.abs(x) - 1, 0), color=RED, label="of |x| (ℓ1)")
    axes.set(aspect="equal", xlabel="x", ylabel="prox(x)")
    axes.legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def square(axes: Axes, reach: float) -> None:
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")


def main(
    images: Annotated[Path, typer.Option(help="The figures are written here.")] = IMAGES,
) -> None:
    """Writes the five figures."""
    picture = to_grey(read_picture(shipped("samples/camera.png")).pixels)
    portraits(images / "flows_portraits.png")
    eigenvalues(images / "flows_eigenvalues.png")
    euler_maps(images / "flows_euler_maps.png")
    inversion(images / "flows_inversion.png", picture[..., 64:320, 128:384])
    proximal_maps(images / "flows_proximal_maps.png")


if __name__ == "__main__":
    typer.run(main)
