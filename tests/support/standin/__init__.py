"""A stand-in for a GPU: device code runs without one, and fails where a card would make it fail.

    with standin() as log:
        x = torch.rand(3, device="cuda")   # x.device is cuda:0
        x + torch.rand(3)                  # RuntimeError, as on a card
        x.cpu()                            # log.found == ["to"]: the host waits

Tensors are those of the CPU with a mark on their storage: their numbers are the CPU's to the last
bit. What torch says of devices in Python is replaced while the block runs. Kernels, TF32, memory,
speed and the order of streams are not stood in for; CUDA graphs and the compiler refuse.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from support.standin import runtime, saved, tensors
from support.standin.rules import Log, Rules

__all__ = ["Log", "standin", "standing_in"]

_MISSING = object()


@contextmanager
def standin() -> Iterator[Log]:
    """The stand-in is there while the block runs, in all threads.

    Raises:
        RuntimeError: it is there already, or a GPU is.
    """
    if torch.cuda.is_available():
        raise RuntimeError("a CUDA device is here, or its stand-in; neither needs another")
    from operators import originals  # not at the start of every test run

    log = Log()
    with ExitStack() as stack:
        for owner, name, value in [*tensors.patches(log), *runtime.patches(log)]:
            stack.enter_context(_replaced(owner, name, value))
        stack.enter_context(_replaced(threading.Thread, "run", _ruled(log)))
        # Runs are certified as on a card: what the stand-in replaces computes what torch does.
        known = originals.OWN | {__name__.partition(".")[0]}
        stack.enter_context(_replaced(originals, "OWN", known))
        stack.enter_context(_replaced(originals, "KNOWN", originals.record()))
        stack.enter_context(saved.locations())
        stack.enter_context(Rules(log))
        yield log


def standing_in() -> bool:
    """Whether it is here now."""
    return torch.cuda.is_available() and torch.cuda.get_device_name() == runtime.NAME


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = vars(owner).get(name, _MISSING)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if before is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


def _ruled(log: Log) -> Any:
    run = threading.Thread.run

    def ruled(self: threading.Thread) -> None:
        with Rules(log):
            run(self)

    return ruled
