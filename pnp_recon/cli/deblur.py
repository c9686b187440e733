"""`pnp-deblur`: deblurs photographs and says what is proven about the result.

Exit codes: 0 all went well; 2 bad input; 3 stopped before it converged (iteration or time limit,
Ctrl-C, divergence), the picture is written all the same; 4 a required certificate could not be
given, nothing is written; 130 Ctrl-C before there was anything to write. For several files it is
the worst of them, in the order 0, 3, 4, 2.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pnp_recon.cli.common import package_version, run_app
from pnp_recon.cli.deblur_batch import PROGRAM, run_batch
from pnp_recon.cli.deblur_plan import Options

HELP = """Deblur photographs, with a certificate: which theorem proves that the iteration \
converges, with which numbers, and what the run then showed.

pnp-deblur photo.jpg --kernel motion writes photo_deblurred.jpg. --kernel \
motion assumes a uniform, straight camera motion: the whole picture is blurred alike, along \
one line, at constant speed. Moving objects, camera rotation and defocus are something else. \
Without --length and --angle both are estimated from the picture and printed with a confidence.

Exit codes: 0 converged; 2 bad input; 3 stopped before it converged (limit or Ctrl-C), the picture \
is written; 4 a required certificate could not be given, nothing is written; 130 Ctrl-C before \
there was a picture. Several files: the worst of them, in the order 0, 3, 4, 2."""


class Boundary(StrEnum):
    valid = "valid"
    circular = "circular"
    replicate = "replicate"
    reflect = "reflect"
    constant = "constant"


class SolverName(StrEnum):
    auto = "auto"
    drs = "pnp-drs"
    hqs = "pnp-hqs"
    pgd = "pnp-pgd"


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(StrEnum):
    float32 = "float32"
    float64 = "float64"


# Plain help: typer's rich help imports a Markdown parser and a syntax highlighter, 0.3 s of them.
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {package_version()}")
        raise typer.Exit


@app.command(help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
def _command(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="Picture files, folders, or globs in quotes."),
    ],
    output: Annotated[str | None, typer.Option(
        "-o", "--output", metavar="OUT",
        help="File, or folder (for several pictures). Default: NAME_deblurred.EXT beside IN.",
    )] = None,
    kernel: Annotated[str, typer.Option(
        "--kernel", metavar="NAME|FILE",
        help="motion, trajectory, gaussian, disk, uniform, or a file "
        "(.png, .tif, .npy, .mat).",
    )] = "motion",
    length: Annotated[float | None, typer.Option(
        "--length",
        help="Motion: length in pixels. Gaussian: standard deviation (default 2). "
        "Disk: radius (default 4).",
    )] = None,
    angle: Annotated[float | None, typer.Option(
        "--angle",
        help="Motion: degrees, counter-clockwise, 0 is horizontal.",
    )] = None,
    kernel_size: Annotated[int | None, typer.Option(
        "--kernel-size", help="Side of the kernel, odd, in pixels.",
    )] = None,
    boundary: Annotated[Boundary, typer.Option(
        "--boundary",
        help="What lies beyond the border. valid: unknown, and restored with the picture; right "
        "for photographs, no ringing from the opposite side.",
    )] = Boundary.valid,
    linear_light: Annotated[bool, typer.Option(
        "--linear-light",
        help="Undo the sRGB curve first: a camera blurs light, not stored values.",
    )] = False,
    simulate: Annotated[bool, typer.Option(
        "--simulate",
        help="IN is clean: blur it and add noise first, then compare. With --boundary valid the "
        "result lacks the border that the simulated camera did not see. Motion without --length "
        "and --angle is 15 pixels at 30 degrees.",
    )] = False,
    seed: Annotated[int, typer.Option(
        "--seed", min=0, help="Of the random trajectory and of simulated noise.",
    )] = 0,
    sigma: Annotated[str | None, typer.Option(
        "--sigma", metavar="auto|S|S/255",
        help="Noise level, such as 0.03 or 7.65/255. Default: auto (estimated); 2.55/255 with "
        "--simulate.",
    )] = None,
    reference: Annotated[Path | None, typer.Option(
        "--reference", metavar="GT",
        help="The true picture (for several pictures: a folder with the same names).",
    )] = None,
    denoiser: Annotated[str, typer.Option(
        "--denoiser", metavar="NAME|PATH",
        help="A shipped model, a model file, or auto (by grey or colour).",
    )] = "auto",
    solver: Annotated[SolverName, typer.Option(
        "--solver", help="The iteration.",
    )] = SolverName.auto,
    strength: Annotated[str, typer.Option(
        "--strength", metavar="auto|F",
        help="Above 1 smoother, below 1 sharper.",
    )] = "auto",
    step: Annotated[float | None, typer.Option(
        "--step", help="Step size of pnp-pgd.",
    )] = None,
    max_iter: Annotated[int | None, typer.Option(
        "--max-iter", min=1, help="Iteration limit.",
    )] = None,
    tol: Annotated[float | None, typer.Option(
        "--tol", help="Stop at this relative residual (default 1e-5).",
    )] = None,
    time_limit: Annotated[float | None, typer.Option(
        "--time-limit", help="Stop after so many seconds.",
    )] = None,
    device: Annotated[Device, typer.Option("--device", help="Where to compute.")]
    = Device.auto,
    dtype: Annotated[Precision, typer.Option("--dtype", help="Precision.")]
    = Precision.float32,
    require_certificate: Annotated[bool, typer.Option(
        "--require-certificate",
        help="Write nothing and exit 4 unless convergence is proven and the run agrees.",
    )] = False,
    allow_uncertified: Annotated[bool, typer.Option(
        "--allow-uncertified",
        help="Run outside the proven range too, and say that there is no guarantee.",
    )] = False,
    report: Annotated[Path | None, typer.Option(
        "--report", metavar="DIR",
        help="Write report.html, report.json, residuals.csv and figure.png there.",
    )] = None,
    save_residuals: Annotated[Path | None, typer.Option(
        "--save-residuals", metavar="CSV", help="Write the residuals.",
    )] = None,
    overwrite: Annotated[bool, typer.Option(
        "--overwrite",
        help="Replace existing results. The input itself is never replaced.",
    )] = False,
    as_json: Annotated[bool, typer.Option(
        "--json",
        help="Print one JSON object (a list for a folder, a glob or several names) and nothing "
        "else.",
    )] = False,
    quiet: Annotated[bool, typer.Option(
        "--quiet", "-q", help="One line for each picture, no live line.",
    )] = False,
    verbose: Annotated[bool, typer.Option(
        "-v", "--verbose", help="More details, and tracebacks of errors.",
    )] = False,
    version: Annotated[bool, typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version.",
    )] = False,
) -> int:  # fmt: skip
    options = Options(
        inputs=tuple(inputs),
        output=None if output is None else Path(output),
        kernel=kernel,
        length=length,
        angle=angle,
        kernel_size=kernel_size,
        seed=seed,
        sigma=sigma,
        boundary=boundary.value,
        denoiser=denoiser,
        solver=solver.value,
        strength=strength,
        step=step,
        max_iter=max_iter,
        tol=tol,
        time_limit=time_limit,
        device=device.value,
        dtype=dtype.value,
        simulate=simulate,
        linear_light=linear_light,
        reference=reference,
        report=report,
        residuals=save_residuals,
        require_certificate=require_certificate,
        allow_uncertified=allow_uncertified,
        overwrite=overwrite,
        output_is_folder=output is not None and output.endswith("/"),
    )
    return run_batch(options, as_json=as_json, quiet=quiet, verbose=verbose)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_app(app, PROGRAM, argv)


if __name__ == "__main__":
    sys.exit(main())
