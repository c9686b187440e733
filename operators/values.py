"""Numbers as tensors where the pictures are, in their precision, without waiting for the device.

Knows no operator: what a number means, and whether it may be so large, is for its user to say.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

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


def kept_precision(like: Tensor) -> AbstractContextManager[object]:
    """A block in which a caller's autocast rounds nothing on the device of `like`.

    Networks are trained under autocast with an operator between their layers. It would run direct
    convolutions and matrices in bfloat16, and has no sparse product in it.
    """
    kind = like.device.type
    if not torch.amp.autocast_mode.is_autocast_available(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)
