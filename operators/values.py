"""Numbers as tensors where the pictures are, without waiting for the device.

Knows no operator: what a number means, and whether it may be so large, is for its user to say.
"""

from __future__ import annotations

import torch
from torch import Tensor


def values_like(values: object, like: Tensor) -> Tensor:
    """One number or several, of the dtype and on the device of `like`, as (n,).

    A number is filled in on the device. Copied there it would make the host wait for all that
    the device still has to do, once in every iteration.
    """
    if isinstance(values, Tensor):
        return values.to(like).flatten()
    host = torch.as_tensor(values, dtype=like.dtype).flatten()
    if host.device == like.device:
        return host
    if host.numel() != 1:
        return host.to(like.device)
    return torch.full((1,), float(host), dtype=like.dtype, device=like.device)


def are_positive(values: object, like: Tensor) -> bool:
    """Whether they are finite and above zero once they have the dtype of `like`.

    Numbers are looked at on the host; a tensor is looked at where it is.
    """
    held = torch.as_tensor(values, dtype=like.dtype)
    return bool((torch.isfinite(held) & (held > 0)).all())
