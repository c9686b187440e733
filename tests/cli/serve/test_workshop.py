"""The queue over a process that cannot be had, is full, or tells of numbers that are none."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")

from starlette.requests import Request

from pnp_recon.cli.serve import workshop as workshops
from pnp_recon.cli.serve.app import Pages
from pnp_recon.cli.serve.store import Job, Store
from pnp_recon.cli.serve.telling import as_line
from pnp_recon.cli.serve.workshop import NOT_LOADED, NOT_STARTED, BusyError, Workshop

WORKS = """echo '{"event": "ready"}'
read request
echo '{"event": "done", "held": 0, "scan": true}'
read end"""


async def in_phase(job: Job, *phases: str) -> dict[str, Any]:
    async for state in job.changes():
        if state.get("phase") in phases:
            return state
    raise AssertionError("the job has left")


@pytest.mark.skipif(sys.platform == "win32", reason="the worker is a shell script")
@pytest.mark.parametrize(
    ("mode", "said"),
    [(0o700, NOT_LOADED), (0o600, NOT_STARTED.format(why="Permission denied"))],
)
def test_a_worker_that_cannot_be_had_is_said_and_tried_again_when_asked(
    mode: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        write("exit 1", mode)
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
    assert tries == (2 if said == NOT_LOADED else 1)  # and not once a second


def test_what_finds_no_place_in_the_queue_keeps_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshops, "LONGEST", 0)
    store = Store(1000, tmp_path)
    job = store.new("photo.png")
    job.state.update(phase="done", result={"file": "photo.png"})
    before = dict(job.state)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"wrong": "moved"}', "more_body": False}

    request = Request({"type": "http", "headers": [], "path_params": {"id": job.id}}, receive)
    with pytest.raises(BusyError):
        asyncio.run(Pages(store, Workshop(1, 0)).solve(request))
    assert job.state == before


def test_a_number_that_is_none_is_told_as_null() -> None:
    facts = {"noise": math.nan, "left": [math.inf], "fraction": 0.5}
    line = as_line("facts", facts)
    assert json.loads(line) == {"event": "facts", "noise": None, "left": [None], "fraction": 0.5}
    assert "NaN" in json.dumps(facts)  # which JSON.parse refuses
