"""Measured or simulated tomographic data: from files to line integrals in a window, and back.

    scan = read_scan("tooth.h5")                        # files: counts, angles, flat and dark
    lines = to_line_integrals(scan)                     # correction: −log, weights, dead pixels
    axis = find_scan_axis(lines.scan.data, scan.angles) # axis: where the rotation axis is seen
    y = window.measurements(A, lines.scan.data[:, None])# window: the problem in [0, 1]
    write_slices("slice.tif", window.from_unit(u)[:, 0])# writing

Never imports solvers.
"""

from pnp_recon.scans.axis import RotationAxis, find_axis, find_scan_axis
from pnp_recon.scans.correction import Corrected, average_fields, to_line_integrals
from pnp_recon.scans.counts import (
    PoissonNoise,
    log_transform,
    photon_counts,
    statistical_weights,
)
from pnp_recon.scans.estimate import inverse_variances, sinogram_noise_level
from pnp_recon.scans.files import Scan, read_scan
from pnp_recon.scans.geometry import read_geometry, write_geometry
from pnp_recon.scans.slices import Slice, read_dicom, read_slice
from pnp_recon.scans.window import HOUNSFIELD_WINDOW, Window, hounsfield_window
from pnp_recon.scans.writing import check_slices_target, write_slices

__all__ = [
    "HOUNSFIELD_WINDOW",
    "Corrected",
    "PoissonNoise",
    "RotationAxis",
    "Scan",
    "Slice",
    "Window",
    "average_fields",
    "check_slices_target",
    "find_axis",
    "find_scan_axis",
    "hounsfield_window",
    "inverse_variances",
    "log_transform",
    "photon_counts",
    "read_dicom",
    "read_geometry",
    "read_scan",
    "read_slice",
    "sinogram_noise_level",
    "statistical_weights",
    "to_line_integrals",
    "write_geometry",
    "write_slices",
]
