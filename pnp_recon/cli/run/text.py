"""What a command says about a finished or failed input: lines, one line, or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnp_recon.cli.shell import NOT_CONVERGED, OK

if TYPE_CHECKING:
    from pnp_recon.cli.run.job import Result
    from pnp_recon.report import Run
    from pnp_recon.solvers import Solution


def exit_code(result: Result) -> int:
    """0 where the iteration converged, otherwise 3: the picture is written, but not final."""
    return OK if result.run.solution.status.succeeded else NOT_CONVERGED


def lines(result: Result, verbose: bool, told: bool = False) -> list[str]:
    """The block about a finished picture; `told`: the strength is not the solver's."""
    run, job = result.run, result.job
    solution = run.solution
    counted = f"{steps(solution)}, residual {_residual(run):.2e}, "
    counted = counted if solution.iterations else ""
    out = [f"ended: {ending(solution)}; {counted}{run.timings['total']:.1f} s"]
    if run.before is not None and run.after is not None:
        out.append(
            f"quality: PSNR {run.before.psnr:.2f} -> {run.after.psnr:.2f} dB, SSIM "
            f"{run.before.ssim:.3f} -> {run.after.ssim:.3f}"
        )
    out.append("certificate:")
    out += [f"  {line}" for line in solution.certificate.lines()]
    if solution.strength is not None and not told:
        out.insert(0, f"strength: {solution.strength.words}")
    if verbose:
        out += _details(run)
    out += [f"wrote: {path}" for path in (job.target, *result.wrote)]
    if job.residuals is not None:
        out.append(f"wrote: {job.residuals}")
    if job.report is not None:
        beside = "report.json, residuals.csv, figure.png beside it"
        out.append(f"wrote: {job.report / 'report.html'} and {beside}")
    return out


def summary(result: Result) -> str:
    """One line about a finished picture."""
    run, status = result.run, result.run.solution.status
    quality = ""
    if run.before is not None and run.after is not None:
        quality = f", PSNR {run.before.psnr:.2f} -> {run.after.psnr:.2f} dB"
    verdict = run.solution.certificate.label
    return (
        f"{result.job.source} -> {result.job.target}: {status.name.lower().replace('_', ' ')} "
        f"after {steps(run.solution)}{quality}; {verdict}"
    )


def ending(solution: Solution) -> str:
    """How it ended, without the advice to go on where more iterations can be worse."""
    from pnp_recon.solvers.core.unsettled import unsettled  # loads torch

    words = solution.status.value
    return words.partition(";")[0] if unsettled(solution) else words


def steps(solution: Solution) -> str:
    """How many iterations there were, and steps before them that made their start."""
    count, before = solution.iterations, int(solution.parameters.get("continued", 0))
    made = "1 iteration" if count == 1 else f"{count} iterations"
    return f"{made} from a start of {before} steps" if before else made


def warnings(result: Result) -> list[str]:
    """What must not be overlooked, whatever else is printed."""
    from pnp_recon.solvers import Status  # loads torch

    out = list(result.notes)
    solution = result.run.solution
    if solution.certificate.contradicted:
        out.append(f"{solution.certificate.verdict}; do not rely on {result.job.target}")
    elif not solution.certificate.holds and solution.status is not Status.DIRECT:
        out.append(f"{result.job.source}: {solution.certificate.verdict}")
    if not solution.status.succeeded:
        out.append(f"{result.job.source}: {ending(solution)}")
    return out


def as_json(result: Result) -> dict[str, Any]:
    """A finished picture as plain JSON values."""
    from pnp_recon.report import plain_json, strength_block

    run, job = result.run, result.job
    solution, kernel, physics = run.solution, run.kernel, run.physics
    quality = {
        when: None if value is None else {"psnr": value.psnr, "ssim": value.ssim}
        for when, value in (("before", run.before), ("after", run.after))
    }
    plain: dict[str, Any] = plain_json(
        {
            "input": job.source,
            "output": job.target,
            "error": None,
            "exit_code": exit_code(result),
            "status": solution.status,
            "iterations": solution.iterations,
            "residual": _residual(run),
            "seconds": run.timings["total"],
            "noise_level": run.noise_level,
            "noise_origin": run.noise_origin,
            "kernel": None
            if kernel is None
            else {
                "name": kernel.name,
                "origin": kernel.origin,
                "parameters": kernel.parameters,
                "confidence": kernel.confidence,
                "given": kernel.given,
            },
            "physics": None
            if physics is None
            else {"name": physics.name, "parameters": physics.parameters},
            "operator": run.operator.name,
            "boundary": run.boundary,
            "denoiser": run.denoiser.name,
            "prior_kind": run.prior_kind,
            "method": run.options.get("method"),
            "solver": solution.solver,
            "parameters": solution.parameters,
            "strength": strength_block(solution.strength),
            "certificate": solution.certificate.to_dict(),
            "metrics": quality,
            "notes": result.notes,
            "report": job.report,
            "residuals": job.residuals,
        }
    )
    return plain


def error_json(source: Path | None, message: str, code: int) -> dict[str, Any]:
    """A picture that failed."""
    name = None if source is None else str(source)
    return {"input": name, "output": None, "error": message, "exit_code": code}


def _residual(run: Run) -> float:
    history = run.solution.history
    return max(history.relative(-1)) if history.iterations else float("nan")


def _details(run: Run) -> list[str]:
    import torch

    numbers = ", ".join(f"{key} {value:.6g}" for key, value in run.solution.parameters.items())
    times = ", ".join(f"{key} {value:.2f}" for key, value in run.timings.items())
    return [
        f"solver: {run.solution.solver} ({numbers})",
        f"{run.prior_kind}: {run.denoiser.name}, SHA-256 {run.denoiser.sha256 or 'none'}",
        f"operator: {run.operator.name}, {run.operator.image_shape} -> "
        f"{run.operator.measurement_shape}",
        f"device: {run.device}, {run.dtype}, {torch.get_num_threads()} threads",
        f"seconds: {times}",
    ]
