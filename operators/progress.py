"""What is being computed, for whoever wants to show it: long steps say where they are.

Nothing is computed otherwise because of it, and without a listener it costs a look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """Within the block, in this thread or task, `listener` gets the words of every `tell`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(words: str) -> None:
    """Says what is being computed now, such as "tile 3 of 12"."""
    listener = _listener.get()
    if listener is not None:
        listener(words)
