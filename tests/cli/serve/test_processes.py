"""The server's processes: a worker that dies, a run that is cancelled, and the end of both."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
pytest.importorskip("uvicorn", reason="the extra web is not installed")

from support.served import Served, alive, blurred, children, encoded, listened, served, soon

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

KNOWN = {"length": 5, "angle": 0}
LONG_RUN = encoded(blurred(400))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as running:
        yield running


def test_a_worker_that_died_unused_is_replaced(server: Served) -> None:
    server.until(server.upload(encoded(blurred())), "ready")
    (worker,) = children(server.process.pid)
    os.kill(worker, signal.SIGKILL)
    assert soon(lambda: worker not in children(server.process.pid))
    assert server.until(server.upload(encoded(blurred())), "ready", "failed")["phase"] == "ready"


def test_a_run_is_cancelled_at_once_and_the_next_goes_on(server: Served) -> None:
    job, other = server.upload(LONG_RUN), server.upload(encoded(blurred()))
    server.until(job, "ready"), server.until(other, "ready")
    (worker,) = children(server.process.pid)
    server.solve(job, "moved", numbers=KNOWN)
    assert server.when(job, lambda state: state.get("phase") == "working")
    server.solve(other, "moved", numbers=KNOWN)
    waiting = server.until(other, "waiting")
    assert waiting["ahead"] == 1
    assert server.solve(job, "moved")[0] == 409
    assert server.ask("POST", f"jobs/{job}/cancel", b"")[0] == 200
    assert server.until(job, "cancelled", "done")["phase"] == "cancelled"
    assert soon(lambda: not alive(worker))
    assert server.until(other, "done", "failed")["phase"] == "done"


def test_a_computation_that_dies_is_said_and_the_next_one_runs(server: Served) -> None:
    job = server.upload(LONG_RUN)
    server.until(job, "ready")
    server.solve(job, "moved", numbers=KNOWN)
    server.when(job, lambda state: state.get("phase") == "working" and bool(state.get("stage")))
    (worker,) = children(server.process.pid)
    os.kill(worker, signal.SIGKILL)
    assert "want of memory" in server.until(job, "failed", "done")["error"]
    assert server.until(server.upload(encoded(blurred())), "ready", "failed")["phase"] == "ready"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_cleanly_with_a_page_open(tmp_path: Path, how: signal.Signals) -> None:
    if signal.getsignal(how) is signal.SIG_IGN:
        pytest.skip("started by nohup, which a server heeds as well")
    with served(tmp_path) as server:
        job = server.upload(encoded(blurred()))
        listening, told = listened(server, job)
        server.until(job, "ready")
        workers = children(server.process.pid)
        assert server.end(how) == 0
        listening.join(20)
        assert told[-1]["phase"] == "ended"
        assert soon(lambda: not any(map(alive, workers)))
        assert list(tmp_path.iterdir()) == []


def test_killed_it_takes_its_worker_along(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        job = server.upload(LONG_RUN)
        server.until(job, "ready")
        server.solve(job, "moved", numbers=KNOWN)
        server.until(job, "working")
        workers = children(server.process.pid)
        assert workers
        server.end(signal.SIGKILL)
        assert soon(lambda: not any(map(alive, workers)))
