"""`pnp-deblur`: deblurs photographs and says what is proven about the result.

Exit codes: 0 all went well; 2 bad input; 3 stopped before it converged (iteration or time limit,
Ctrl-C, divergence), the picture is written all the same; 4 a required certificate could not be
given, nothing is written; 130 Ctrl-C before there was anything to write. For several files it is
the worst of them, in the order 0, 3, 4, 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnp_recon.cli.deblur.options import DeblurOptions
from pnp_recon.cli.run.command import Command
from pnp_recon.cli.run.entry import EXIT_CODES, entry
from pnp_recon.cli.run.plan import Job, Names

if TYPE_CHECKING:
    from pnp_recon.cli.run.case import Case
    from pnp_recon.cli.run.session import Session

HELP = """Deblur photographs. A certificate says which theorem proves that the iteration \
converges, with which numbers, and what the run then showed.

pnp-deblur photo.jpg --kernel motion writes photo_deblurred.jpg. --kernel \
motion assumes a uniform, straight camera motion: the whole picture is blurred alike, along \
one line, at constant speed. Moving objects, camera rotation and defocus are something else. \
Without --length and --angle both are estimated from the picture and printed with a confidence.

"""
HELP += EXIT_CODES


def _prepare(job: Job, session: Session[DeblurOptions]) -> Case:
    from pnp_recon.cli.deblur.case import make_case  # loads torch

    return make_case(job, session)


COMMAND = Command("pnp-deblur", DeblurOptions, Names("_deblurred"), _prepare)
app, main = entry(COMMAND, HELP)
