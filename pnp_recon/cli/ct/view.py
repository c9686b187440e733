"""`pnp-ct`: the window of a slice, and how it is written.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from operators import hounsfield
from operators.filtered_back_projection import back_projections
from pnp_recon.cli.ct.measurement import Measurement
from pnp_recon.cli.ct.options import CtOptions
from pnp_recon.cli.run.plan import Job
from pnp_recon.errors import InputError, OutputError
from pnp_recon.scans import (
    HOUNSFIELD_WINDOW,
    Window,
    check_slices_target,
    hounsfield_window,
    write_slices,
)

# The window of a scan in 1/mm: these quantiles of a smooth back-projection, widened by a tenth.
QUANTILES, MARGIN, SMOOTH = (0.001, 0.999), 0.1, 0.5
# Beads and metal of a few pixels lie so many times the noise above that in a sharp
# back-projection, which shows of their value two thirds.
DENSE, SHOWN = 8.0, 2 / 3
# Of a value at an end of the window, in parts of its width, in float32.
ROUNDING = 1e-5
# Of a Gaussian, median absolute deviation over standard deviation.
MAD = 0.6745
# More of the slice than this outside the window, or at its lower and upper end, is said. A few
# pixels of metal are enough: cut off, they spoil the fit of every ray through them.
OUTSIDE, AT_THE_ENDS = 0.001, (0.005, 0.0003)


@dataclass(frozen=True)
class View:
    """The window, in 1/mm, and how values are written and shown.

    Attributes:
        window: in 1/mm.
        in_hounsfield: values are written in HU, otherwise as they are.
        unit: "HU", "1/mm", or "1/pixel" where the detector's pixels have no known size.
        words: the window in words, in this unit.
        found: nobody gave it, it was found in the slice.
    """

    window: Window
    in_hounsfield: bool
    unit: str
    words: str
    found: bool = False

    @property
    def shown(self) -> Window:
        """The window in the unit of the result."""
        if not self.in_hounsfield:
            return self.window
        return Window(hounsfield(self.window.low), hounsfield(self.window.high))

    def values(self, u: Tensor) -> Tensor:
        """Slices (n, H, W) in the unit of the result."""
        x = self.window.from_unit(u.double())
        slices = x[0] if len(x) == 1 else x[:, 0]
        return hounsfield(slices) if self.in_hounsfield else slices


def choose_view(
    found: Measurement,
    direct: Tensor,
    options: CtOptions,
    radius: float | None = None,
    trained: tuple[float, float] | None = None,
) -> View:
    """The window of --window, that of --model, the medical one, or one found in the slice.

    Args:
        found: the measurement.
        direct: its back-projection.
        options: what the user asked for.
        radius: how far the object goes, where it is wider than the detector.
        trained: the window in HU that the network of --model was trained for.

    Raises:
        InputError: Hounsfield units without lengths in mm.
    """
    limits = options.window_limits
    if trained is not None:
        if found.length != "mm":
            raise InputError(
                "--model names a network for values in HU, which needs lengths in mm; give "
                "--detector-mm, or --geometry with it"
            )
        if limits is None:
            own = hounsfield_window(*trained)
            limits = trained if options.in_hounsfield else (own.low, own.high)
    if options.in_hounsfield:
        if found.length != "mm":
            raise InputError(
                "--unit hu needs lengths in mm; give --detector-mm, or --geometry with it"
            )
        low, high = limits or HOUNSFIELD_WINDOW
        return View(hounsfield_window(low, high), True, "HU", f"{low:g} to {high:g} HU")
    unit = f"1/{found.length}"
    if limits is not None:
        return View(Window(*limits), False, unit, f"{limits[0]:g} to {limits[1]:g} {unit}")
    window = _found_window(found, radius)
    words = f"{window.low:.4g} to {window.high:.4g} {unit} (found; --window LOW,HIGH sets it)"
    return View(window, False, unit, words, found=True)


def _found_window(found: Measurement, radius: float | None) -> Window:
    """What a smooth back-projection holds inside the circle that all views see, and air.

    Zero is always in it: there may be air where noise or truncation hide it, and a window that
    leaves it out is a wrong constraint. So is one that ends below beads or metal, however small
    they are.
    """
    scan, shape = found.A.geometry, found.A.image_shape
    size = shape if scan.kind == "cone" else shape[1:]
    with torch.no_grad():
        smooth, sharp = back_projections(
            scan, found.clean, size, [("hann", SMOOTH), ("ramp", 1.0)], radius
        )
    height, width = smooth.shape[-2:]
    rows = torch.linspace(-1, 1, height, device=smooth.device)[:, None]
    columns = torch.linspace(-1, 1, width, device=smooth.device)
    seen = rows**2 + columns**2 <= 1
    values = smooth[..., seen].double().flatten().sort().values
    noise = float((sharp - smooth)[..., seen].abs().median()) / MAD
    low, high = (float(values[round(q * (len(values) - 1))]) for q in QUANTILES)
    if not low < high:
        raise InputError("the back-projection is flat, there is nothing in the scan; see --order")
    low, high = min(low, 0.0), max(high, 0.0)
    more = MARGIN * (high - low)
    low, high = low - more, high + more
    dense = float(sharp[..., seen].max())
    return Window(low, dense / SHOWN if dense > high + DENSE * noise else high)


def at_the_ends(image: Tensor, view: View) -> tuple[str, ...]:
    """A warning where a result lies at the ends of a window that was found."""
    if not view.found:
        return ()
    slack = 1e-4
    out = []
    for end, place, most in zip(
        ("lower", "upper"), (image <= slack, image >= 1 - slack), AT_THE_ENDS, strict=True
    ):
        share = float(place.double().mean())
        if share > most:
            limit = view.window.low if end == "lower" else view.window.high
            out.append(
                f"{share:.2%} of the slice lies at the {end} end of the window that was found, "
                f"{limit:.4g} {view.unit}; give a wider --window"
            )
    return tuple(out)


def outside(found: Measurement, direct: Tensor, view: View, options: CtOptions) -> tuple[str, ...]:
    """A warning where a window cuts off much of the truth, or of the back-projection."""
    given = options.window is not None or options.model is not None or view.in_hounsfield
    if found.truth is None and not given:
        return ()  # the window was made for it
    values = view.window.to_unit(direct if found.truth is None else found.truth)
    # A back-projection is noisy: only what is far out counts. Padding lies at the very end, up to
    # rounding.
    slack = ROUNDING if found.truth is not None else MARGIN
    share = float(((values < -slack) | (values > 1 + slack)).double().mean())
    if share <= OUTSIDE:
        return ()
    return (
        f"{share:.1%} of the slice lies outside the window {view.words}, whose ends the result "
        "does not pass; give a wider --window",
    )


def picture_target(job: Job, options: CtOptions, count: int) -> Path | None:
    """The .png beside a .npy or .tif, if there is to be one; checked before the run.

    Raises:
        OutputError: it, or a .png that was asked for, cannot be written.
    """
    if job.target.suffix.lower() == ".png":
        if count > 1:
            raise OutputError(
                f"cannot write {job.target}: a PNG holds one slice, not {count}; give --slice I, "
                "or write .npy or .tif"
            )
        return None
    if options.no_picture:
        return None
    picture = job.target.with_suffix(".png")
    anything = Window(0, 1)
    inputs = [job.source, *job.other_inputs]
    check_slices_target(picture, anything, overwrite=options.overwrite, inputs=inputs)
    return picture


def writer(
    view: View, picture: Path | None, options: CtOptions
) -> Callable[[Path, Tensor], list[str]]:
    """`Case.write`: slices in their unit, and the picture of the middle one."""

    def write(path: Path, image: Tensor) -> list[str]:
        values = view.values(image)
        write_slices(path, values, view.shown, overwrite=options.overwrite)
        if picture is not None:
            middle = len(values) // 2
            shown = values[middle : middle + 1]
            write_slices(picture, shown, view.shown, overwrite=options.overwrite)
        return []

    return write
