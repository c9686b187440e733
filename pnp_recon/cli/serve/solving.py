"""One run for the page: the command's own, with a preview before it and events along it.

Runs in the worker, in the job's folder. Loads torch.
"""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from pnp_recon.cli.run import text
from pnp_recon.cli.run.case import EARLIER_START, Case
from pnp_recon.cli.run.command import Command
from pnp_recon.cli.run.job import Result, run_job
from pnp_recon.cli.run.plan import Job, plan_jobs
from pnp_recon.cli.run.session import Session
from pnp_recon.cli.run.solve import choose_prior
from pnp_recon.cli.serve.looking import save
from pnp_recon.cli.serve.previewing import of_case, of_middle
from pnp_recon.cli.serve.telling import Tell, Telling
from pnp_recon.cli.serve.wording import for_the_page
from pnp_recon.cli.serve.wrongs import WRONGS, Wrong
from pnp_recon.errors import InputError
from pnp_recon.files import atomic_write
from pnp_recon.priors.energies.base import LearnedEnergy

OUT = Path("out")
BEFORE, AFTER, KERNEL, REPORT = "before.png", "after.png", "kernel.png", "report"
# What is downloaded: the command's own file is replaced long before its report is there.
RESULT = "result"
LAST = OUT / "last.pt"
# A level below that of every noise: a good start is kept, and no continuation leads away from it.
NO_CONTINUATION = 1e-4


class Solver:
    """Runs requests; keeps priors, and of the last job the case and the solution.

    Args:
        most: pixels that a result may have.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.priors: dict[str, Any] = {}
        self.last: tuple[str, Case] | None = None

    def solve(self, request: dict[str, Any], tell: Tell) -> dict[str, Any]:
        """What the page shows of the result.

        Args:
            request: `name`, the upload; `wrong`, `numbers` and `files` as in `Wrong.chosen`;
                `strength`, or None for that of the data; `warm`: begin at the result of before.

        Raises:
            PnPReconError, OperatorError: as the command.
        """
        wrong = WRONGS[request["wrong"]]
        command: Command[Any] = wrong.load()
        chosen = wrong.chosen(request["numbers"], request["files"])
        strength = request["strength"]
        options = command.options(
            inputs=[request["name"]],
            report=OUT / REPORT,
            overwrite=True,
            strength="auto" if strength is None else repr(float(strength)),
            **chosen,
        )
        options.check()
        # The result lies beside the upload: reports name it as whoever downloads both has it.
        (job,) = plan_jobs(command.names, options)
        session = Session(options, priors=self.priors)
        key, warm = self._key(request), bool(request["warm"])
        known = self.last[1] if warm and self.last is not None and self.last[0] == key else None
        self.last = None
        if known is None and not warm and wrong.quick and not wrong.scans:
            of_middle(command, options, self.priors, tell)

        def prepare(job: Job, session: Session[Any]) -> Case:
            case = command.prepare(job, session) if known is None else known
            self._check(case)
            tell("facts", **facts(case))
            if not options.levelled:  # else it is made for its strength
                self.last = key, case
            if not warm:
                of_case(case, session, tell)
            return begun_at_last(case, session) if warm else case

        live = Telling(tell)
        result = run_job(replace(command, prepare=prepare), job, session, live, live.write)
        return finished(result, wrong)

    def _check(self, case: Case) -> None:
        pixels = math.prod(case.degraded.shape[-2:])
        if pixels > self.most:
            raise InputError(
                f"the result would have {pixels / 10**6:.3g} million pixels; at most "
                f"{self.most / 10**6:g} are computed here, make the picture smaller"
            )

    @staticmethod
    def _key(request: dict[str, Any]) -> str:
        return repr([request[name] for name in ("folder", "wrong", "numbers", "files")])


def begun_at_last(case: Case, session: Session[Any]) -> Case:
    """The case with the last result as its start, where there is one of its shape."""
    if not LAST.exists():
        return case
    start = torch.load(LAST, weights_only=True)
    if case.parts or start.shape[1:] != torch.Size(case.A.image_shape):
        return case
    given: dict[str, Any] = {"start": start.to(case.y)}
    if isinstance(choose_prior(case, session), LearnedEnergy):
        given["continuation"] = NO_CONTINUATION
    warnings = (*case.warnings, EARLIER_START)
    return replace(case, arguments={**case.arguments, **given}, warnings=warnings)


def facts(case: Case) -> dict[str, Any]:
    """The blur and the noise, in words."""
    kernel = case.kernel
    words = next((line for line in case.lines if line.startswith("blur: ")), None)
    if kernel is not None:
        weights = kernel.weights.float()
        weights = weights if weights.ndim == 2 else weights.flatten(0, -3).mean(0)
        save((weights / weights.max())[None, None], OUT / KERNEL)
    others = [line for line in case.lines if line != words]
    return {
        "kernel": None if kernel is None else {"words": words, "confidence": kernel.confidence},
        "noise": case.noise_in_words,
        "lines": others,
    }


def finished(result: Result, wrong: Wrong) -> dict[str, Any]:
    """Writes what the page shows, each file whole or not at all: to cancel is to be killed here.

    Returns the rest.
    """
    run, solution = result.run, result.run.solution
    atomic_write(LAST, partial(torch.save, solution.image.detach().cpu()))
    size = save(run.degraded, OUT / BEFORE)
    save(run.restored, OUT / AFTER)
    atomic_write(OUT / RESULT, result.job.target.read_bytes())
    archive = shutil.make_archive(str(OUT / f"{REPORT}.new"), "zip", OUT / REPORT)
    os.replace(archive, OUT / f"{REPORT}.zip")
    strength, certificate = solution.strength, solution.certificate
    return {
        "result": {
            "file": result.job.target.name,
            "size": size,
            "verdict": certificate.verdict,
            "label": certificate.label,
            "holds": certificate.holds,
            "details": certificate.lines()[1:],
            "ended": for_the_page(text.ending(solution), wrong),
            "steps": text.steps(solution),
            "seconds": run.timings["total"],
            "strength": None if strength is None else strength.value,
            "strength_words": None if strength is None else strength.words,
            "warnings": [for_the_page(words, wrong) for words in text.warnings(result)],
            "adjustable": not wrong.scans and solution.strength is not None,
        }
    }
