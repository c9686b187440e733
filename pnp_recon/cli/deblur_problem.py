"""From a picture file to the problem y = A x + noise that a solver takes.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from operators.convolution import Convolution
from pnp_recon import weights
from pnp_recon.cli.common import choose_device
from pnp_recon.cli.deblur_blur import Blur, find_blur
from pnp_recon.cli.deblur_plan import Options
from pnp_recon.denoisers import Denoiser
from pnp_recon.errors import InputError
from pnp_recon.images import Picture, linear_to_srgb, read_picture, srgb_to_linear
from pnp_recon.noise import estimate_noise_level

# Below this a picture is all border.
MIN_SIDE = 8


@dataclass
class Session:
    """What the files of one call share: device, precision, denoisers once loaded."""

    options: Options
    device: torch.device = field(init=False)
    dtype: torch.dtype = field(init=False)
    denoisers: dict[str, Denoiser] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.device = choose_device(self.options.device)
        self.dtype = torch.float64 if self.options.dtype == "float64" else torch.float32

    def denoiser(self, channels: int) -> Denoiser:
        name = self.options.denoiser
        if name == "auto":
            name = weights.AUTO[channels]
        if name not in self.denoisers:
            self.denoisers[name] = weights.load_denoiser(
                name, device=str(self.device), dtype=self.dtype
            )
        return self.denoisers[name]

    def tensor(self, pixels: Tensor) -> Tensor:
        """Pixels as stored -> values that the blur is linear in, on the device."""
        x = pixels.to(self.device, self.dtype)
        return srgb_to_linear(x) if self.options.linear_light else x

    def view(self, x: Tensor) -> Tensor:
        """Back to values as stored."""
        return linear_to_srgb(x) if self.options.linear_light else x


@dataclass(frozen=True, eq=False)
class Problem:
    """y = A x + noise. `crop` cuts from x what the camera saw; `reference` is so cut."""

    y: Tensor
    A: Convolution
    crop: tuple[slice, slice]
    blur: Blur
    noise_level: float
    noise_origin: str
    reference: Tensor | None = None

    def seen(self, x: Tensor) -> Tensor:
        return x[..., self.crop[0], self.crop[1]]


def check_size(picture: Picture) -> None:
    height, width = picture.pixels.shape[-2:]
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"{picture.source} is {width}×{height} pixels; expected at least {MIN_SIDE} on each "
            "side, give a larger picture"
        )


def read_reference(path: Path, picture: Picture) -> Picture:
    reference = read_picture(path)
    if reference.pixels.shape != picture.pixels.shape:
        raise InputError(
            f"the reference {path} is {_size(reference)} but {picture.source} is {_size(picture)}; "
            "expected the same picture without the blur"
        )
    return reference


def _size(picture: Picture) -> str:
    channels, height, width = picture.pixels.shape[1:]
    return f"{width}×{height} {'grey' if channels == 1 else 'colour'}"


def make_problem(picture: Picture, reference: Picture | None, session: Session) -> Problem:
    """Kernel, operator and noise level; in a simulation also the degraded picture."""
    options = session.options
    x = session.tensor(picture.pixels)
    channels, height, width = x.shape[1:]
    blur = find_blur(options, x, picture.source)
    kh, kw = blur.kernel.shape
    if kh > height or kw > width:
        raise InputError(
            f"the kernel is {kw}×{kh} pixels, larger than {picture.source} ({width}×{height}); "
            "use a smaller kernel or a larger picture"
        )
    kernel = blur.kernel.to(session.device, session.dtype)
    valid = options.boundary == "valid"
    whole = (slice(None), slice(None))
    inner = (slice(kh // 2, None if kh < 3 else -(kh // 2)),
             slice(kw // 2, None if kw < 3 else -(kw // 2)))  # fmt: skip
    crop = inner if valid else whole
    if options.simulate:
        A = Convolution(kernel, x.shape[1:], options.boundary)  # type: ignore[arg-type]
        if min(A.measurement_shape[1:]) < MIN_SIDE:
            raise InputError(
                f"{picture.source} ({width}×{height}) leaves less than {MIN_SIDE} pixels beside "
                f"the kernel's border ({kw}×{kh}); use a smaller kernel or another --boundary"
            )
        generator = torch.Generator().manual_seed(options.seed)
        noise = torch.randn((1, *A.measurement_shape), generator=generator, dtype=torch.float64)
        y = A.A(x) + options.simulated_level * noise.to(x)
        truth: Tensor | None = x[..., crop[0], crop[1]]
    else:
        grown = (channels, height + kh - 1, width + kw - 1) if valid else x.shape[1:]
        A = Convolution(kernel, grown, options.boundary)  # type: ignore[arg-type]
        y = x
        truth = None if reference is None else session.tensor(reference.pixels)
    level, origin = options.noise_level, "simulated" if options.simulate else "given"
    if level is None:
        level, origin = float(estimate_noise_level(y)), "estimated from the picture"
    return Problem(y, A, crop, blur, level, origin, truth)
