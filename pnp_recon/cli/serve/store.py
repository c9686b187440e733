"""The jobs of the page and the private folder that they live in.

Nothing outside the folder is ever read for a request: a file is found by the number of its job and
a name that the server itself wrote down. Knows neither HTTP nor the worker.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pnp_recon.errors import PnPReconError

# Seconds without a visit after which a job is forgotten, and after which a folder that nobody
# tends is what a killed server left.
KEPT, STALE = 3600.0, 600.0
PREFIX, HEARTBEAT = "pnp-recon-serve-", "alive"
# Jobs are removed from the oldest on when all of them take this many times the largest upload.
ROOM = 40
# Bytes of a name: file systems take 255, and results have longer names than uploads.
LONGEST_NAME = 160
OUT = "out"
BUSY = ("sending", "waiting", "working")


class FullError(PnPReconError):
    """There is no room for another upload."""


@dataclass(eq=False)
class Job:
    """One photograph's life: uploaded, looked at, solved, perhaps solved again.

    `state` is what the page shows, plain JSON values; every change of it wakes all listeners.
    `left` is empty, or why nothing follows any more: "gone" is the job, "ended" the server.
    """

    id: str
    folder: Path
    name: str
    state: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    listeners: int = 0
    attached: int = 0
    touched: float = field(default_factory=time.monotonic)
    left: str = ""
    _bell: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def busy(self) -> bool:
        return self.state.get("phase") in BUSY

    def change(self, **facts: Any) -> None:
        self.state.update(facts)
        self.touched = time.monotonic()
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    def leave(self, why: str) -> None:
        self.left = why
        self.change()

    async def changes(self) -> AsyncGenerator[dict[str, Any], None]:
        """The state now and after every change, until nothing follows."""
        self.listeners += 1
        try:
            while not self.left:
                bell = self._bell
                yield {"id": self.id, "name": self.name, **self.state}
                await bell.wait()
            yield {"id": self.id, "name": self.name, "phase": self.left}
        finally:
            self.listeners -= 1
            self.touched = time.monotonic()


class Store:
    """All jobs, in a folder that only this user can read.

    Args:
        most: bytes that one upload may have.
        parent: where the folder is made; None: where the system keeps such folders.
    """

    def __init__(self, most: int, parent: Path | None = None) -> None:
        self.most, self.room = most, ROOM * most
        self.jobs: dict[str, Job] = {}
        place = Path(tempfile.gettempdir()) if parent is None else parent
        clear_stale(place)
        self.root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        self.beat()

    def new(self, name: str) -> Job:
        """A job for an upload of that name, in a folder of its own.

        Raises:
            FullError: all that is kept is in use.
        """
        self._make_room()
        folder = self.root / secrets.token_hex(8)
        (folder / OUT).mkdir(parents=True)
        kept = clean_name(name)
        kept = f"{kept}_" if kept.lower() == OUT else kept  # the folder beside it
        job = Job(folder.name, folder, kept, {"phase": "sending"})
        self.jobs[job.id] = job
        return job

    def remove(self, job: Job) -> None:
        self.jobs.pop(job.id, None)
        job.leave("gone")
        shutil.rmtree(job.folder, ignore_errors=True)

    def sweep(self) -> None:
        """Forgets what nobody has looked at for long, and says that this folder is tended."""
        self.beat()
        for job in list(self.jobs.values()):
            if _idle(job) and time.monotonic() - job.touched > KEPT:
                self.remove(job)

    def beat(self) -> None:
        with suppress(OSError):  # a full disk, or a folder that was tidied away
            (self.root / HEARTBEAT).touch()

    def close(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def _make_room(self) -> None:
        """Removes the oldest jobs that nobody looks at until the largest upload fits."""
        idle = sorted((job for job in self.jobs.values() if _idle(job)), key=lambda j: j.touched)
        sending = sum(job.state["phase"] == "sending" for job in self.jobs.values())
        held = _bytes_in(self.root) + sending * self.most
        while held + self.most > self.room:
            if not idle:
                raise FullError(
                    "the server keeps as many pictures as it may; remove one, or wait for one"
                )
            oldest = idle.pop(0)
            held -= _bytes_in(oldest.folder)
            self.remove(oldest)


def clean_name(name: str) -> str:
    """A file name that is one, of letters, digits, - and _, with its suffix."""
    bare = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in bare).strip("._") or "upload"
    stem, suffix = os.path.splitext(kept)
    return _cut(stem, LONGEST_NAME) + _cut(suffix, 16)


def _cut(text: str, most: int) -> str:
    """As many of the first letters as take at most so many bytes."""
    return text.encode("utf-8", "ignore")[:most].decode("utf-8", "ignore")


def clear_stale(place: Path) -> None:
    """Removes folders of servers that were killed: their heartbeat has stopped."""
    for folder in place.glob(f"{PREFIX}*"):
        try:
            beat = (folder / HEARTBEAT).stat().st_mtime
        except OSError:
            continue
        if time.time() - beat > STALE and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)


def _idle(job: Job) -> bool:
    return not job.busy and not job.listeners


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # removed meanwhile
            total += path.stat().st_size if path.is_file() else 0
    return total
