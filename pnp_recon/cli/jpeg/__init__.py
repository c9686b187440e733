"""`pnp-jpeg`: takes JPEG artefacts out, keeps the file's facts, and says what is proven.

Exit codes as in `pnp-deblur`: 0, 2, 3, 4 and 130.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnp_recon.cli.jpeg.options import JpegOptions
from pnp_recon.cli.run.command import Command
from pnp_recon.cli.run.entry import EXIT_CODES, entry
from pnp_recon.cli.run.plan import Job, Names

if TYPE_CHECKING:
    from pnp_recon.cli.run.case import Case
    from pnp_recon.cli.run.session import Session

HELP = """Take the artefacts out of a JPEG picture. A certificate says which theorem proves that \
the iteration converges. A check says that every coefficient of the result, before it is clipped \
and rounded, lies in the cell that the file gives it.

pnp-jpeg photo.jpg writes photo_restored.png. A JPEG file says of every coefficient between which \
two numbers it lay, up to the encoder's own rounding; the result keeps to that. \
How strong the artefacts are is read from the file's tables. Results are PNG or TIFF: JPEG would \
bring the artefacts back.

"""
HELP += EXIT_CODES


def _prepare(job: Job, session: Session[JpegOptions]) -> Case:
    from pnp_recon.cli.jpeg.case import make_case  # loads torch

    return make_case(job, session)


NAMES = Names(
    "_restored", (".jpg", ".jpeg", ".jfif"), outputs=(".png", ".tif", ".tiff"), output=".png"
)
COMMAND = Command("pnp-jpeg", JpegOptions, NAMES, _prepare)
app, main = entry(COMMAND, HELP)
