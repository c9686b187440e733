"""Numbers that a picture does not have: hidden by a mask, NaN, or "no data".

Internal to `pnp_recon.pictures`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pnp_recon.errors import InputError


class MaskSizeError(InputError):
    """The mask is none for the picture; whoever knows its file says which."""


def hidden_by(known: Tensor, numbers: NDArray[Any], source: Path) -> NDArray[np.bool_]:
    """Where nothing is known, (H, W, 1 or C)."""
    channels, height, width = known.shape
    if numbers.shape[:2] != (height, width) or channels not in (1, numbers.shape[-1]):
        raise MaskSizeError(
            f"the mask is {width}×{height}{'' if channels == 1 else f' with {channels} channels'} "
            f"but {source} is {numbers.shape[1]}×{numbers.shape[0]}, upright; expected a mask of "
            "the same size"
        )
    return ~known.permute(1, 2, 0).cpu().numpy()


def refuse_gaps(
    source: Path, numbers: NDArray[Any], missing: NDArray[np.bool_] | None, masked: bool
) -> None:
    """`numbers` are those that are known, `missing` says which of them are declared to be none."""
    remedy = (
        "mark them as missing (black) in the mask"
        if masked
        else "replace them first, or have pnp-inpaint fill them in, by a mask that is black there"
    )
    gaps = 0 if missing is None else int(missing.sum())
    if gaps:
        raise InputError(f'{source} holds {gaps} values that it declares to be "no data"; {remedy}')
    bad = int((~np.isfinite(numbers)).sum()) if numbers.dtype.kind == "f" else 0
    if bad:
        raise InputError(
            f"{source} holds {bad} values that are not finite (NaN or infinity); expected numbers, "
            f"{remedy}"
        )
