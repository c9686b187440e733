"""The blur of one picture: given, read from a file, or estimated from the picture itself."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from operators import kernel_fields, kernels
from pnp_recon.cli.deblur.options import DeblurOptions
from pnp_recon.errors import InputError
from pnp_recon.files import atomic_write, sha256_of
from pnp_recon.pictures.kernels import read_kernel
from pnp_recon.report import KernelRecord, SourceFile

if TYPE_CHECKING:
    from pnp_recon.estimation.kernel import KernelEstimate
    from pnp_recon.estimation.motion import MotionEstimate

# Below this an estimate is doubtful. Of a motion whose length or angle was given it is said; else
# nothing is deblurred with it.
LOW_CONFIDENCE = 0.5
# The blurs that --simulate makes where no size is given: of a photograph none is taken for known.
SIMULATED_LENGTH, SIMULATED_ANGLE = 15.0, 30.0
TRAJECTORY_SIZE, UNIFORM_SIZE, GAUSSIAN_STD, DISK_RADIUS = 25, 9, 2.0, 4.0


@dataclass(frozen=True, eq=False)
class Blur:
    """A kernel (kh, kw), float64, and all that is known about it.

    Or one for each channel, (3, kh, kw), or a grid of them over the picture, (gh, gw, kh, kw).
    """

    kernel: Tensor
    record: KernelRecord
    file: SourceFile | None = None
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        record = self.record
        numbers = ", ".join(
            _parameter(key, value, record)
            for key, value in record.parameters.items()
            if value is not None
        )
        known = {"given": "", "file": " (from file)"}.get(record.origin)
        if known is None:
            sure = f"confidence {record.confidence:.2f}"
            known = f"; {sure}" if record.given else f" (estimated, {sure})"
        lines = [f"blur: {record.name}{': ' if numbers else ''}{numbers}{known}"]
        if record.origin == "estimated":
            lines.append("the kernel is an estimate, by a heuristic: proofs are about this kernel")
        return lines


def find_blur(options: DeblurOptions, x: Tensor, source: Path) -> Blur:
    """The blur that the options ask for; `x` (1, C, H, W) is the degraded picture.

    Raises:
        OperatorError: parameters out of range.
        InputError: a kernel file that is none; an estimate that is not to be relied on.
        OutputError: a doubtful kernel cannot be written.
    """
    return _blur(options, x, source)


def refined(blur: Blur, kernel: Tensor) -> tuple[Blur, str]:
    """The blur with the kernel (kh, kw) that was restored with the picture, and a line about it."""
    kernel = kernel.to("cpu", torch.float64)
    before = blur.kernel.double()
    change = float((kernel - before).norm() / before.norm())
    held = blur.record
    parameters = {**held.parameters, "refined": "with the picture"}
    method = None if held.method is None else f"{held.method}; then restored with the picture"
    record = replace(held, weights=kernel, parameters=parameters, method=method)
    words = (
        f"the kernel was restored with the picture, and changed by {change:.1%}: the certificate "
        "is about both, and the first kernel was its start"
    )
    return replace(blur, kernel=kernel, record=record), words


def _blur(options: DeblurOptions, x: Tensor, source: Path) -> Blur:
    if options.kernel_file is not None:
        return _from_file(options.kernel_file, options.kernel_key)
    if options.kernel == "motion":
        return _motion(options, x, source)
    if options.kernel == "rotation":
        return _rotation(options, x)
    if options.kernel == "blind":
        return _blind(options, x, source)
    size = options.kernel_size
    if options.kernel == "trajectory":
        side = TRAJECTORY_SIZE if size is None else size
        kernel = kernels.trajectory(side, options.seed, dtype=torch.float64)
        return _given(kernel, "trajectory", {"size": side, "seed": options.seed})
    if options.kernel == "gaussian":
        std = GAUSSIAN_STD if options.length is None else options.length
        return _given(
            kernels.gaussian(std, size, dtype=torch.float64), "gaussian", {"std": std, "size": size}
        )
    if options.kernel == "disk":
        return _disk(options, x, source)
    side = UNIFORM_SIZE if size is None else size
    return _given(kernels.uniform(side, dtype=torch.float64), "uniform", {"size": side})


def _parameter(key: str, value: float | int | str, record: KernelRecord) -> str:
    """A parameter in its unit, and where it is from if they differ in that."""
    if isinstance(value, str):
        return f"{key} {value}"
    units = {"length": " px", "angle": "°", "size": " px", "std": " px", "radius": " px"}
    origin = "given" if key in record.given else "estimated"
    return f"{key} {value:.4g}{units.get(key, '')}{f' ({origin})' if record.given else ''}"


def _given(kernel: Tensor, name: str, parameters: dict[str, float | int | str | None]) -> Blur:
    return Blur(kernel, KernelRecord(kernel, name, "given", parameters))


def _from_file(path: Path, key: str | None) -> Blur:
    kernel, warnings = read_kernel(path, key, dtype=torch.float64)
    shape = (int(kernel.shape[-2]), int(kernel.shape[-1]))
    parameters: dict[str, float | int | str | None] = {"height": shape[0], "width": shape[1]}
    if kernel.ndim == 4:
        parameters["kernels"] = f"{kernel.shape[1]}×{kernel.shape[0]}"
    if key is not None:
        parameters["key"] = key
    record = KernelRecord(kernel, path.name, "file", parameters)
    return Blur(kernel, record, SourceFile("kernel", path, sha256_of(path), shape), warnings)


def _motion(options: DeblurOptions, x: Tensor, source: Path) -> Blur:
    length, angle, size = options.length, options.angle, options.kernel_size
    if options.simulate:
        length = SIMULATED_LENGTH if length is None else length
        angle = SIMULATED_ANGLE if angle is None else angle
    if length is not None and angle is not None:
        kernel = kernels.linear_motion(length, angle, size, dtype=torch.float64)
        return _given(kernel, "motion", {"length": length, "angle": angle, "size": size})
    from pnp_recon.estimation.motion import estimate_motion  # motion and blind: where needed

    estimate = estimate_motion(x, options.noise_level)
    if length is None and angle is None and estimate.confidence < LOW_CONFIDENCE:
        return _not_straight(options, x, source, estimate)
    told = {"length": length, "angle": angle, "size": size}
    length = max(estimate.length, 1.0) if length is None else length
    angle = estimate.angle if angle is None else angle
    kernel = kernels.linear_motion(length, angle, size, dtype=torch.float64)
    warnings: tuple[str, ...] = ()
    if estimate.confidence < LOW_CONFIDENCE:
        sizes = {"length": f"length {length:.3g} px", "angle": f"angle {angle:.3g}°"}
        found = ", ".join(words for name, words in sizes.items() if told[name] is None)
        warnings = (
            f"{source}: the estimate of the motion ({found}) "
            f"has a low confidence of {estimate.confidence:.2f}; the blur may be none of a "
            "straight motion. If the result rings or doubles edges, pass --length and --angle "
            "as you see them, or a kernel of another kind",
        )
    record = KernelRecord(
        kernel,
        "motion",
        "estimated",
        {"length": length, "angle": angle, "size": size},
        min(max(estimate.confidence, 0.0), 1.0),
        estimate.method,
        tuple(name for name, value in told.items() if value is not None),
    )
    return Blur(kernel, record, warnings=warnings)


def _rotation(options: DeblurOptions, x: Tensor) -> Blur:
    """The kernels of the blurred picture's cells; its middle, or a point of IN, stays."""
    assert options.angle is not None  # see `DeblurOptions.check`
    (height, width), centre = x.shape[-2:], options.rotation_centre
    field = kernel_fields.rotation(options.angle, height, width, centre, dtype=torch.float64)
    if options.simulate and options.boundary == "valid":  # the camera does not see IN's margin
        side = field.shape[-1]
        if side > min(height, width):
            return _given(field, "rotation", {"angle": options.angle})  # refused, as others are
        shifted = None if centre is None else (centre[0] - side // 2, centre[1] - side // 2)
        inner = (height - side + 1, width - side + 1)
        field = kernel_fields.rotation(
            options.angle, *inner, shifted, size=side, dtype=torch.float64
        )
    grid = f"{field.shape[1]}×{field.shape[0]}"
    parameters = {"angle": options.angle, "centre": options.centre, "kernels": grid}
    return _given(field, "rotation", parameters)


def _disk(options: DeblurOptions, x: Tensor, source: Path) -> Blur:
    radius, size = options.length, options.kernel_size
    if radius is None and options.simulate:
        radius = DISK_RADIUS
    if radius is not None:
        kernel = kernels.disk(radius, size, dtype=torch.float64)
        return _given(kernel, "disk", {"radius": radius, "size": size})
    from pnp_recon.estimation.defocus import estimate_defocus

    estimate = estimate_defocus(x, options.noise_level)
    radius, confidence = estimate.radius, estimate.confidence
    if confidence < LOW_CONFIDENCE:
        doubted = f" (--length {radius:.3g} would be the doubtful estimate)" if confidence else ""
        raise InputError(
            f"{source}: no defocus was found (confidence {confidence:.2f}): it is sharp, or "
            "blurred otherwise, or too noisy to tell; nothing was deblurred. Try --kernel blind, "
            f"or pass the radius in pixels as you see it, --length R{doubted}"
        )
    kernel = kernels.disk(radius, size, dtype=torch.float64)
    numbers: dict[str, float | int | str | None] = {"radius": radius, "size": size}
    given = () if size is None else ("size",)
    record = KernelRecord(kernel, "disk", "estimated", numbers, confidence, estimate.method, given)
    return Blur(kernel, record)


def _not_straight(options: DeblurOptions, x: Tensor, source: Path, motion: MotionEstimate) -> Blur:
    """Hands over to a kernel of any shape, or says that there is none."""
    found = f"no straight motion was found (confidence {motion.confidence:.2f})"
    estimate = _estimated(options, x)
    if estimate.confidence < LOW_CONFIDENCE:
        write_kernel(estimate.kernel, options)
        seen = f"--length {motion.length:.4g} --angle {motion.angle:.4g}"
        doubted = f" ({seen} would be the doubtful estimate)" if motion.length > 1 else ""
        raise InputError(
            f"{source}: {found}, nor a kernel of another shape: {estimate.reason}; nothing was "
            f"deblurred. Pass --length and --angle as you see them{doubted}, or a kernel of "
            "another kind"
        )
    words = f"{source}: {found}; a kernel of any shape was estimated instead, as by --kernel blind"
    return _of_any_shape(estimate, (words,))


def _blind(options: DeblurOptions, x: Tensor, source: Path) -> Blur:
    estimate = _estimated(options, x)
    if estimate.confidence < LOW_CONFIDENCE:
        write_kernel(estimate.kernel, options)
        path = options.kernel_out
        wrote = "--kernel-out k.npy writes the doubtful kernel, and --kernel k.npy takes it all"
        hint = wrote if path is None else f"The doubtful kernel is in {path}; --kernel takes it all"
        raise InputError(
            f"{source}: no kernel was found (confidence {estimate.confidence:.2f}): "
            f"{estimate.reason}; nothing was deblurred. {hint} the same"
        )
    return _of_any_shape(estimate)


def _estimated(options: DeblurOptions, x: Tensor) -> KernelEstimate:
    from pnp_recon.estimation.kernel import estimate_kernel

    return estimate_kernel(x, options.noise_level, options.kernel_size)


def _of_any_shape(estimate: KernelEstimate, warnings: tuple[str, ...] = ()) -> Blur:
    kernel = estimate.kernel
    parameters: dict[str, float | int | str | None] = {"size": int(kernel.shape[0])}
    record = KernelRecord(
        kernel, "blind", "estimated", parameters, estimate.confidence, estimate.method
    )
    return Blur(kernel, record, warnings=warnings)


def write_kernel(kernel: Tensor, options: DeblurOptions) -> None:
    """Writes what --kernel-out asks for: the weights, or a picture whose white is the largest.

    Raises:
        OutputError: the kernel cannot be written.
    """
    path = options.kernel_out
    if path is None:
        return
    import numpy as np
    from PIL import Image

    file = io.BytesIO()
    if path.suffix.lower() == ".npy":
        np.save(file, kernel.numpy())
    else:
        shown = (kernel / kernel.max() * 255).round().to(torch.uint8)
        shown = shown.permute(1, 2, 0) if shown.ndim == 3 else shown
        shown = shown.transpose(1, 2).flatten(2).flatten(0, 1) if shown.ndim == 4 else shown
        Image.fromarray(shown.contiguous().numpy()).save(file, "PNG")
    atomic_write(path, file.getvalue())
