"""Where the host waits for the device, seen without one: the device is torch's meta device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

META = torch.device("meta")
READS = ("__bool__", "__float__", "__int__", "item", "tolist", "cpu", "numpy")


class Waits(TorchFunctionMode):
    """Records what copies numbers to the meta device, or reads numbers from there.

    Either makes the host wait, on a device that works through a queue. Meta tensors hold no
    values: a read is answered with what lets the run go on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        first = args[0] if args else None
        on_meta = isinstance(first, Tensor) and first.device == META
        if name in READS and on_meta:
            self.found.append(name)
            return {"__bool__": True, "__float__": 1.0, "__int__": 1}.get(name, first)
        out = func(*args, **kwargs)
        if name in ("tensor", "as_tensor", "to") and not on_meta and _lands_on_meta(out):
            self.found.append(name)
        return out


def _lands_on_meta(value: object) -> bool:
    return isinstance(value, Tensor) and value.device == META


def waits(run: Callable[[], object]) -> list[str]:
    """The names of the calls in which the host waits."""
    with Waits() as mode:
        run()
    return mode.found
