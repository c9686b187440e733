"""One job at a time: the queue, and the process that works on it.

A job that is cancelled is killed with its process, and another process is started at once, so that
the next one finds torch loaded. See `worker` for what is said on the pipes.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from pnp_recon.cli.serve.store import Job
from pnp_recon.errors import PnPReconError

# A process that holds more bytes than this after a job is replaced by a fresh one.
HEAVY = 2 * 2**30
# Jobs that may wait.
LONGEST = 100
# Bytes of one event.
LINE = 4 * 2**20
NOT_LOADED = (
    "the program could not be loaded; the terminal in which pnp-recon serve runs says why, and the "
    "next try begins anew"
)
ENDED_LOADING = "the program was ended while it was loaded ({why}); the next try begins anew"
NOT_STARTED = "the program could not be started ({why}); the next try begins anew"
Request = dict[str, Any]


class BusyError(PnPReconError):
    """Too many jobs wait."""


class Workshop:
    """Works off requests, one at a time, looks first.

    Args:
        megapixels: that a picture may have.
        memory: bytes that the worker may allocate; 0: as many as there are.
    """

    def __init__(self, megapixels: float, memory: int) -> None:
        self.arguments = (f"{megapixels:g}", str(memory))
        self.waiting: deque[tuple[Job, Request]] = deque()
        self.current: Job | None = None
        self._process: Process | None = None
        self._work = asyncio.Event()

    def put(self, job: Job, request: Request) -> None:
        """Queues a request in place of what the job waits for; of one that runs it waits for the
        end. The job's state says how many are before it.

        Raises:
            BusyError: there are too many.
        """
        waiting = [entry for entry in self.waiting if entry[0] is not job]
        if len(waiting) >= LONGEST:
            raise BusyError(f"{LONGEST} pictures wait already; try again later")
        looks = sum(1 for _, other in waiting if other["what"] == "look")
        place = looks if request["what"] == "look" else len(waiting)
        waiting.insert(place, (job, {**request, "folder": str(job.folder)}))
        self.waiting = deque(waiting)
        if job is not self.current:
            self._wait(job, request)
        self._number()
        self._work.set()

    def cancel(self, job: Job) -> None:
        """Takes a job out of the queue, or ends its run."""
        self.waiting = deque(entry for entry in self.waiting if entry[0] is not job)
        if job is self.current:
            self.current = None
            self._kill()
        if job.busy:
            job.change(phase="cancelled", fraction=None, left=None)
        self._number()

    async def run(self) -> None:
        """Works until it is cancelled."""
        try:
            while True:
                process = await self._ready()
                while not self.waiting:
                    self._work.clear()
                    await self._work.wait()
                if process.returncode is not None:
                    self._process = None  # it died while there was nothing to do
                    continue
                job, request = self.waiting.popleft()
                self._number()
                self.current = job
                if request["what"] == "solve":
                    job.change(run=job.state.get("run", 0) + 1, lines=[])
                job.change(phase="working", stage="beginning", fraction=None)
                await self._follow(process, job, request)
                self.current = None
                for other, following in self.waiting:
                    if other is job:
                        self._wait(job, following)
                self._number()
        finally:
            left = self._process
            self._kill()
            if left is not None:
                await left.wait()  # else its end comes when nobody listens any more

    async def _ready(self) -> Process:
        """A process that has loaded everything."""
        while self._process is None:
            package = Path(__file__).resolve().parents[3]
            path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
            # -P: never import from the folder that it happens to be in, which is a job's.
            command = (sys.executable, "-P", "-m", "pnp_recon.cli.serve.worker", *self.arguments)
            environment = {**os.environ, "PYTHONPATH": path}
            try:
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=PIPE, stdout=PIPE, limit=LINE, env=environment
                )
            except OSError as error:  # of memory or processes, there are no more
                await self._give_up(NOT_STARTED.format(why=error.strerror or error))
                continue
            self._process = process
            if (await self._event(process)).get("event") != "ready":
                self._process = None
                code = await process.wait()
                # It says nothing itself where something from outside ended it.
                ended = ENDED_LOADING.format(why=_cause(code))
                await self._give_up(ended if code < 0 else NOT_LOADED)
        return self._process

    async def _give_up(self, why: str) -> None:
        """No process can be had: says so to all that wait, and comes back when more is asked."""
        self._work.clear()
        while self.waiting:
            job, _ = self.waiting.popleft()
            job.change(phase="failed", error=why, fraction=None, left=None)
        await self._work.wait()

    async def _follow(self, process: Process, job: Job, request: Request) -> None:
        """Sends a request and turns events into the job's state, until it has ended."""
        assert process.stdin is not None
        with suppress(ConnectionError):
            process.stdin.write(json.dumps(request).encode() + b"\n")
            await process.stdin.drain()
        while True:
            event = await self._event(process)
            if self.current is not job:
                return  # cancelled: its process is gone
            kind = event.pop("event", None)
            if kind is None:
                code = await process.wait()
                self._process = None
                job.change(phase="failed", error=_died(code), fraction=None, left=None)
                return
            if kind in ("done", "failed"):
                if event.pop("held") > HEAVY:
                    self._kill()
                _end(job, kind, event, request)
                return
            _note(job, kind, event)

    async def _event(self, process: Process) -> dict[str, Any]:
        """The next event; nothing where the process has ended."""
        assert process.stdout is not None
        line = await process.stdout.readline()
        found: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
        return found

    def _kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process = None

    @staticmethod
    def _wait(job: Job, request: Request) -> None:
        job.change(phase="waiting", asked=request["what"], error=None, stage="", fraction=None)

    def _number(self) -> None:
        """Tells all that wait how many are before them."""
        before = 0 if self.current is None else 1
        for place, (job, _) in enumerate(self.waiting):
            if job.state.get("ahead") != place + before:
                job.change(ahead=place + before)


def _note(job: Job, kind: str, event: dict[str, Any]) -> None:
    if kind == "line":
        job.change(lines=[*job.state.get("lines", []), event["text"]])
    elif kind in ("preview", "facts"):
        job.change(**{kind: {**event, "run": job.state["run"]}})
    else:
        job.change(**event)


def _end(job: Job, kind: str, event: dict[str, Any], request: Request) -> None:
    ended = {"fraction": None, "left": None, "stage": ""}
    if kind == "failed":
        job.change(phase="failed", error=event["message"], **ended)
    elif request["what"] == "look":
        job.change(phase="ready", **event, **ended)
    else:
        found = {} if request["strength"] is not None else {
            "found_strength": event["result"]["strength"]
        }  # fmt: skip
        result = {**event["result"], "run": job.state["run"]}
        job.change(phase="done", result=result, **found, **ended)


def _died(code: int) -> str:
    why = _cause(code)
    return f"the computation ended before its time ({why}); take a smaller picture, or try again"


def _cause(code: int) -> str:
    """Why a process ended, by its exit code, which a signal makes negative."""
    if code >= 0:
        return f"code {code}"
    if code == -getattr(signal, "SIGKILL", 9):
        return "the system ended it, most likely for want of memory"
    return f"from outside, by signal {-code}"
