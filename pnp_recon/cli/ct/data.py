"""`pnp-ct`: from files to line integrals, measured or simulated.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from operators import RayTransform, ScanGeometry, attenuation
from operators._odl import import_tomo
from operators._storage import Storage
from operators.errors import OperatorError
from pnp_recon.cli.ct.defects import concentric, mended, refuse_for_a_volume
from pnp_recon.cli.ct.geometry import check_views, measured_geometry, simulated_geometry
from pnp_recon.cli.ct.options import DEFAULT_NOISE, CtMethod, CtOptions
from pnp_recon.cli.run.session import Session
from pnp_recon.errors import InputError
from pnp_recon.files import PICTURE_SUFFIXES
from pnp_recon.problems.noise import command_counts, command_noise
from pnp_recon.problems.simulate import photon_tomography, tomography
from pnp_recon.report import SourceFile
from pnp_recon.scans import (
    Scan,
    Slice,
    hounsfield_window,
    inverse_variances,
    read_scan,
    read_slice,
    statistical_weights,
    to_line_integrals,
)
from pnp_recon.scans.angles import AngleUnit
from pnp_recon.scans.arrays import check_memory, choose, load, open_arrays
from pnp_recon.scans.files import Kind
from pnp_recon.scans.missing import gaps_in_words
from pnp_recon.scans.plausibility import below_air, odd_views, refuse_other_order
from pnp_recon.scans.slices import Unit as SliceUnit

TIFF = (".tif", ".tiff")
FITTED = (
    "rings: one number for each detector pixel is fitted along with the slice, as large as the "
    "stripes"
)


@dataclass(frozen=True, eq=False)
class Measurement:
    """Line integrals and what they are of. Numbers are float32 on the CPU.

    Attributes:
        y: (slices, 1, angles, detectors), or (1, angles, rows, columns) of a cone beam.
        A: the operator for one of the y.
        noise: standard deviation of the noise in y; `origin` says how it is known.
        weights: inverse variances of y, or None where all rays are worth the same.
        truth: attenuation (slices, 1, H, W) in 1/mm, where it is known.
        input_file: what was read.
        first: number of the first slice in the file.
        length: unit of lengths: "mm", or "pixel" (of the detector) where its size is not known.
        mask: zero where y is not to be believed, else one; None: all is.
        stripes: what detector pixels add to all views of y, to be fitted, or None.
        ridge: the noise's variance over that of the stripes, see `operators.StripeFilter`.
        defects: numbers of what was mended, for the report.
        lines, warnings: what is to be said.
    """

    y: Tensor
    A: RayTransform
    noise: float
    origin: str
    weights: Tensor | None
    truth: Tensor | None
    input_file: SourceFile
    first: int = 0
    length: str = "mm"
    mask: Tensor | None = None
    stripes: Tensor | None = None
    ridge: float = math.inf
    defects: Mapping[str, float | int] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @cached_property
    def lengths(self) -> Tensor:
        """A 1: how much of the slice every ray crosses, (1, ...) as y, in the unit of lengths."""
        with torch.no_grad():
            return self.A.A(self.y.new_ones(1, *self.A.image_shape))

    @property
    def clean(self) -> Tensor:
        """y without its stripes, for whoever cannot fit them."""
        return self.y if self.stripes is None else self.y - self.stripes

    def weights_for(self, counted: bool) -> Tensor | None:
        """Inverse variances by the counts, or by the mask alone; None where all are alike."""
        if counted or self.mask is None:
            return self.weights if counted else None
        return self.mask / max(self.noise, 1e-12) ** 2


def simulated(source: Path, options: CtOptions) -> Measurement:
    """A clean slice, projected, with Gaussian or photon noise drawn on the CPU."""
    stated: dict[str, SliceUnit] = {"hu": "HU", "mu": "1/mm"}
    found = read_slice(source, options.index, unit=stated.get(options.unit.value))
    if found.unit == "picture" and source.suffix.lower() == ".npy":
        raise InputError(
            f"{source} holds values from {float(found.values.min()):.4g} to "
            f"{float(found.values.max()):.4g}, of a unit that nothing says; give --unit mu for "
            "attenuation in 1/mm, or --unit hu"
        )
    if found.unit == "HU":
        truth = attenuation(found.values)
    else:
        truth = (
            found.values if found.unit == "1/mm" else hounsfield_window().from_unit(found.values)
        )
    height, width = truth.shape[-2:]
    located = simulated_geometry(options, (height, width), found.pixel_mm)
    if located.geometry.kind == "cone":
        raise InputError("--simulate projects a single slice; --geometry describes a cone beam")
    weights, storage = None, _storage(options, located.geometry)
    if options.photons is not None:
        counted = command_counts(options.photons, options.seed)
        problem, counts = photon_tomography(
            truth, located.geometry, options.photons, counted, storage
        )
        weights = statistical_weights(counts)
        said = f"{options.photons:g} photons for each ray, {float(counts.min()):g} at least arrive"
    else:
        share = DEFAULT_NOISE if options.noise is None else options.noise
        drawn = command_noise(options.seed)
        problem = tomography(truth, located.geometry, share, drawn, storage)
        said = f"{share:.3g} of the sinogram's maximum"
    file = SourceFile("input", source, found.sha256, (height, width))
    assert isinstance(problem.A, RayTransform)
    return Measurement(
        problem.y,
        problem.A,
        problem.noise(),
        "simulated",
        weights,
        truth,
        file,
        lines=(
            *located.lines,
            *_unknown_pixels(found, options),
            f"simulated: {found.name}, {said}",
        ),
        warnings=(*found.doubts, *located.warnings),
    )


def _unknown_pixels(found: Slice, options: CtOptions) -> tuple[str, ...]:
    """A line where pixels of attenuating matter are taken to be of 1 mm."""
    known = (found.pixel_mm, options.pixel_mm, options.geometry)
    if found.unit == "picture" or any(one is not None for one in known):
        return ()
    return (f"pixels: taken to be 1 mm wide, {found.name} does not say; --pixel-mm does",)


def measured(source: Path, reference: Path | None, options: CtOptions) -> Measurement:
    """The chosen slices of a scan, corrected, with the axis found."""
    return measurement_of(read(source, options, _asked_slices(options)), reference, options)


def read(source: Path, options: CtOptions, slices: slice | None, sha256: str | None = None) -> Scan:
    """These slices as they were measured; see `read_scan`."""
    suffix = source.suffix.lower()
    if suffix in (".dcm", ".ima") or (suffix in PICTURE_SUFFIXES and suffix not in TIFF):
        raise InputError(f"{source} is a picture, not a sinogram; add --simulate to project it")
    kind: Kind | None = "counts" if options.incident is not None else None
    if options.kind is not None:
        kind = next(k for k in get_args(Kind) if k.replace(" ", "-") == options.kind.value)
    unit: AngleUnit | None = None
    if options.angle_unit is not None:
        unit = "deg" if options.angle_unit.value == "deg" else "rad"
    scan = read_scan(
        source, options.key, options.order, kind, unit, options.angles_key, slices, sha256
    )
    check_views(options, scan)
    return scan


def measurement_of(scan: Scan, reference: Path | None, options: CtOptions) -> Measurement:
    """The slices of a scan that was read, corrected, with the axis found."""
    source = scan.source
    corrected = to_line_integrals(scan, options.incident)
    whole = mended(corrected, options)
    lines, weights, mask = whole.scan, whole.weights, whole.mask
    profile = None if whole.stripes is None else whole.stripes.profile
    if options.flip_detector:
        lines = replace(lines, data=lines.data.flip(-1))
        weights, mask, profile = (
            None if t is None else t.flip(-1) for t in (weights, mask, profile)
        )
    located = measured_geometry(options, lines, scan.kind == "counts")
    geometry = located.geometry
    gaps = gaps_in_words(scan.missing)
    doubts = [*scan.doubts, *gaps, *corrected.doubts, *below_air(lines.data, whole.noise)]
    fitted: tuple[str, ...] = ()
    ridge = math.inf
    if whole.stripes is not None and profile is not None:
        axis = (geometry.detector_count - 1) / 2 + geometry.axis_offset / geometry.detector_mm
        round_object = concentric(lines.data, profile, axis, whole.noise)
        if round_object is None:
            fitted, ridge = (FITTED,), (whole.noise / whole.stripes.level) ** 2
        else:
            taken, said = round_object
            lines, profile = replace(lines, data=lines.data - taken[:, None]), None
            doubts.append(said)
    if geometry.kind == "parallel":
        doubts += odd_views(lines.data)
        if scan.order_assumed:
            refuse_other_order(lines.data, source)
    is_cone = geometry.kind == "cone"
    if is_cone:
        refuse_for_a_volume(options)
        _check_projector(source)
    count, side = lines.data.shape[0], options.size or geometry.detector_count
    if is_cone and count < scan.total:
        raise InputError("--slice does not go with a cone beam, which is one volume")
    if is_cone and options.stretch is not None:
        raise InputError("--slices does not go with a cone beam, which is one volume; leave it out")
    check_memory(_bytes(count, side, lines.data), f"{source}: {count} slices of {side}×{side}")
    y = lines.data
    noise, origin = whole.noise, "given"
    if options.noise_level is None:
        origin = "estimated from the sinogram"

    def arranged(t: Tensor) -> Tensor:
        """(slices, angles, detectors) as the operator has it; a cone's slices are its rows."""
        return t.transpose(0, 1)[None] if is_cone else t[:, None]

    image = (count if is_cone else 1, side, side)
    A = RayTransform(geometry, image, storage=_storage(options, geometry))
    truth = None if reference is None else _reference(reference, (count, side, side), options)
    if weights is not None:
        if options.incident is None or options.noise_level is not None:
            # Known up to the detector's gain: the noise of a typical ray says which. Photons that
            # were counted are inverse variances as they are.
            weights = inverse_variances(weights, max(noise, 1e-12))
        weights = arranged(weights)
    shape = (scan.total, *scan.data.shape[1:])
    file = SourceFile("input", source, scan.sha256, shape)
    stated = options.detector_mm or scan.detector_mm
    known = options.geometry is not None or stated is not None
    return Measurement(
        arranged(y),
        A,
        noise,
        origin,
        weights,
        truth,
        file,
        first=scan.first,
        length="mm" if known else "pixel",
        mask=None if mask is None else arranged(mask),
        stripes=None if profile is None else arranged(profile[:, None]),
        ridge=ridge,
        defects=whole.numbers,
        lines=(*located.lines, *corrected.notes, *whole.lines, *fitted),
        warnings=(*doubts, *located.warnings),
    )


def _check_projector(source: Path) -> None:
    """Refuses a cone beam where nothing projects it.

    Raises:
        InputError: saying what does, and what can be done without.
    """
    try:
        import_tomo("astra_cuda")
    except OperatorError as error:
        raise InputError(
            f"{source} is a cone beam's scan, as --geometry says, which is one volume and needs "
            f"projectors in three dimensions: {error}. Without them the row of the detector in the "
            "plane of the source can be reconstructed as a fan beam (--slice ROW --beam fan-flat "
            "with --source-radius and --detector-radius)"
        ) from error


def on_device(found: Measurement, session: Session[CtOptions]) -> Measurement:
    """The same with device and precision of the session."""
    tensors = (found.y, found.weights, found.truth, found.mask, found.stripes)
    y, weights, truth, mask, stripes = (None if t is None else session.tensor(t) for t in tensors)
    assert y is not None
    return replace(found, y=y, weights=weights, truth=truth, mask=mask, stripes=stripes)


def _storage(options: CtOptions, geometry: ScanGeometry) -> Storage:
    """A formula applies the operator a few times, for which no matrix is worth its building."""
    flat = geometry.kind in ("parallel", "fan_flat")
    return "on_the_fly" if options.method == CtMethod.fbp and flat else "auto"


def _asked_slices(options: CtOptions) -> slice | None:
    """--slice; None: all. The reader holds it against what there is."""
    if options.slices == "all":
        return None
    first, colon, last = options.slices.partition(":")
    try:
        start = int(first) if first or not colon else 0
        return slice(start, (int(last) if last else None) if colon else start + 1)
    except ValueError:
        raise InputError(
            f"--slice is {options.slices!r}; expected all, a number such as 3, or a range such as "
            "0:10"
        ) from None


def _bytes(count: int, side: int, sinogram: Tensor) -> int:
    """What the slices take, however few are worked on at a time: start, result, and its copy in
    the unit of the file; and data, weights and data in the window."""
    views, detectors = sinogram.shape[1:]
    return 4 * count * (4 * side * side + 3 * views * detectors)


def _reference(path: Path, shape: tuple[int, int, int], options: CtOptions) -> Tensor:
    """True slices (slices, 1, H, W) in 1/mm."""
    with open_arrays(path) as entries:
        name = choose(entries, None, (2, 3))
        values = torch.from_numpy(load(entries[name], name or "the array"))
    values = values if values.ndim == 3 else values[None]
    if tuple(values.shape) != shape:
        raise InputError(
            f"the reference {path} has the shape {tuple(values.shape)}, the result "
            f"{shape} (slices, rows, columns); expected the same"
        )
    return (attenuation(values) if options.in_hounsfield else values)[:, None]
