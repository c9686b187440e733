"""The noise of a palette as it is estimated, over the true error of the picture.

Twenty photographs of BSDS500 train, blurred by a Gaussian of 1.5 pixels, or sharp and made smaller,
stored with 16 to 256 colours by median cut, with and without the dither of Floyd and Steinberg.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from operators import Convolution, kernels
from pnp_recon.datasets.splits import training_pictures
from pnp_recon.estimation.noise.palette import palette_noise
from pnp_recon.pictures.files import read_picture

COLOURS = (16, 64, 256)
DITHERS = {"without dither": Image.Dither.NONE, "with dither": Image.Dither.FLOYDSTEINBERG}
PICTURES = 20


def blurred(picture: Tensor) -> Tensor:
    kernel = kernels.gaussian(1.5)
    return Convolution(kernel, picture.shape[1:], boundary="replicate").A(picture)


def smaller(picture: Tensor) -> Tensor:
    return functional.avg_pool2d(picture, 2)


def stored(picture: Tensor, colours: int, dither: Image.Dither) -> Tensor:
    """A picture (1, 3, H, W) as a file of so many colours gives it back."""
    pixels = (255 * picture[0].clamp(0, 1)).round().byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels)
    # Only a palette that is given is dithered to.
    palette = image.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    found = image.quantize(palette=palette, dither=dither).convert("RGB")
    return torch.from_numpy(np.array(found)).permute(2, 0, 1)[None] / 255


def ratio(picture: Tensor, colours: int, dither: Image.Dither) -> float | None:
    """Estimate over error; None where the picture is not taken for one with a palette."""
    y = stored(picture, colours, dither)
    level = palette_noise(y)
    return None if level is None else level / float((y - picture).square().mean().sqrt())


def measure(photos: Path, quick: bool) -> Iterator[tuple[str, str]]:
    """What was measured: median, lowest and highest ratio."""
    paths = training_pictures(photos)[: 2 if quick else PICTURES]
    pictures = [read_picture(path).pixels for path in paths]
    for kind, make in (("blurred", blurred), ("sharp, half the size", smaller)):
        made = [make(picture) for picture in pictures]
        for name, dither in DITHERS.items():
            for colours in COLOURS[1:2] if quick else COLOURS:
                ratios = [ratio(picture, colours, dither) for picture in made]
                known = [one for one in ratios if one is not None]
                said = f"{statistics.median(known):.2f} ({min(known):.2f} to {max(known):.2f})"
                silent = len(ratios) - len(known)
                yield (
                    f"{kind}, {colours} colours, {name}: estimate over error",
                    said + (f", {silent} without one" if silent else ""),
                )
