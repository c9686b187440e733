"""The flags that reconstruction commands share: what they are called and what they mean.

A flag that a command explains in its own words is made by a function here, of these words. Imports
no torch.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnp_recon.cli.shell import Device
from pnp_recon.priors.catalogue import CLASSICAL
from pnp_recon.solvers.catalogue import ACCELERATIONS, SOLVERS, solvers_with


class Method(StrEnum):
    pnp = "pnp"
    tv = "tv"


# The choices come from the catalogue, which type checkers do not run.
if TYPE_CHECKING:

    class SolverName(StrEnum):
        auto = "auto"

    class Acceleration(StrEnum):
        auto = "auto"
else:
    SolverName = SOLVERS.enum("SolverName", "auto")
    Acceleration = ACCELERATIONS.enum("Acceleration", "auto", "none")


class Precision(StrEnum):
    float32 = "float32"
    float64 = "float64"


def output_option(default: str) -> Any:
    """--output, where `default` says how the result is called without it."""
    return typer.Option(
        "-o", "--output", metavar="OUT",
    help="Write into this file, or for several inputs into this folder. The default is "
        f"{default} beside IN.",
    )  # fmt: skip


def simulate_option(words: str) -> Any:
    """--simulate, in the words of a command."""
    return typer.Option("--simulate", help=words)


def sigma_option(words: str, metavar: str = "auto|S|S/255") -> Any:
    """--sigma, in the words of a command; `metavar` says which numbers it takes."""
    return typer.Option("--sigma", metavar=metavar, help=words)


def reference_option(words: str) -> Any:
    """--reference, in the words of a command."""
    return typer.Option("--reference", metavar="GT", help=words)


Inputs = Annotated[list[str], typer.Argument(
    metavar="IN...",
    help="Give picture files (FILE[3] for one of several in it), folders, or globs in quotes.",
)]  # fmt: skip
# Of files that hold several arrays, and of results that are no pictures.
Key = Annotated[str | None, typer.Option(
    "--key", help="The array has this name, in a file that holds several.",
)]  # fmt: skip


def no_picture_option(results: str) -> Any:
    """--no-picture, where `results` are the files that have one beside them."""
    return typer.Option("--no-picture", help=f"Write no .png beside a {results}.")


Simulate = Annotated[
    bool, simulate_option("IN is clean. Degrade it first, then restore it and compare.")
]
Seed = Annotated[int, typer.Option(
    "--seed", min=0, help="Draw all random numbers from this seed.",
)]  # fmt: skip
Sigma = Annotated[str | None, sigma_option(
    "The noise has this standard deviation, such as 0.03 or 7.65/255. By default it is "
    "estimated (auto).",
)]  # fmt: skip
Reference = Annotated[Path | None, reference_option(
    "Compare the result with this true picture. For several pictures give a folder with the "
    "same names.",
)]  # fmt: skip
MethodOption = Annotated[Method, typer.Option(
    "--method", help="The prior is learned (pnp) or total variation (tv).",
)]  # fmt: skip
DenoiserOption = Annotated[str, typer.Option(
    "--denoiser", metavar="NAME|PATH",
    help="The denoiser or energy is a shipped model, a model file or a classical denoiser "
    f"({', '.join(CLASSICAL)}); auto takes the shipped one that gives the best picture.",
)]  # fmt: skip
ModelOption = Annotated[str | None, typer.Option(
    "--model", metavar="NAME|PATH",
    help="Reconstruct with a trained network instead of solver and denoiser. Nothing is proven "
    "about it. pnp-recon list shows what each network is for.",
)]  # fmt: skip
Solver = Annotated[SolverName, typer.Option(
    "--solver", metavar="NAME",
    help=f"Run this iteration: {', '.join(SolverName)}; auto takes the one that fits the prior.",
)]  # fmt: skip
AccelerationOption = Annotated[Acceleration, typer.Option(
    "--acceleration",
    help="Accelerate the iteration. A safeguard keeps the guarantee. auto takes Anderson's "
    "acceleration for denoisers.",
)]  # fmt: skip
Strength = Annotated[str, typer.Option(
    "--strength", metavar="auto|F",
    help="Above 1 the result is smoother, below 1 it is sharper; 1 is a rule of the noise level "
    "alone. auto finds the strength by a few trials on the data.",
)]  # fmt: skip
Weight = Annotated[str, typer.Option(
    "--weight", metavar="auto|F",
    help="Total variation has this weight; auto takes one that fits the noise, times --strength.",
)]  # fmt: skip
StepSize = Annotated[float | None, typer.Option(
    "--step",
    help=f"Take steps of this size. These solvers have one: {', '.join(solvers_with('step'))}.",
)]  # fmt: skip
Ridge = Annotated[str | None, typer.Option(
    "--ridge", metavar="F",
    help="Pull the picture towards mid-grey as well, with this weight, such as 0.001, of half the "
    "squared distance from it. With a certified denoiser or total variation there is then one "
    "solution, and a proven error bar.",
)]  # fmt: skip
MaxIter = Annotated[
    int | None, typer.Option("--max-iter", min=1, help="Stop after so many iterations.")
]
Tolerance = Annotated[float | None, typer.Option(
    "--tol", help="Stop when the relative residual is this small. The default is 1e-4.",
)]  # fmt: skip
TimeLimit = Annotated[float | None, typer.Option(
    "--time-limit", help="Stop after so many seconds.",
)]  # fmt: skip
DeviceOption = Annotated[
    Device,
    typer.Option("--device", help="Compute on this device; auto takes a GPU if there is one."),
]
PrecisionOption = Annotated[Precision, typer.Option("--dtype", help="Compute in this precision.")]
RequireCertificate = Annotated[bool, typer.Option(
    "--require-certificate",
    help="Write nothing and end with exit code 4, unless convergence is proven and the run agrees "
    "with the proof.",
)]  # fmt: skip
AllowUncertified = Annotated[bool, typer.Option(
    "--allow-uncertified",
    help="Run outside the proven range as well, and say that there is no guarantee.",
)]  # fmt: skip
Report = Annotated[Path | None, typer.Option(
    "--report", metavar="DIR",
    help="Write report.html, report.json, residuals.csv and figure.png into this folder.",
)]  # fmt: skip
SaveResiduals = Annotated[Path | None, typer.Option(
    "--save-residuals", metavar="CSV", help="Write the residuals of all iterations into this file.",
)]  # fmt: skip
Overwrite = Annotated[bool, typer.Option(
    "--overwrite", help="Replace existing results. The input itself is never replaced.",
)]  # fmt: skip
AsJson = Annotated[bool, typer.Option(
    "--json",
    help="Print nothing but one JSON object; for a folder, a glob or several names, print a list "
    "of them.",
)]  # fmt: skip
Quiet = Annotated[bool, typer.Option(
    "--quiet", "-q", help="Print one line for each picture, and no live line.",
)]  # fmt: skip
Timings = Annotated[bool, typer.Option(
    "--timings", help="Print where the time went.",
)]  # fmt: skip
Verbose = Annotated[bool, typer.Option(
    "-v", "--verbose", help="Print more details, and the tracebacks of errors.",
)]  # fmt: skip
