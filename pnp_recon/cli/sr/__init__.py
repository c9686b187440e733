"""`pnp-sr`: enlarges small pictures and says what is proven about the result.

Exit codes as in `pnp-deblur`: 0, 2, 3, 4 and 130.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnp_recon.cli.app import make_app
from pnp_recon.cli.run.batch import run_batch
from pnp_recon.cli.run.command import Command
from pnp_recon.cli.run.plan import Job, Names
from pnp_recon.cli.shell import run_app
from pnp_recon.cli.sr.options import EnlargeOptions

if TYPE_CHECKING:
    from pnp_recon.cli.run.case import Case
    from pnp_recon.cli.run.session import Session

HELP = """Enlarge small pictures. A certificate says which theorem proves that the iteration \
converges, with which numbers, and what the run then showed.

pnp-sr small.jpg --scale 3 writes small_enlarged.jpg, with three times as many pixels on each \
side. The small picture is taken for a larger one that was blurred with a kernel, of which every \
third pixel was kept. By what it was shrunk in truth, no picture says; the default is the bicubic \
filter that most programs have. A wrong kernel shows: one that is too wide rings, one that is too \
narrow stays soft.

Exit codes: 0 the iteration converged; 2 the input is bad; 3 the iteration stopped before it \
converged (limit or Ctrl-C), the picture is written; 4 a required certificate could not be given, \
nothing is written; 130 Ctrl-C came before there was a picture. For several files it is the worst \
of them, in the order 0, 3, 4, 2."""


def _prepare(job: Job, session: Session[EnlargeOptions]) -> Case:
    from pnp_recon.cli.sr.case import make_case  # loads torch

    return make_case(job, session)


COMMAND = Command("pnp-sr", EnlargeOptions, Names("_enlarged"), _prepare)


def _run(options: EnlargeOptions) -> int:
    return run_batch(COMMAND, options)


app = make_app(COMMAND.program, HELP, COMMAND.options, _run)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_app(app, COMMAND.program, argv)
