"""`pnp-inpaint`: fills in missing pixels and says what is proven about the result.

Exit codes as in `pnp-deblur`: 0, 2, 3, 4 and 130.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnp_recon.cli.app import make_app
from pnp_recon.cli.inpaint.options import InpaintOptions
from pnp_recon.cli.run.batch import run_batch
from pnp_recon.cli.run.command import Command
from pnp_recon.cli.run.plan import Job, Names
from pnp_recon.cli.shell import run_app

if TYPE_CHECKING:
    from pnp_recon.cli.run.case import Case
    from pnp_recon.cli.run.session import Session

HELP = """Fill in missing pixels. A certificate says which theorem proves that the iteration \
converges, with which numbers, and what the run then showed.

pnp-inpaint photo.png --mask mask.png writes photo_inpainted.png. The mask has the picture's size; \
white is known, black is missing, nothing else may occur. What the picture holds at missing pixels \
is never read. Known pixels are taken to be right (--sigma 0) and stay close to what they were; \
for a noisy picture give --sigma, and they are denoised as well.

Exit codes: 0 the iteration converged; 2 the input is bad; 3 the iteration stopped before it \
converged (limit or Ctrl-C), the picture is written; 4 a required certificate could not be given, \
nothing is written; 130 Ctrl-C came before there was a picture. For several files it is the worst \
of them, in the order 0, 3, 4, 2."""


def _prepare(job: Job, session: Session[InpaintOptions]) -> Case:
    from pnp_recon.cli.inpaint.case import make_case  # loads torch

    return make_case(job, session)


COMMAND = Command("pnp-inpaint", InpaintOptions, Names("_inpainted"), _prepare)


def _run(options: InpaintOptions) -> int:
    return run_batch(COMMAND, options)


app = make_app(COMMAND.program, HELP, COMMAND.options, _run)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_app(app, COMMAND.program, argv)
