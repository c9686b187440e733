"""Calls one function for many items: in this process, in several, or on a Dask cluster.

Knows nothing of what is computed; outcomes come as they are ready. Whoever writes them is the one
writer, so that nothing depends on which of the three it was.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from typing import TypeVar

from pnp_recon.errors import InputError

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Found = TypeVar("Found")

# Seconds that a scheduler has to answer.
DASK_PATIENCE = 20


def spread(
    call: Callable[[Shared, Item], Found],
    shared: Shared,
    items: Sequence[Item],
    *,
    jobs: int = 1,
    dask: str | None = None,
    died: str = "a process died, most likely for want of memory",
) -> Iterator[tuple[Item, Found]]:
    """(item, call(shared, item)) in the order in which they are ready.

    Args:
        call: a function of a module, so that other processes find it.
        shared: what all items need; it is sent along.
        items: hashable.
        jobs: processes; 1: in this one.
        dask: address of a scheduler, such as tcp://host:8786, instead of processes. Workers must
            have the package and see the data under the same path.
        died: what is said where a process is ended from outside.

    Raises:
        InputError: the cluster cannot be reached, or a process died.
        KeyboardInterrupt: what is in progress in other processes is given up.
    """
    if dask is not None:
        return _on_dask(call, shared, items, dask)
    if jobs > 1 and len(items) > 1:
        return _in_processes(call, shared, items, jobs, died)
    return ((item, call(shared, item)) for item in items)


def _in_processes(
    call: Callable[[Shared, Item], Found],
    shared: Shared,
    items: Sequence[Item],
    jobs: int,
    died: str,
) -> Iterator[tuple[Item, Found]]:
    # Spawned, not forked: torch's threads do not survive a fork.
    others = set(active_children())
    pool = ProcessPoolExecutor(
        jobs, get_context("spawn"), initializer=_end_with, initargs=(os.getpid(),)
    )
    try:
        futures = {pool.submit(call, shared, item): item for item in items}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise InputError(died) from error
    except KeyboardInterrupt:
        # Without this the interpreter waits at its end for what is in progress.
        for child in set(active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _end_with(parent: int) -> None:
    """Ends this process when its parent is gone: a killed run leaves nobody behind."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _on_dask(
    call: Callable[[Shared, Item], Found], shared: Shared, items: Sequence[Item], address: str
) -> Iterator[tuple[Item, Found]]:
    try:
        from distributed import Client
        from distributed import as_completed as completed
    except ImportError as error:
        raise InputError(
            "--dask needs Dask, which is not installed; install pnp-recon[cluster]"
        ) from error
    try:
        client = Client(address, timeout=DASK_PATIENCE)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at {address!r} ({error}); start one with `dask scheduler` "
            "and pass its address, such as tcp://host:8786"
        ) from error
    with client:
        sent = client.scatter(shared, broadcast=True)
        futures = {client.submit(call, sent, item, pure=False): item for item in items}
        for future in completed(futures):
            yield futures[future], future.result()
