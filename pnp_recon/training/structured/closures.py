"""What the optimisers share: the closure that evaluates the loss, and numbers that are refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from pnp_recon.errors import InputError

Closure = Callable[[], Any]


def evaluated(closure: Closure | None) -> Any:
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def needed(closure: Closure | None) -> Closure:
    if closure is None:
        raise InputError("this optimiser evaluates the loss itself; give step() a closure")
    return closure


def positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise InputError(f"{name} is {value:g}; expected a finite number above 0")
