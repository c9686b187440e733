"""`pnp-sr`: enlarges small pictures and says what is proven about the result.

Exit codes as in `pnp-deblur`: 0, 2, 3, 4 and 130.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnp_recon.cli.run.command import Command
from pnp_recon.cli.run.entry import EXIT_CODES, entry
from pnp_recon.cli.run.plan import Job, Names
from pnp_recon.cli.sr.options import EnlargeOptions

if TYPE_CHECKING:
    from pnp_recon.cli.run.case import Case
    from pnp_recon.cli.run.session import Session

HELP = """Enlarge small pictures. A certificate says which theorem proves that the iteration \
converges, with which numbers, and what the run then showed.

pnp-sr small.jpg --scale 3 writes small_enlarged.jpg, with three times as many pixels on each \
side. The small picture is taken for a larger one that was blurred with a kernel, of which every \
third pixel was kept. No picture says with which kernel it was really shrunk; the default is the \
bicubic filter that most programs have. A wrong kernel shows: one that is too wide rings, one \
that is too narrow stays soft.

"""
HELP += EXIT_CODES


def _prepare(job: Job, session: Session[EnlargeOptions]) -> Case:
    from pnp_recon.cli.sr.case import make_case  # loads torch

    return make_case(job, session)


COMMAND = Command("pnp-sr", EnlargeOptions, Names("_enlarged"), _prepare)
app, main = entry(COMMAND, HELP)
