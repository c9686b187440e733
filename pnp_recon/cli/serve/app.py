"""What the page asks for: uploads, runs, their events, pictures and reports.

The page and everything it loads lies beside this file; there is nothing else to ask for.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pnp_recon.cli.serve.bodies import check_length, read_json, receive
from pnp_recon.cli.serve.store import FullError, Job, Store, clean_name
from pnp_recon.cli.serve.workshop import BusyError, Workshop
from pnp_recon.cli.serve.wrongs import WRONGS
from pnp_recon.errors import InputError, PnPReconError

PAGE = Path(__file__).with_name("page")
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# What the worker leaves in a job's folder, for the page.
SHOWN = ("seen", "previewed", "preview", "before", "after", "kernel")
# Seconds between two looks at what is to be forgotten, whether the server ends, and comments that
# keep a connection open.
SWEEP, TICK, BREATH = 30.0, 0.3, 15.0


class Pages:
    """The routes, over a store and a workshop; `ending`: the server waits for requests to end."""

    def __init__(
        self, store: Store, workshop: Workshop, ending: Callable[[], bool] = lambda: False
    ) -> None:
        self.store, self.workshop, self.ending = store, workshop, ending
        self.files = {path.name: path.read_bytes() for path in PAGE.iterdir() if path.is_file()}

    def app(self) -> Starlette:
        """The application; the workshop works while it runs."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            tasks = [asyncio.create_task(self.workshop.run()), asyncio.create_task(self._sweep())]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        routes = [
            Route("/", self.page),
            Route("/page/{name}", self.page),
            Route("/choices", self.choices),
            Route("/jobs", self.upload, methods=["POST"]),
            Route("/jobs/{id}", self.remove, methods=["DELETE"]),
            Route("/jobs/{id}/attach", self.attach, methods=["POST"]),
            Route("/jobs/{id}/solve", self.solve, methods=["POST"]),
            Route("/jobs/{id}/cancel", self.cancel, methods=["POST"]),
            Route("/jobs/{id}/events", self.events),
            Route("/jobs/{id}/picture/{name}", self.picture),
            Route("/jobs/{id}/result", self.result),
            Route("/jobs/{id}/report", self.report),
        ]
        handlers: Any = {
            PnPReconError: _refused,
            HTTPException: _failed,
            OSError: _no_room,
            ClientDisconnect: _hung_up,
        }
        return Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)

    async def _sweep(self) -> None:
        begun = time.monotonic()
        while not self.ending():
            await asyncio.sleep(TICK)
            if time.monotonic() - begun > SWEEP:
                begun = time.monotonic()
                self.store.sweep()
        for job in self.store.jobs.values():
            job.leave("ended")  # else the server waits for who listens

    async def page(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in self.files:
            raise HTTPException(404, "there is no such page")
        return Response(self.files[name], media_type=TYPES[Path(name).suffix])

    async def choices(self, request: Request) -> Response:
        return JSONResponse({
            "wrongs": [wrong.as_json() for wrong in WRONGS.values()],
            "most_bytes": self.store.most,
            "most_megapixels": float(self.workshop.arguments[0]),
        })  # fmt: skip

    async def upload(self, request: Request) -> Response:
        """A new job for the body, which is one file; `name` is what the user calls it."""
        check_length(request, self.store.most)
        job = self.store.new(request.query_params.get("name", "picture"))
        try:
            await receive(request, job.folder / job.name, self.store.most)
            self.workshop.put(job, {"what": "look", "name": job.name})
        except BaseException:
            self.store.remove(job)
            raise
        return JSONResponse({"id": job.id}, 201)

    async def attach(self, request: Request) -> Response:
        """Another file of the job: a mask, a kernel, a geometry."""
        check_length(request, self.store.most)
        job = self._job(request)
        role, name = (request.query_params.get(one, "") for one in ("role", "name"))
        if role not in {file.role for wrong in WRONGS.values() for file in wrong.files}:
            raise InputError(f"there is no file called {role!r} to give; reload the page")
        self._refuse_busy(job)
        former = job.files.pop(role, None)  # also where this one is then broken off
        if former is not None:
            (job.folder / former).unlink(missing_ok=True)
        kept = f"{role}-{clean_name(name)}"
        if kept == job.name:
            kept = f"{role}-{kept}"
        job.attached += 1
        await receive(request, job.folder / kept, self.store.most)
        job.files[role] = kept
        job.change(files=dict(job.files))
        return JSONResponse({"file": kept}, 201)

    async def solve(self, request: Request) -> Response:
        """Begins a run, see `solving.Solver.solve` for what is said in it.

        While one is on, another strength of it is taken all the same, and solved next; of several
        the last one.
        """
        job, asked = self._job(request), await read_json(request)
        wrong = WRONGS.find(str(asked.get("wrong")))
        numbers = asked.get("numbers") or {}
        if not isinstance(numbers, dict):
            raise InputError("the numbers are no JSON object; reload the page")
        files = {one.role: job.files[one.role] for one in wrong.files if one.role in job.files}
        wrong.chosen(numbers, files)  # refuses at once what cannot be
        strength = asked.get("strength")
        number = isinstance(strength, int | float) and not isinstance(strength, bool)
        if not (strength is None or (number and 0 < strength < 1e6)):
            raise InputError(f"strength is {strength!r}; expected a number above 0")
        run = {"wrong": wrong.name, "numbers": numbers, "files": files}
        choice = {**run, "attached": job.attached}  # another file may have the same name
        warm = job.state.get("choice") == choice and job.state.get("result") is not None
        if not (warm and strength is not None):
            self._refuse_busy(job)
        request_ = {"what": "solve", "name": job.name, "strength": strength, "warm": warm, **run}
        self.workshop.put(job, request_)  # before anything changes: it may refuse
        if not warm:
            job.change(result=None, preview=None, facts=None)
        job.change(choice=choice, asked_strength=strength)
        return JSONResponse({}, 202)

    async def cancel(self, request: Request) -> Response:
        self.workshop.cancel(self._job(request))
        return JSONResponse({})

    async def remove(self, request: Request) -> Response:
        job = self._job(request)
        self.workshop.cancel(job)
        self.store.remove(job)
        return JSONResponse({})

    async def events(self, request: Request) -> Response:
        """The job's state, now and whenever it changes, as server-sent events."""
        job = self._job(request)

        async def lines() -> AsyncIterator[str]:
            changes = job.changes()
            pending = asyncio.ensure_future(anext(changes))
            try:
                while True:
                    done, _ = await asyncio.wait({pending}, timeout=BREATH)
                    if not done:
                        yield ": still here\n\n"
                        continue
                    try:
                        state = pending.result()
                    except StopAsyncIteration:
                        return
                    yield f"data: {json.dumps(state)}\n\n"
                    pending = asyncio.ensure_future(anext(changes))
            finally:
                pending.cancel()
                with suppress(BaseException):
                    await pending
                await changes.aclose()

        return StreamingResponse(lines(), media_type="text/event-stream")

    async def picture(self, request: Request) -> Response:
        job, name = self._job(request), request.path_params["name"]
        path = job.folder / "out" / f"{name}.png"
        if name not in SHOWN or not path.is_file():
            raise HTTPException(404, "there is no such picture")
        return FileResponse(path, media_type="image/png")

    async def result(self, request: Request) -> Response:
        job = self._job(request)
        found = job.state.get("result") or {}
        return self._download(job, "out/result", found.get("file"))

    async def report(self, request: Request) -> Response:
        job = self._job(request)
        return self._download(job, "out/report.zip", f"{Path(job.name).stem}_report.zip")

    def _download(self, job: Job, name: str, called: str | None) -> Response:
        path = job.folder / name
        if job.state.get("result") is None or not path.is_file():
            raise HTTPException(404, "there is no result yet")
        return FileResponse(path, filename=called, media_type="application/octet-stream")

    @staticmethod
    def _refuse_busy(job: Job) -> None:
        if job.busy:
            raise HTTPException(409, "this picture is being worked on; cancel that first")

    def _job(self, request: Request) -> Job:
        job = self.store.jobs.get(request.path_params["id"])
        if job is None:
            raise HTTPException(404, "this picture is no longer kept; upload it again")
        return job


def _refused(request: Request, error: Exception) -> Response:
    status = 503 if isinstance(error, BusyError) else 507 if isinstance(error, FullError) else 400
    return JSONResponse({"error": str(error)}, status)


def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _no_room(request: Request, error: Exception) -> Response:
    """What the disk refuses; words as the system has them."""
    assert isinstance(error, OSError)
    words = f"the file cannot be kept here ({error.strerror}); make room on the disk, and try again"
    return JSONResponse({"error": words}, 507, {"Connection": "close"})


def _hung_up(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # which nobody reads
