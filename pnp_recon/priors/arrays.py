"""A function of NumPy arrays of one picture as one of tensors, for `wrap(..., arrays=True)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pnp_recon.errors import InputError


class OfArrays:
    """Pictures (B, C, H, W), one after the other, as arrays (H, W) or (H, W, C).

    Attributes:
        function: called as function(array, sigma); the result has the shape of the array.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.function, self.name = function, name

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """Raises InputError where the function fails, or gives something of another shape."""
        made = [self._of_one(one, sigma) for one in x.detach().cpu().numpy()]
        return torch.from_numpy(np.stack(made)).to(x)

    def _of_one(self, picture: Any, sigma: float) -> Any:
        given = picture[0] if len(picture) == 1 else np.moveaxis(picture, 0, -1)
        try:
            found = np.asarray(self.function(np.ascontiguousarray(given), sigma))
        except Exception as error:  # whatever it runs into
            raise InputError(
                f"denoiser {self.name} fails on an array {given.shape} in {given.dtype}: "
                f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
            ) from error
        if found.shape != given.shape or found.dtype.kind != "f":
            raise InputError(
                f"denoiser {self.name} makes an array {found.shape} in {found.dtype} of "
                f"{given.shape} in {given.dtype}; it must keep the shape, and floating numbers"
            )
        return found[None] if len(picture) == 1 else np.moveaxis(found, -1, 0)
