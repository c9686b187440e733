"""`pnp-mri`: complex pictures from undersampled k-space, with what is proven about them.

Exit codes as in `pnp-deblur`: 0, 2, 3, 4 and 130.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnp_recon.cli.mri.options import MriOptions
from pnp_recon.cli.run.command import Command
from pnp_recon.cli.run.entry import entry
from pnp_recon.cli.run.plan import Job, Names

if TYPE_CHECKING:
    from pnp_recon.cli.run.case import Case
    from pnp_recon.cli.run.session import Session

HELP = """Reconstruct pictures from undersampled k-space of magnetic resonance imaging. A \
certificate says which theorem proves that the iteration converges, with which numbers, and what \
the run then showed.

pnp-mri scan.h5 writes scan_reconstructed.npy (complex64, in the unit of the data) and its \
modulus, scan_reconstructed.png. It reads .npy and .npz files, HDF5 files as fastMRI has them, and \
ISMRMRD files. Coil maps and phase come from the fully sampled centre, unless a file gives the maps.

pnp-mri slice.png --simulate --undersampling 4 takes a clean picture for the modulus, gives it a \
smooth phase, measures a quarter of k-space with noise, reconstructs, and compares. A full scan is \
undersampled likewise by --mask random --undersampling 4, and compared with what all of it gives.

Exit codes: 0 the iteration converged, or cgls stopped where it is meant to; 2 the input is bad; 3 \
the iteration stopped before it converged (limit or Ctrl-C), the result is written; 4 a required \
certificate could not be given, nothing is written; 130 Ctrl-C came before there was a result. For \
several files it is the worst of them, in the order 0, 3, 4, 2."""

# Taken from folders and globs; pictures are simulated from, and are named one by one.
SCANS = (".npy", ".npz", ".h5", ".hdf5", ".mrd")
RESULTS = (".npy", ".png")


def _prepare(job: Job, session: Session[MriOptions]) -> Case:
    from pnp_recon.cli.mri.case import make_case  # loads torch

    return make_case(job, session)


COMMAND = Command("pnp-mri", MriOptions, Names("_reconstructed", SCANS, RESULTS, ".npy"), _prepare)
app, main = entry(COMMAND, HELP)
