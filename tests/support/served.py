"""`pnp-recon serve` as a process of its own, and requests to it as a browser would send them."""

from __future__ import annotations

import http.client
import io
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
from PIL import Image

from scripts.serving import serving

LONG = 300.0


@dataclass
class Served:
    """A running server; `temporary` is where it keeps its folder."""

    process: subprocess.Popen[str]
    url: str
    temporary: Path

    @property
    def address(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def token(self) -> str:
        return urlsplit(self.url).path.strip("/")

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        token: str | None = None,
    ) -> tuple[int, bytes]:
        """Status and body of the answer; `path` comes behind the token."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            place = f"/{self.token if token is None else token}/{path}"
            connection.request(method, place, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def upload(self, data: bytes, name: str = "photo.png") -> str:
        """The number of the job."""
        status, answer = self.ask("POST", f"jobs?name={quote(name)}", data)
        assert status == 201, answer
        return str(json.loads(answer)["id"])

    def solve(self, job: str, wrong: str, **asked: Any) -> tuple[int, bytes]:
        return self.ask("POST", f"jobs/{job}/solve", json.dumps({"wrong": wrong, **asked}))

    def states(self, job: str) -> Iterator[dict[str, Any]]:
        """What the server tells of a job, until it ends the connection."""
        connection = http.client.HTTPConnection(self.address, timeout=LONG)
        try:
            connection.request("GET", f"/{self.token}/jobs/{job}/events")
            answer = connection.getresponse()
            assert answer.status == 200
            for line in answer:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        finally:
            connection.close()

    def until(self, job: str, *phases: str) -> dict[str, Any]:
        """The first state in one of these phases."""
        return self.when(job, lambda state: state.get("phase") in phases)

    def when(self, job: str, seen: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        return next(state for state in self.states(job) if seen(state))

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        """Ends it and returns its exit code."""
        self.process.send_signal(how)
        return self.process.wait(timeout=30)


@contextmanager
def served(temporary: Path, *arguments: str, browser: str | None = None) -> Iterator[Served]:
    """A server with these options, whose private folder lies in `temporary`; it opens `browser`, a
    program, or none."""
    environment = {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1", "BROWSER": f"{browser} %s"}
    opens = "--no-open" if browser is None else "--open"
    with serving(opens, *arguments, environment=environment) as (process, url):
        yield Served(process, url, temporary)


def blurred(side: int = 48, length: int = 5, seed: int = 0) -> np.ndarray[Any, Any]:
    """Squares on grey, moved sideways by `length` pixels, with a little noise: (side, side)."""
    draw = np.random.default_rng(seed)
    clean = np.full((side, side + length), 90.0)
    for _ in range(8):
        top, left = draw.integers(0, side - 8, 2)
        clean[top : top + 8, left : left + 8] = draw.integers(0, 255)
    moved = np.mean([clean[:, k : k + side] for k in range(length)], axis=0)
    return (moved + draw.normal(0, 2, moved.shape)).clip(0, 255).round().astype(np.uint8)


def encoded(values: np.ndarray[Any, Any], kind: str = "PNG", **how: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, kind, **how)
    return stream.getvalue()


def children(pid: int) -> list[int]:
    """Processes that this one has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(one) for one in found.split()]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def soon(happens: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it happens before so many seconds have passed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happens():
            return True
        time.sleep(0.05)
    return happens()


def listened(server: Served, job: str) -> tuple[threading.Thread, list[Any]]:
    """A thread that listens to a job, and what it was told; not before it was told something."""
    told: list[Any] = []

    def listen() -> None:
        for state in server.states(job):
            told.append(state)

    listening = threading.Thread(target=listen)
    listening.start()
    assert soon(lambda: bool(told))
    return listening, told
