"""The first look at an upload: what it is, how it looks, and its middle for quick previews.

Runs in the worker, in the job's folder. Loads torch.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from pnp_recon.cli.ct import SCANS
from pnp_recon.cli.run.region import Region, centre
from pnp_recon.cli.serve.telling import Tell
from pnp_recon.errors import InputError
from pnp_recon.files import atomic_write
from pnp_recon.pictures.files import read_picture

# The picture as the page shows it before it is worked on, and the middle of which it is previewed.
SEEN, MIDDLE = Path("out/seen.png"), Path("out/middle.png")
# Longer side of the one in pixels, side of the other.
SHOWN, SIDE = 1600, 256


def look(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """What the upload `name` is: a picture of some size, or what may be a scan.

    Raises:
        InputError: neither.
    """
    source = Path(request["name"])
    SEEN.parent.mkdir(exist_ok=True)
    try:
        picture = read_picture(source, measured=True)
    except InputError:
        if source.suffix.lower() not in SCANS:
            raise
        return {"picture": None, "scan": True}
    pixels = picture.pixels
    channels, height, width = pixels.shape[1:]
    seen = save(pixels[..., :: _every(height, width), :: _every(height, width)], SEEN)
    save(pixels[middle((height, width)).slices], MIDDLE)
    return {
        "picture": {"width": width, "height": height, "grey": channels == 1, "shown": seen},
        "scan": source.suffix.lower() in SCANS,
    }


def middle(size: tuple[int, int]) -> Region:
    """What of a picture (height, width) is previewed."""
    return centre(size, SIDE)


def save(pixels: Tensor, path: Path) -> list[int]:
    """Writes a picture (1, C, H, W) with 8 bits for the page; returns its width and height."""
    shown = (pixels[0].detach().cpu().nan_to_num().clamp(0, 1) * 255).round().byte()
    array = shown.permute(1, 2, 0).numpy()
    image = Image.fromarray(np.ascontiguousarray(array[..., 0] if array.shape[-1] == 1 else array))
    # Little compressed, as it only goes to the next process.
    atomic_write(path, partial(image.save, format="PNG", compress_level=1))
    return list(image.size)


def _every(height: int, width: int) -> int:
    return -(-max(height, width) // SHOWN)
