"""`pnp-jpeg`: takes JPEG artefacts out, keeps the file's facts, and says what is proven.

Exit codes as in `pnp-deblur`: 0, 2, 3, 4 and 130.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnp_recon.cli.app import make_app
from pnp_recon.cli.jpeg.options import JpegOptions
from pnp_recon.cli.run.batch import run_batch
from pnp_recon.cli.run.command import Command
from pnp_recon.cli.run.plan import Job, Names
from pnp_recon.cli.shell import run_app

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

Exit codes: 0 the iteration converged; 2 the input is bad; 3 the iteration stopped before it \
converged (limit or Ctrl-C), the picture is written; 4 a required certificate could not be given, \
nothing is written; 130 Ctrl-C came before there was a picture. For several files it is the worst \
of them, in the order 0, 3, 4, 2."""


def _prepare(job: Job, session: Session[JpegOptions]) -> Case:
    from pnp_recon.cli.jpeg.case import make_case  # loads torch

    return make_case(job, session)


NAMES = Names(
    "_restored", (".jpg", ".jpeg", ".jfif"), outputs=(".png", ".tif", ".tiff"), output=".png"
)
COMMAND = Command("pnp-jpeg", JpegOptions, NAMES, _prepare)


def _run(options: JpegOptions) -> int:
    return run_batch(COMMAND, options)


app = make_app(COMMAND.program, HELP, COMMAND.options, _run)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_app(app, COMMAND.program, argv)
