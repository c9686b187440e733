"""The queue over a process that cannot be had, is full, or tells of numbers that are none."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")

from starlette.exceptions import HTTPException
from starlette.requests import Request

from pnp_recon.cli.serve import workshop as workshops
from pnp_recon.cli.serve.app import Pages
from pnp_recon.cli.serve.store import Job, Store
from pnp_recon.cli.serve.telling import as_line
from pnp_recon.cli.serve.workshop import ENDED_LOADING, NOT_LOADED, NOT_STARTED, BusyError, Workshop

WORKS = """echo '{"event": "ready"}'
read request
echo '{"event": "done", "held": 0, "scan": true}'
read end"""


def request_to(job: Job, asked: dict[str, Any]) -> Request:
    """To solve it, as the page sends it."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(asked).encode(), "more_body": False}

    return Request({"type": "http", "headers": [], "path_params": {"id": job.id}}, receive)


# Tells that it is done when something comes through the pipe `goes_on`.
WORKS_ON = """#!/bin/sh
echo '{{"event": "ready"}}'
while read request; do
  echo "$request" >> {asked}
  read go < {goes_on}
  echo '{{"event": "done", "held": 0, "result": {{"strength": 1}}}}'
done"""


async def in_phase(job: Job, *phases: str) -> dict[str, Any]:
    async for state in job.changes():
        if state.get("phase") in phases:
            return state
    raise AssertionError("the job has left")


@pytest.mark.skipif(sys.platform == "win32", reason="the worker is a shell script")
@pytest.mark.parametrize(
    ("end", "mode", "said"),
    [
        ("exit 1", 0o700, NOT_LOADED),
        (
            "kill -9 $$",
            0o700,
            ENDED_LOADING.format(why="the system ended it, most likely for want of memory"),
        ),
        ("kill -15 $$", 0o700, ENDED_LOADING.format(why="from outside, by signal 15")),
        ("exit 1", 0o600, NOT_STARTED.format(why="Permission denied")),
    ],
)
def test_a_worker_that_cannot_be_had_is_said_and_tried_again_when_asked(
    end: str, mode: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, starts = tmp_path / "worker", tmp_path / "starts"
    monkeypatch.setattr(sys, "executable", str(worker))

    def write(rest: str, mode: int) -> None:
        worker.write_text(f"#!/bin/sh\necho >> {starts}\n{rest}\n", encoding="utf-8")
        worker.chmod(mode)

    async def ask(shop: Workshop) -> dict[str, Any]:
        job = Store(1000, tmp_path).new("photo.png")
        shop.put(job, {"what": "look"})
        return await asyncio.wait_for(in_phase(job, "failed", "ready"), 60)

    async def course() -> tuple[dict[str, Any], dict[str, Any]]:
        shop = Workshop(1, 0)
        working = asyncio.create_task(shop.run())
        write(end, mode)
        broken = await ask(shop)
        write(WORKS, 0o700)
        mended = await ask(shop)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        return broken, mended

    broken, mended = asyncio.run(course())
    assert broken["phase"] == "failed"
    assert broken["error"] == said
    assert mended["phase"] == "ready"
    tries = len(starts.read_text(encoding="utf-8").splitlines())
    assert tries == (2 if mode == 0o700 else 1)  # and not once a second


def test_what_finds_no_place_in_the_queue_keeps_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshops, "LONGEST", 0)
    store = Store(1000, tmp_path)
    job = store.new("photo.png")
    job.state.update(phase="done", result={"file": "photo.png"})
    before = dict(job.state)
    with pytest.raises(BusyError):
        asyncio.run(Pages(store, Workshop(1, 0)).solve(request_to(job, {"wrong": "moved"})))
    assert job.state == before


@pytest.mark.skipif(sys.platform == "win32", reason="the worker is a shell script")
def test_of_strengths_that_come_while_a_run_is_on_the_last_one_is_solved_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, asked, goes_on = (tmp_path / name for name in ("worker", "asked", "goes_on"))
    worker.write_text(WORKS_ON.format(asked=asked, goes_on=goes_on), encoding="utf-8")
    worker.chmod(0o700)
    os.mkfifo(goes_on)
    monkeypatch.setattr(sys, "executable", str(worker))
    store = Store(1000, tmp_path)
    job = store.new("photo.png")
    choice = {"wrong": "moved", "numbers": {}, "files": {}, "attached": 0}
    job.state.update(phase="done", choice=choice, result={"file": "photo.png"}, found_strength=1)

    async def course() -> None:
        pages = Pages(store, Workshop(1, 0))
        working = asyncio.create_task(pages.workshop.run())
        await pages.solve(request_to(job, {"wrong": "moved", "strength": 1}))
        await asyncio.wait_for(in_phase(job, "working"), 60)
        for strength in (2, 3, 4):
            await pages.solve(request_to(job, {"wrong": "moved", "strength": strength}))
            assert job.state["phase"] == "working"
        # What is no other strength of this run is refused as ever.
        for other in ({"wrong": "moved"}, {"wrong": "focus", "strength": 2}):
            with pytest.raises(HTTPException, match="409"):
                await pages.solve(request_to(job, other))
        for run in (1, 2):
            await asyncio.to_thread(goes_on.write_text, "on\n", encoding="utf-8")
            while job.state["result"].get("run") != run:
                await asyncio.sleep(0.01)
        assert job.state["phase"] == "done"
        assert not pages.workshop.waiting
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    asyncio.run(asyncio.wait_for(course(), 60))
    solved = [json.loads(line)["strength"] for line in asked.read_text("utf-8").splitlines()]
    assert solved == [1, 4]
    assert job.state["asked_strength"] == 4


def test_a_number_that_is_none_is_told_as_null() -> None:
    facts = {"noise": math.nan, "left": [math.inf], "fraction": 0.5}
    line = as_line("facts", facts)
    assert json.loads(line) == {"event": "facts", "noise": None, "left": [None], "fraction": 0.5}
    assert "NaN" in json.dumps(facts)  # which JSON.parse refuses
