"""What the optimisers share: closures that evaluate the loss, and numbers that are refused."""

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


def value_of(loss: Any) -> float:
    """A loss as a number.

    Raises:
        InputError: the closure gave none.
    """
    try:
        return float(loss)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"the closure gives a {type(loss).__name__}; expected the loss, a number"
        ) from error


def positive(**values: float) -> None:
    for name, value in values.items():
        if not (isinstance(value, int | float) and 0 < value < math.inf):
            raise InputError(f"{name} is {value!r}; expected a finite number above 0")


def not_negative(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise InputError(f"{name} is {value:g}; expected at least 0")


class Stepping(torch.optim.Optimizer):
    """An optimiser of torch whose groups may each have numbers of their own, which are checked.

    Attributes:
        takes_complex: whether its law holds for complex parameters, as pairs of real ones.
    """

    takes_complex = False

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        self.check(self.param_groups[-1])

    def check(self, group: dict[str, Any]) -> None:
        """Refuses parameters and numbers of a group for which the law does not hold.

        Raises:
            InputError: it does not.
        """
        positive(lr=group["lr"])
        if not self.takes_complex and any(u.is_complex() for u in group["params"]):
            raise InputError("found a complex parameter; expected real ones")
