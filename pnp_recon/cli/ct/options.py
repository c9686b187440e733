"""The options of `pnp-ct` and what they mean. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pnp_recon.cli.ct.volume.options import VolumeOptions
from pnp_recon.cli.run.checks import flag_of, given, refuse
from pnp_recon.cli.run.flags import (
    no_picture_option,
    output_option,
    reference_option,
    sigma_option,
    simulate_option,
)
from pnp_recon.errors import InputError
from pnp_recon.solvers.catalogue import solvers_for

DEFAULT_VIEWS, DEFAULT_NOISE = 60, 0.01


class CtMethod(StrEnum):
    """The methods of `options.Method`, and what only tomography has."""

    pnp = "pnp"
    tv = "tv"
    fbp = "fbp"
    sirt = "sirt"
    cgls = "cgls"


class Beam(StrEnum):
    parallel = "parallel"
    fan_flat = "fan-flat"
    fan_curved = "fan-curved"

    @property
    def kind(self) -> str:
        """What `operators.ScanGeometry` calls it."""
        return self.value.replace("-", "_")

    @property
    def is_fan(self) -> bool:
        return self != Beam.parallel


class Filter(StrEnum):
    """The windows of `operators.filtered_back_projection`; a test holds the two together."""

    ramp = "ramp"
    shepp_logan = "shepp-logan"
    cosine = "cosine"
    hamming = "hamming"
    hann = "hann"


class Unit(StrEnum):
    auto = "auto"
    hu = "hu"
    mu = "mu"


MethodOption = Annotated[CtMethod, typer.Option(
    "--method",
    help="The prior is learned (pnp) or total variation (tv). fbp is filtered back-projection. "
    "sirt and cgls solve least squares without a prior and stop early.",
)]  # fmt: skip


@dataclass(frozen=True)
class CtOptions(VolumeOptions):
    """The options of `pnp-ct`."""

    # fmt: off
    inputs: Annotated[list[str], typer.Argument(
        metavar="SCAN...",
        help="Give sinograms or scans (.npy, .npz, .h5, .mat, .tif), or with --simulate slices "
        "(DICOM, .npz archive, .npy, picture).",
    )]
    output: Annotated[str | None, output_option("NAME_reconstructed.npy")] = None
    # More methods than the shared option has.
    method: MethodOption = CtMethod.pnp  # type: ignore[assignment]
    geometry: Annotated[Path | None, typer.Option(
        "--geometry", metavar="FILE",
        help="The scan is described in a YAML or JSON file: kind, angles, detector_count and so "
        "on.",
    )] = None
    beam: Annotated[Beam | None, typer.Option(
        "--beam", help="The beam is of this kind, where there is no --geometry (default parallel).",
    )] = None
    views: Annotated[int | None, typer.Option(
        "--views", min=1,
        help="The scan has so many views, evenly spaced over --span. By default the angles in the "
        "file are taken, and 60 views with --simulate.",
    )] = None
    span: Annotated[float | None, typer.Option(
        "--span", metavar="DEG",
        help="The angles cover this range (default 180, for fan beams 360). A negative range is "
        "a clockwise turn.",
    )] = None
    clockwise: Annotated[bool, typer.Option(
        "--clockwise",
        help="The source turns clockwise about the object as the angles grow, seen as slices are "
        "shown; by default it turns counter-clockwise.",
    )] = False
    flip_detector: Annotated[bool, typer.Option(
        "--flip-detector", help="The detector's pixels are counted from the other end.",
    )] = False
    detector_mm: Annotated[float | None, typer.Option(
        "--detector-mm",
        help="Detector pixels have this distance in mm. Where it is not known, lengths are in "
        "detector pixels.",
    )] = None
    pixel_mm: Annotated[float | None, typer.Option(
        "--pixel-mm",
        help="A pixel of the slice has this side in mm. By default it is a "
        "detector pixel, as it is seen at the rotation axis.",
    )] = None
    size: Annotated[int | None, typer.Option(
        "--size", min=8, metavar="N",
        help="The slice has N×N pixels. By default N is the number of detector pixels. A smaller N "
        "is the part about the axis; the whole, coarser, is a larger --pixel-mm with it.",
    )] = None
    axis: Annotated[str | None, typer.Option(
        "--axis", metavar="auto|center|PIXEL",
        help="The rotation axis is seen in this detector pixel, counted from 0, or in the "
        "detector's center; auto finds it from opposite views, which is the default for parallel "
        "counts over half a turn.",
    )] = None
    source_radius: Annotated[float | None, typer.Option(
        "--source-radius",
        help="The source of a fan beam has this distance from the rotation axis in mm.",
    )] = None
    detector_radius: Annotated[float | None, typer.Option(
        "--detector-radius",
        help="The detector of a fan beam has this distance from the rotation axis in mm.",
    )] = None
    filter: Annotated[Filter, typer.Option(
        "--filter", help="Filtered back-projection uses this window.",
    )] = Filter.hann
    cutoff: Annotated[float, typer.Option(
        "--cutoff",
        help="The filter's window ends at this part of the Nyquist frequency, the highest that the "
        "detector's pixels show.",
    )] = 1.0
    weighted: Annotated[bool | None, typer.Option(
        "--weighted/--unweighted",
        help="Trust a ray the more, the more photons were counted in it. This is the default where "
        "counts are known.",
    )] = None
    simulate: Annotated[bool, simulate_option(
        "SCAN is a clean slice. Project it, add noise, then reconstruct it and compare.",
    )] = False
    index: Annotated[int | None, typer.Option(
        "--index", min=0,
        help="With --simulate: take this slice of an archive, or this frame of a DICOM file, "
        "counted from 0.",
    )] = None
    noise: Annotated[float | None, typer.Option(
        "--noise",
        help="With --simulate: add Gaussian noise of this level, as a part of the sinogram's "
        "maximum (default 0.01).",
    )] = None
    photons: Annotated[float | None, typer.Option(
        "--photons", metavar="N",
        help="With --simulate: add photon noise, where N photons enter each ray.",
    )] = None
    sigma: Annotated[str | None, sigma_option(
        "The noise in the line integrals has this standard deviation, such as 0.02. By "
        "default it is estimated (auto).",
        metavar="auto|S",
    )] = None
    reference: Annotated[Path | None, reference_option(
        "Compare the result with these true slices (.npy, .npz, .tif and so on), in the unit "
        "of the result.",
    )] = None
    window: Annotated[str | None, typer.Option(
        "--window", metavar="LOW,HIGH",
        help="These two values, in the unit of the result, are 0 and 1 for the denoiser, black "
        "and white in pictures. The default is -1024,1500 HU; for scans in 1/mm they are found.",
    )] = None
    unit: Annotated[Unit, typer.Option(
        "--unit",
        help="The result is in Hounsfield units (hu) or in 1/mm (mu). By default it is in hu with "
        "--simulate, otherwise in mu. A .npy to simulate from is in the same unit, but in hu "
        "where it reaches below -500.",
    )] = Unit.auto
    no_picture: Annotated[bool, no_picture_option(".npy or .tif")] = False
    # fmt: on

    @property
    def default_energy(self) -> bool:
        """Nothing speaks against an energy, and nothing asks for one."""
        asked = (self.model, self.named_solver, self.across)
        auto = self.denoiser == "auto" and self.prior_kind == "denoiser"
        return auto and not self.iterates and all(one is None for one in asked)

    @property
    def in_hounsfield(self) -> bool:
        return self.simulate if self.unit == Unit.auto else self.unit == Unit.hu

    @property
    def window_limits(self) -> tuple[float, float] | None:
        """The two numbers of --window."""
        if self.window is None:
            return None
        found = [_number(part) for part in self.window.split(",")]
        if len(found) != 2 or not all(map(math.isfinite, found)) or not found[0] < found[1]:
            raise InputError(
                f"--window is {self.window!r}; expected two numbers, the lower one first, such as "
                "-1024,1500"
            )
        return found[0], found[1]

    @property
    def axis_pixel(self) -> float | None:
        """The number of --axis, if it is one."""
        if self.axis in (None, "auto", "center"):
            return None
        place = _number(str(self.axis))
        if not math.isfinite(place):
            raise InputError(
                f"--axis is {self.axis!r}; expected auto, center or a detector pixel such as 295.8"
            )
        return place

    def companions(self, source: Path) -> tuple[Path, ...]:
        return () if self.geometry is None else (self.geometry,)

    def check(self) -> None:
        super().check()
        self._check_numbers()
        self._check_scan()
        self._check_weights()
        self.check_volume()
        _ = self.window_limits, self.axis_pixel
        if self.geometry is not None and not self.geometry.is_file():
            raise InputError(
                f"--geometry is {self.geometry}, which is no file; expected YAML or JSON"
            )

    def _check_numbers(self) -> None:
        """Numbers that are not finite, or not above zero."""
        lengths = ("detector_mm", "pixel_mm", "source_radius")
        if self.span is not None and (self.span == 0 or not math.isfinite(self.span)):
            raise InputError(f"--span is {self.span}; expected degrees, negative for clockwise")
        for name in (*lengths, "incident", "photons", "noise", "cutoff"):
            value = getattr(self, name)
            if value is None or 0 < value < math.inf or (name, value) == ("noise", 0):
                continue
            raise InputError(f"{flag_of(self, name)} is {value}; expected a finite number above 0")
        if self.cutoff > 1:
            raise InputError(f"--cutoff is {self.cutoff}; expected at most 1")

    def _check_scan(self) -> None:
        """Geometry, files and simulation, which exclude each other."""
        radii = ("source_radius", "detector_radius")
        lengths = ("detector_mm", "pixel_mm")
        refuse(
            given(self, "beam", "views", "span", *lengths, *radii),
            "--geometry, which says all",
            self.geometry is not None,
        )
        if self.beam is None or not self.beam.is_fan:
            refuse(given(self, *radii), "a parallel beam; add --beam fan-flat or fan-curved")
        elif len(given(self, *radii)) < len(radii):
            raise InputError(f"--beam {self.beam} needs --source-radius and --detector-radius (mm)")
        of_files = (
            "key",
            "order",
            "angles_key",
            "angle_unit",
            "stack",
            "kind",
            "incident",
            "size",
            "sigma",
            "slices",
        )
        refuse(given(self, *of_files), "--simulate, which makes its own scan", self.simulate)
        refuse(
            given(self, "index", "noise", "photons"),
            "a measured scan; add --simulate",
            not self.simulate,
        )
        refuse(given(self, "noise"), "--photons, give one", self.photons is not None)
        sirt = f"--{'method' if self.method == CtMethod.sirt else 'solver'} sirt"
        refuse(
            given(self, "rings"),
            f"{sirt}, which divides by sums that stripes would make negative; take --method cgls, "
            "or --solver landweber",
            self.named_solver == CtMethod.sirt,
        )

    def _check_weights(self) -> None:
        """Rays are weighed in the misfit of methods with a prior only."""
        weighted = given(self, "weighted")
        refuse(weighted, f"--method {self.method.value}", self.prior_kind == "none")
        refuse(weighted, "--model", self.model is not None)
        refuse(weighted, f"--solver {self.solver.value}", self.named_solver in solvers_for("none"))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
