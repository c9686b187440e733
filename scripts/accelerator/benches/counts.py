"""What a computation has to do: operations and bytes, counted as it runs, and the time they take.

Operations are those of convolutions and products (two for a multiplication and an addition). Bytes
are what every kernel reads and writes at least: each of its tensors once. What stays in a cache
from one kernel to the next is counted all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from scripts.accelerator.checks.session import Found, Mode, Session


@dataclass(frozen=True)
class Work:
    """Of a computation.

    Attributes:
        operations: of its convolutions and products.
        bytes: of all kernels.
        convolution_bytes: of the convolutions among them.
    """

    operations: float
    bytes: float
    convolution_bytes: float

    def of_pixels(self, share: float) -> Work:
        """The same for a picture of so many times the pixels."""
        return Work(share * self.operations, share * self.bytes, share * self.convolution_bytes)

    def floors(self, session: Session, mode: Mode) -> Found:
        """The least milliseconds that it can take, by the ceilings that were measured.

        Of its convolutions, which is the roofline that shares refer to; and of all kernels as they
        are, without fusing.
        """
        if not {"copy", mode} <= set(session.ceilings):
            return {}
        arithmetic = 1e3 * self.operations / session.ceilings[mode]
        moving = 1e3 * self.convolution_bytes / session.ceilings["copy"]
        rest = 1e3 * (self.bytes - self.convolution_bytes) / session.ceilings["copy"]
        return {
            "arithmetic_ms": arithmetic,
            "convolutions_moving_ms": moving,
            "convolutions_floor_ms": max(arithmetic, moving),
            "kernels_floor_ms": max(arithmetic, moving) + rest,
        }


class _Bytes(TorchDispatchMode):
    """Adds up the tensors of every call that is no view."""

    def __init__(self) -> None:
        super().__init__()
        self.total, self.convolutions = 0.0, 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        returned = [r.alias_info for r in func._schema.returns]
        if any(alias is not None and not alias.is_write for alias in returned):
            return out
        tensors = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, Tensor)]
        moved = sum(t.numel() * t.element_size() for t in {id(t): t for t in tensors}.values())
        self.total += moved
        if "conv" in str(func):
            self.convolutions += moved
        return out


def counted(run: Callable[[], object]) -> Work:
    """What a run does, which it is made to do twice."""
    with torch.no_grad(), FlopCounterMode(display=False) as operations:
        run()
    with torch.no_grad(), _Bytes() as moved:
        run()
    return Work(float(operations.get_total_flops()), moved.total, moved.convolutions)
