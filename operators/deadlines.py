"""A time by which inner loops return what they have. Whoever sets it says what that means.

A loop that gives up early returns a result with its proven error, as if it had reached its limit
of iterations; nothing is raised.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from operators.errors import OperatorError

_until: ContextVar[float | None] = ContextVar("until", default=None)


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Within the block, `expired` says True once so many seconds have passed.

    Of nested deadlines the earlier one wins; None sets none of its own. It holds in the thread or
    task that sets it.

    Args:
        seconds: from now on, >= 0.

    Raises:
        OperatorError: for a number that is negative or NaN.
    """
    if seconds is not None and not seconds >= 0:
        raise OperatorError(f"the deadline is {seconds} seconds from now; expected a number >= 0")
    outer = _until.get()
    inner = None if seconds is None else time.monotonic() + seconds
    token = _until.set(min((t for t in (outer, inner) if t is not None), default=None))
    try:
        yield
    finally:
        _until.reset(token)


def expired() -> bool:
    """Whether the deadline has passed; False where there is none."""
    until = _until.get()
    return until is not None and time.monotonic() >= until
