"""`pnp-ct`: slices from X-ray projections, with what is proven about them.

Exit codes as in `pnp-deblur`: 0, 2, 3, 4 and 130.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnp_recon.cli.ct.options import CtOptions
from pnp_recon.cli.run.batch import run_batch
from pnp_recon.cli.run.command import Command
from pnp_recon.cli.run.entry import entry
from pnp_recon.cli.run.plan import Job, Names

if TYPE_CHECKING:
    from pnp_recon.cli.run.case import Case
    from pnp_recon.cli.run.session import Session

HELP = """Reconstruct slices from X-ray projections. A certificate says which theorem proves that \
the iteration converges, with which numbers, and what the run then showed.

pnp-ct scan.h5 writes scan_reconstructed.npy (float32, in 1/mm or HU) and a picture of it, \
scan_reconstructed.png. Angles, flat and dark fields are taken from the file where it has them; \
otherwise say how it was made: --views 180 --span 180, or --geometry scan.yaml. Several slices are \
one result, its picture the middle slice.

pnp-ct scan.h5 --slices 0:512 -o OUT.zarr reconstructs a stack slice by slice, out of core, with a \
certificate for each; after a stop the same command goes on.

pnp-ct slice.dcm --simulate --views 60 projects a clean slice, adds noise, reconstructs, and \
compares.

Exit codes: 0 the iteration converged, or sirt, cgls or landweber stopped where they are meant \
to; 2 the input is bad; 3 the iteration stopped before it converged (limit or Ctrl-C), the result \
is written; 4 a required certificate could not be given, nothing is written; 130 Ctrl-C came \
before there was a result, or with --slices before the last slice. For several files it is the \
worst of them, in the order 0, 3, 4, 2."""

# Taken from folders and globs; pictures are slices to simulate from, and are named one by one.
SCANS = (".npy", ".npz", ".h5", ".hdf5", ".hdf", ".nxs", ".mat", ".tif", ".tiff", ".dcm", ".ima")
RESULTS = (".npy", ".tif", ".tiff", ".png")


def _prepare(job: Job, session: Session[CtOptions]) -> Case:
    from pnp_recon.cli.ct.case import make_case  # loads torch

    return make_case(job, session)


COMMAND = Command("pnp-ct", CtOptions, Names("_reconstructed", SCANS, RESULTS, ".npy"), _prepare)


def _run(options: CtOptions) -> int:
    if options.stretch is None:
        return run_batch(COMMAND, options)
    from pnp_recon.cli.ct.volume.session import run_volume  # loads torch

    return run_volume(options)


app, main = entry(COMMAND, HELP, _run)
