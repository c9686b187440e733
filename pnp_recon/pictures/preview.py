"""Pictures as people look at them: arrays in [0, 1] for plots, small PNG files in memory."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def shown_array(picture: Tensor) -> NDArray[np.float64]:
    """(1, C, H, W) as (H, W) or (H, W, C), clipped to [0, 1]; what is no number is 0."""
    values = picture.detach().double().cpu()[0].clamp(0, 1).nan_to_num(0.0)
    array: NDArray[np.float64] = values.permute(1, 2, 0).numpy()
    return array[..., 0] if array.shape[-1] == 1 else array


def picture_png(picture: Tensor, longest: int = 1200) -> bytes:
    """(1, C, H, W), C = 1 or 3, as an 8 bit PNG no side of which is longer than `longest`."""
    from PIL import Image

    image = Image.fromarray(np.rint(shown_array(picture) * 255).astype(np.uint8))
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
