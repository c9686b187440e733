"""`pnp-mri`: from files to k-space, measured or simulated.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from operators.kspace_masks import most_undersampled
from operators.mri import centred_ifft, to_channels
from pnp_recon.cli.mri.options import MriOptions, PictureOrigin, Sampling, ZeroFrequency
from pnp_recon.cli.run.session import Session
from pnp_recon.errors import InputError
from pnp_recon.files import PICTURE_SUFFIXES, sha256_of
from pnp_recon.kspace import (
    centre_side,
    corners_over_middle,
    doubtful_maps,
    low_resolution,
    moved_by_half,
    noise_level,
    normalised,
    polynomial_phase,
    read_kspace,
    read_maps,
    ring_maps,
    root_sum_of_squares,
    unlike_noise,
    with_centred_picture,
    working_coils,
)
from pnp_recon.kspace.calibration import LEAST
from pnp_recon.kspace.scan import KSpace
from pnp_recon.pictures.masks import read_mask
from pnp_recon.problems.masks import sampling_mask
from pnp_recon.problems.noise import command_noise, phase_weights
from pnp_recon.problems.simulate import magnetic_resonance
from pnp_recon.report import SourceFile
from pnp_recon.scans import HOUNSFIELD_WINDOW, read_slice
from pnp_recon.scans.arrays import check_file, readable
from pnp_recon.scans.window import Window

# Below this a picture is all border.
LEAST_SIDE = 16


@dataclass(frozen=True, eq=False)
class Measurement:
    """k-space and what it is of.

    Attributes:
        data: (coils, H, W) complex, zero where not measured.
        mask: (H, W), True where measured.
        coils: several coils, which need maps.
        maps: (coils, H, W), normalised, or None: to be estimated, or there is one coil.
        maps_origin: where they come from.
        noise: standard deviation in each part; `origin` says how it is known.
        truth: the modulus (1, 1, H, W), where it is known.
        full: the modulus is shown from 0 to this, where that is known beforehand.
        files: what was read, the input first.
        lines, warnings: what is to be said.
    """

    data: Tensor
    mask: Tensor
    coils: bool
    maps: Tensor | None
    maps_origin: str
    noise: float
    origin: str
    truth: Tensor | None
    full: float | None
    files: tuple[SourceFile, ...]
    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def simulated(source: Path, options: MriOptions) -> Measurement:
    """A clean picture with a smooth phase, measured with noise that is drawn on the CPU."""
    found = read_slice(source, options.index)
    modulus = found.values
    if found.unit == "HU":
        modulus = Window(*HOUNSFIELD_WINDOW).to_unit(modulus).clamp(0, 1)
    height, width = modulus.shape[-2:]
    _check_size(height, width, source)
    phase = polynomial_phase(height, width, phase_weights(options.seed)).to(modulus)
    x = torch.cat([modulus * phase.cos(), modulus * phase.sin()], 1)
    file = SourceFile("input", source, found.sha256, (height, width))
    mask, words, files = _chosen_mask((height, width), options)
    count = options.coils or 1
    maps = ring_maps(count, height, width) if count > 1 else None
    sigma = options.simulated_level
    problem = magnetic_resonance(x, mask, maps, sigma, command_noise(options.seed))
    data = torch.complex(*problem.y[0])
    coils = f"{count} coils on a ring" if count > 1 else "one coil"
    return Measurement(
        data=data if count > 1 else data[None],
        mask=mask,
        coils=count > 1,
        maps=maps,
        maps_origin="those of the simulation",
        noise=sigma,
        origin="simulated",
        truth=modulus,
        full=1.0,
        files=(file, *files),
        lines=(
            f"simulated: {found.name} as the modulus, a smooth phase, {coils}",
            f"sampling: {words}",
        ),
        warnings=found.doubts,
    )


def measured(source: Path, reference: Path | None, options: MriOptions) -> Measurement:
    """One slice of a scan, all of it or what a mask keeps."""
    if source.suffix.lower() in PICTURE_SUFFIXES:
        raise InputError(f"{source} is a picture, not k-space; add --simulate to measure it")
    corner = options.zero_frequency == ZeroFrequency.corner
    scan = read_kspace(source, options.index, options.key, options.order, corner)
    height, width = scan.mask.shape
    _check_size(height, width, source)
    file = SourceFile("input", source, scan.sha256, tuple(scan.data.shape))
    if options.picture_origin == PictureOrigin.corner:
        scan = replace(scan, data=torch.where(scan.mask, with_centred_picture(scan.data), 0))
    doubtful = () if corner else _doubtful_centre(scan.data, source)
    warnings = (*scan.doubts, *(doubtful or _doubtful_origin(scan, source)))
    mask, words = scan.mask, "what was measured"
    files: tuple[SourceFile, ...] = ()
    truth = None
    if options.mask is not None:
        kept, words, files = _chosen_mask((height, width), options)
        mask = scan.mask & kept
        if not bool(mask.any()):
            raise InputError(f"--mask {options.mask} keeps nothing of what {source} measured")
        if bool(scan.mask.all()):
            truth = root_sum_of_squares(centred_ifft(scan.data))
            words += "; compared with the root of the sum of squares of all of it"
        elif reference is None:
            warnings += (f"{source} is no full scan: there is nothing to compare with",)
    elif scan.reference is not None and scan.reference.shape == scan.mask.shape:
        truth = scan.reference
        words += "; compared with the picture in the file"
    if reference is not None:
        truth = _reference(reference, (height, width))
        files += (SourceFile("reference", reference, sha256_of(reference), (height, width)),)
    data = torch.where(mask, scan.data, 0)
    maps, origin = scan.maps, f"those in {source.name}"
    if options.maps is not None:
        maps, origin = read_maps(options.maps, tuple(data.shape)), str(options.maps)
        shape = tuple(data.shape)
        files += (SourceFile("maps", options.maps, sha256_of(options.maps), shape),)
    data, maps, unused = working_coils(data, maps)
    warnings += (*unused, *unlike_noise(data, mask))
    if maps is not None and centre_side(mask) >= LEAST:
        warnings += doubtful_maps(maps, low_resolution(data, mask))
    level, known = options.noise_level, "given"
    if level is None:
        level, known = noise_level(data, mask), "estimated from the outermost frequencies"
    return Measurement(
        data=data,
        mask=mask,
        coils=scan.coils or maps is not None,
        maps=None if maps is None else normalised(maps),
        maps_origin=f"{origin}, normalised",
        noise=level,
        origin=known,
        truth=None if truth is None else truth[None, None],
        full=None if truth is None else float(truth.max()),
        files=(file, *files),
        lines=(
            f"k-space: {scan.words}; slice {scan.index} of {scan.slices}",
            f"sampling: {words}",
        ),
        warnings=warnings,
    )


def on_device(found: Measurement, session: Session[MriOptions]) -> Measurement:
    """The same where and in the precision in which the run computes."""
    device = session.device
    kind = torch.complex128 if session.dtype == torch.float64 else torch.complex64
    return replace(
        found,
        data=found.data.to(device, kind),
        mask=found.mask.to(device),
        maps=None if found.maps is None else found.maps.to(device, kind),
        truth=None if found.truth is None else session.tensor(found.truth),
    )


def stacked(found: Measurement) -> Tensor:
    """The data as `operators.MRI` measures them: (1, 2, H, W), or (1, 2, coils, H, W)."""
    return to_channels(found.data[None] if found.coils else found.data)


def _chosen_mask(
    size: tuple[int, int], options: MriOptions
) -> tuple[Tensor, str, tuple[SourceFile, ...]]:
    """A mask, what it is in words, and the file that it comes from."""
    path, kind = options.mask_file, options.sampling
    if path is not None:
        mask = read_mask(path)
        mask = mask[0] if mask.ndim == 3 else mask
        if tuple(mask.shape) != size:
            raise InputError(
                f"the mask {path} has the size {tuple(mask.shape)}, k-space {size} (rows, "
                "columns); expected the same"
            )
        return mask, str(path), (SourceFile("mask", path, sha256_of(path), size),)
    assert kind is not None  # the options were checked
    _check_factor(kind, size, options.factor)
    mask = sampling_mask(kind.value, size, options.factor, options.seed)
    lines = "spokes" if kind.value == "radial" else "lines"
    drawn = f", drawn with seed {options.seed}" if kind.value == "random" else ""
    return mask, f"{options.factor:g}-fold, {kind.value} {lines}{drawn}", ()


def _check_factor(kind: Sampling, size: tuple[int, int], factor: float) -> None:
    """Refuses a mask without a line beside the centre, or of a single spoke."""
    most = min(size) // 2 if kind == Sampling.radial else most_undersampled(size[1])
    if factor > most:
        lines = "two spokes" if kind == Sampling.radial else "one line at the centre and one beside"
        raise InputError(
            f"--undersampling is {factor:g}; of {size[0]}×{size[1]} frequencies (rows, columns) "
            f"expected 1 to {most}, which leaves {lines}"
        )


def _doubtful_centre(data: Tensor, source: Path) -> tuple[str, ...]:
    """A warning where most of the power is in the corners."""
    if corners_over_middle(data) <= 1:
        return ()
    return (
        f"{source}: most of the power lies in the corners of the array; if zero frequency is its "
        "first entry, say --zero-frequency corner",
    )


def _doubtful_origin(scan: KSpace, source: Path) -> tuple[str, ...]:
    """A warning where the picture lies in the corners of the field of view."""
    seen = centre_side(scan.mask) >= LEAST
    images = low_resolution(scan.data, scan.mask) if seen else centred_ifft(scan.data)
    if not moved_by_half(images):
        return ()
    return (
        f"{source}: the picture lies in the corners of the field of view, moved by half of it; if "
        "its transform was taken without a shift before (fftshift(fft2(x))), say --picture-origin "
        "corner",
    )


def _reference(path: Path, size: tuple[int, int]) -> Tensor:
    """The modulus (H, W) of a true picture."""
    check_file(path)
    with readable(path):
        values = np.load(path, allow_pickle=False)
    if values.shape != size:
        raise InputError(
            f"the reference {path} has the shape {values.shape}, the result {size} (rows, "
            "columns); expected the same"
        )
    return torch.from_numpy(np.abs(values).astype(np.float32))


def _check_size(height: int, width: int, source: Path) -> None:
    if min(height, width) < LEAST_SIDE:
        raise InputError(
            f"{source} is {width}×{height}; expected at least {LEAST_SIDE} on each side, give "
            "--order if its axes were taken for one another"
        )
