"""A method in a process of its own: its peak memory is its own, and it waits for its turn."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

Make = Callable[..., Callable[[], object]]
Value = TypeVar("Value")


class FreshProcess:
    """Builds make(*arguments) in a new process with so many threads; runs it when told.

    Args:
        make: function of a module (it is sent by name) that returns what is to be timed.
        threads: of torch, OpenMP and whatever follows OMP_NUM_THREADS.
    """

    def __init__(self, make: Make, arguments: tuple[Any, ...], threads: int) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, make, arguments, threads), daemon=True
        )
        self._process.start()
        theirs.close()
        self._pipe.recv()

    def seconds(self) -> float:
        """Runs once; the wall time inside the process."""
        self._pipe.send(True)
        return float(self._pipe.recv())

    def close(self) -> tuple[float, float]:
        """Ends it; peak memory of the process and how much of it was the work, in 10⁶ bytes."""
        self._pipe.send(False)
        found: tuple[float, float] = self._pipe.recv()
        self._process.join()
        return found


def in_fresh_process(function: Callable[..., Value], arguments: tuple[Any, ...]) -> Value:
    """function(*arguments), computed in a new process that ends with it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _serve(pipe: Connection, make: Make, arguments: tuple[Any, ...], threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    with torch.inference_mode():
        run = make(*arguments)
        before = resident("VmRSS")
        pipe.send(None)
        while pipe.recv():
            begin = time.perf_counter()
            run()
            pipe.send(time.perf_counter() - begin)
    peak = resident("VmHWM")
    pipe.send((peak, peak - before))


def resident(field: str) -> float:
    """A field of /proc/self/status in 10⁶ bytes; NaN on systems without it.

    The high-water mark there is of this program alone; that of getrusage counts the parent's too.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return float("nan")
    found = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return 1.024e-3 * int(found[0]) if found else float("nan")
