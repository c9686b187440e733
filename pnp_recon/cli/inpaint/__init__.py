"""`pnp-inpaint`: fills in missing pixels and says what is proven about the result.

Exit codes as in `pnp-deblur`: 0, 2, 3, 4 and 130.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnp_recon.cli.inpaint.options import InpaintOptions
from pnp_recon.cli.run.command import Command
from pnp_recon.cli.run.entry import EXIT_CODES, entry
from pnp_recon.cli.run.plan import Job, Names

if TYPE_CHECKING:
    from pnp_recon.cli.run.case import Case
    from pnp_recon.cli.run.session import Session

HELP = """Fill in missing pixels. A certificate says which theorem proves that the iteration \
converges, with which numbers, and what the run then showed.

pnp-inpaint photo.png --mask mask.png writes photo_inpainted.png. The mask has the picture's size; \
white is known, black is missing, nothing else may occur. What the picture holds at missing pixels \
is never read. Known pixels are taken to be right (--sigma 0) and stay close to what they were; \
for a noisy picture give --sigma, and they are denoised as well.

"""
HELP += EXIT_CODES


def _prepare(job: Job, session: Session[InpaintOptions]) -> Case:
    from pnp_recon.cli.inpaint.case import make_case  # loads torch

    return make_case(job, session)


COMMAND = Command("pnp-inpaint", InpaintOptions, Names("_inpainted"), _prepare)
app, main = entry(COMMAND, HELP)
