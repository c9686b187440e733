"""`pnp-deblur`: deblurs photographs and says what is proven about the result.

Exit codes: 0 all went well; 2 bad input; 3 stopped before it converged (iteration or time limit,
Ctrl-C, divergence), the picture is written all the same; 4 a required certificate could not be
given, nothing is written; 130 Ctrl-C before there was anything to write. For several files it is
the worst of them, in the order 0, 3, 4, 2.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pnp_recon.cli import deblur_text
from pnp_recon.cli.common import (
    BAD_INPUT,
    DEFECT,
    INTERRUPTED,
    NO_CERTIFICATE,
    NOT_CONVERGED,
    OK,
    describe,
    exit_code_of,
    package_version,
    print_error,
    report_error,
    run_app,
)
from pnp_recon.cli.deblur_plan import Job, Options, is_batch, plan_jobs
from pnp_recon.cli.live import LiveLine
from pnp_recon.errors import PnPReconError

PROGRAM = "pnp-deblur"
_SEVERITY = (OK, NOT_CONVERGED, NO_CERTIFICATE, BAD_INPUT, DEFECT, INTERRUPTED)

HELP = """Deblur photographs, with a certificate: which theorem proves that the iteration
converges, with which numbers, and what the run then showed.

[bold]pnp-deblur photo.jpg --kernel motion[/bold] writes photo_deblurred.jpg. `--kernel motion`
assumes a uniform, straight camera motion: the whole picture is blurred alike, along one line, at
constant speed. Moving objects, camera rotation and defocus are something else. Without --length
and --angle both are estimated from the picture and printed with a confidence.

Exit codes: 0 converged; 2 bad input; 3 stopped before it converged (limit or Ctrl-C), the picture
is written; 4 a required certificate could not be given, nothing is written; 130 Ctrl-C before
there was a picture. Several files: the worst of them."""


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


app = typer.Typer(add_completion=False, rich_markup_mode="rich")
_BLUR, _NOISE, _METHOD, _RESULT = "Blur", "Noise and reference", "Method", "Results"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {package_version()}")
        raise typer.Exit


def _option(*names: str, help: str, panel: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


@app.command(help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
def _command(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="Picture files, folders, or globs in quotes."),
    ],
    output: Annotated[str | None, _option(
        "-o", "--output", metavar="OUT", panel=_RESULT,
        help="File, or folder (for several pictures). Default: NAME_deblurred.EXT beside IN.",
    )] = None,
    kernel: Annotated[str, _option(
        "--kernel", metavar="NAME|FILE", panel=_BLUR,
        help="motion, trajectory, gaussian, disk, uniform, or a file "
        "(.png, .tif, .npy, .mat).",
    )] = "motion",
    length: Annotated[float | None, _option(
        "--length", panel=_BLUR,
        help="Motion: length in pixels. Gaussian: standard deviation (default 2). "
        "Disk: radius (default 4).",
    )] = None,
    angle: Annotated[float | None, _option(
        "--angle", panel=_BLUR,
        help="Motion: degrees, counter-clockwise, 0 is horizontal.",
    )] = None,
    kernel_size: Annotated[int | None, _option(
        "--kernel-size", panel=_BLUR, help="Side of the kernel, odd, in pixels.",
    )] = None,
    boundary: Annotated[Boundary, _option(
        "--boundary", panel=_BLUR,
        help="What lies beyond the border. valid: unknown, and restored with the picture; right "
        "for photographs, no ringing from the opposite side.",
    )] = Boundary.valid,
    linear_light: Annotated[bool, _option(
        "--linear-light", panel=_BLUR,
        help="Undo the sRGB curve first: a camera blurs light, not stored values.",
    )] = False,
    simulate: Annotated[bool, _option(
        "--simulate", panel=_BLUR,
        help="IN is clean: blur it and add noise first, then compare. With --boundary valid the "
        "result lacks the border that the simulated camera did not see. Motion without --length "
        "and --angle is 15 pixels at 30 degrees.",
    )] = False,
    seed: Annotated[int, _option(
        "--seed", min=0, panel=_BLUR, help="Of the random trajectory and of simulated noise.",
    )] = 0,
    sigma: Annotated[str | None, _option(
        "--sigma", metavar="auto|S|S/255", panel=_NOISE,
        help="Noise level, such as 0.03 or 7.65/255. Default: auto (estimated); 2.55/255 with "
        "--simulate.",
    )] = None,
    reference: Annotated[Path | None, _option(
        "--reference", metavar="GT", panel=_NOISE,
        help="The true picture (for several pictures: a folder with the same names).",
    )] = None,
    denoiser: Annotated[str, _option(
        "--denoiser", metavar="NAME|PATH", panel=_METHOD,
        help="A shipped model, a model file, or auto (by grey or colour).",
    )] = "auto",
    solver: Annotated[SolverName, _option(
        "--solver", panel=_METHOD, help="The iteration.",
    )] = SolverName.auto,
    strength: Annotated[str, _option(
        "--strength", metavar="auto|F", panel=_METHOD,
        help="Above 1 smoother, below 1 sharper.",
    )] = "auto",
    step: Annotated[float | None, _option(
        "--step", panel=_METHOD, help="Step size of pnp-pgd.",
    )] = None,
    max_iter: Annotated[int | None, _option(
        "--max-iter", min=1, panel=_METHOD, help="Iteration limit.",
    )] = None,
    tol: Annotated[float | None, _option(
        "--tol", panel=_METHOD, help="Stop at this relative residual (default 1e-5).",
    )] = None,
    time_limit: Annotated[float | None, _option(
        "--time-limit", panel=_METHOD, help="Stop after so many seconds.",
    )] = None,
    device: Annotated[Device, _option("--device", panel=_METHOD, help="Where to compute.")]
    = Device.auto,
    dtype: Annotated[Precision, _option("--dtype", panel=_METHOD, help="Precision.")]
    = Precision.float32,
    require_certificate: Annotated[bool, _option(
        "--require-certificate", panel=_METHOD,
        help="Write nothing and exit 4 unless convergence is proven and the run agrees.",
    )] = False,
    allow_uncertified: Annotated[bool, _option(
        "--allow-uncertified", panel=_METHOD,
        help="Run outside the proven range too, and say that there is no guarantee.",
    )] = False,
    report: Annotated[Path | None, _option(
        "--report", metavar="DIR", panel=_RESULT,
        help="Write report.html, report.json, residuals.csv and figure.png there.",
    )] = None,
    save_residuals: Annotated[Path | None, _option(
        "--save-residuals", metavar="CSV", panel=_RESULT, help="Write the residuals.",
    )] = None,
    overwrite: Annotated[bool, _option(
        "--overwrite", panel=_RESULT,
        help="Replace existing results. The input itself is never replaced.",
    )] = False,
    as_json: Annotated[bool, _option(
        "--json", panel=_RESULT,
        help="Print one JSON object (a list for a folder, a glob or several names) and nothing "
        "else.",
    )] = False,
    quiet: Annotated[bool, _option(
        "--quiet", "-q", panel=_RESULT, help="One line for each picture, no live line.",
    )] = False,
    verbose: Annotated[bool, _option(
        "-v", "--verbose", panel=_RESULT, help="More details, and tracebacks of errors.",
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
    return run(options, as_json=as_json, quiet=quiet, verbose=verbose)


def run(options: Options, *, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> int:
    """Every picture in turn; one that fails is reported and the others go on.

    Returns:
        the worst exit code.
    """
    records: list[dict[str, Any]] = []
    jobs: list[Job] = []
    code = OK
    try:
        options.check()
        jobs = plan_jobs(options)
        code = _run_jobs(jobs, options, records, as_json, quiet, verbose)
    except PnPReconError as error:
        if not as_json:
            raise
        records.append(deblur_text.error_json(None, describe(error), exit_code_of(error)))
        code = report_error(PROGRAM, error, with_traceback=verbose)
    if as_json:
        single = not is_batch(options) and len(records) == 1
        print(json.dumps(records[0] if single else records, indent=1, ensure_ascii=False))
    return code


def _run_jobs(
    jobs: list[Job],
    options: Options,
    records: list[dict[str, Any]],
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    from pnp_recon.cli.deblur_job import Session, deblur  # loads torch
    from pnp_recon.solvers import Status

    session = Session(options)
    codes: list[int] = []
    with LiveLine(len(jobs), enabled=not (quiet or as_json)) as live:

        def say(line: str) -> None:
            if not (quiet or as_json):
                live.write(line)

        for index, job in enumerate(jobs):
            live.file(job.source.name)
            if len(jobs) > 1:
                say(f"{job.source}")
            try:
                result = deblur(job, session, live, say)
            except KeyboardInterrupt:
                message = (
                    f"interrupted: nothing was written for {job.source}; {index} of {len(jobs)} "
                    "done"
                )
                print_error(PROGRAM, message)
                records.append(deblur_text.error_json(job.source, message, INTERRUPTED))
                return INTERRUPTED
            except Exception as error:
                live.pause()
                codes.append(_failed(job, error, records, verbose))
                live.resume()
            else:
                records.append(deblur_text.as_json(result))
                codes.append(deblur_text.exit_code(result))
                for line in deblur_text.warnings(result):
                    live.write(f"{PROGRAM}: warning: {line}", error=True)
                for line in deblur_text.lines(result, verbose):
                    say(line)
                if quiet and not as_json:
                    live.write(deblur_text.summary(result))
                if result.run.solution.status is Status.INTERRUPTED:
                    left = len(jobs) - index - 1
                    if left:
                        live.write(f"{PROGRAM}: warning: {left} files were not begun", error=True)
                    break
            live.done()
    return max(codes, key=_SEVERITY.index)


def _failed(job: Job, error: Exception, records: list[dict[str, Any]], verbose: bool) -> int:
    """One picture failed: its line says which, the others go on."""
    text = describe(error)
    subject = "" if str(job.source) in text else f"{job.source}: "
    code = report_error(PROGRAM, error, subject=subject, with_traceback=verbose)
    records.append(deblur_text.error_json(job.source, subject + text, code))
    return code


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_app(app, PROGRAM, argv)


if __name__ == "__main__":
    sys.exit(main())
