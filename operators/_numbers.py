"""Numbers that come from files and from people, checked one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable

from operators.errors import OperatorError


def finite_angles(angles: object, name: str = "angles") -> tuple[float, ...]:
    if isinstance(angles, str | bytes) or not isinstance(angles, Iterable):
        raise OperatorError(f"{name} is {angles!r}; expected a list of numbers")
    values = tuple(finite_number(f"{name}[{i}]", angle) for i, angle in enumerate(angles))
    if not values:
        raise OperatorError(f"{name} is empty; expected at least one angle")
    return values


def finite_number(
    name: str, value: object, smallest: float | None = None, strictly: bool = False
) -> float:
    bound = "" if smallest is None else f" {'>' if strictly else '>='} {smallest:g}"
    expected = f"{name} is {value!r}; expected a finite number{bound}"
    if isinstance(value, bool | str | bytes):
        raise OperatorError(expected)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise OperatorError(expected) from error
    low = smallest is not None and (number <= smallest if strictly else number < smallest)
    if not math.isfinite(number) or low:
        raise OperatorError(expected)
    return number


def whole_number(name: str, value: object) -> int:
    number = finite_number(name, value, smallest=1.0)
    if number != int(number):
        raise OperatorError(f"{name} is {value!r}; expected a whole number >= 1")
    return int(number)
