"""Measured k-space: files, coil maps and phase from its centre, the window of complex pictures."""

from pnp_recon.kspace.calibration import (
    centre_side,
    corners_over_middle,
    estimated_maps,
    global_phase,
    low_resolution,
    moved_by_half,
    noise_level,
    normalised,
    root_sum_of_squares,
    smooth_phase,
    unlike_noise,
    with_centred_picture,
)
from pnp_recon.kspace.files import read_kspace
from pnp_recon.kspace.maps import doubtful_maps, read_maps, working_coils
from pnp_recon.kspace.phantom import head, polynomial_phase, ring_maps
from pnp_recon.kspace.scan import KSpace
from pnp_recon.kspace.window import ComplexWindow, window_for

__all__ = [
    "ComplexWindow",
    "KSpace",
    "centre_side",
    "corners_over_middle",
    "doubtful_maps",
    "estimated_maps",
    "global_phase",
    "head",
    "low_resolution",
    "moved_by_half",
    "noise_level",
    "normalised",
    "polynomial_phase",
    "read_kspace",
    "read_maps",
    "ring_maps",
    "root_sum_of_squares",
    "smooth_phase",
    "unlike_noise",
    "window_for",
    "with_centred_picture",
    "working_coils",
]
