"""How often an iteration makes the host wait for the device, where, and what it costs."""

from __future__ import annotations

import time
import traceback
import warnings
from collections import Counter
from functools import partial
from typing import Any

import torch

from pnp_recon import Stopping, reconstruct
from scripts.accelerator.checks.cases import NOISE, measured, model, operator_of, picture
from scripts.accelerator.checks.session import Budget, Found, Session, brief, precision

# What the profiler counts of calls and copies.
COUNTED = ("Synchronize", "Memcpy", "LaunchKernel", "cudaMalloc", "Memset")
CASES = (
    ("conv circular motion9", "none", "euler_colour"),
    ("conv circular motion9", "anderson", "euler_colour"),
    ("inpaint", "anderson", "euler_colour"),
    ("conv circular motion9", "auto", "tv"),
    ("conv valid motion9", "none", "euler_colour"),
)
# The valid blur solves a system in each step; its runs are shorter.
SHORT = "valid"


def measure(session: Session, out: Found, budget: Budget) -> None:
    x = picture(*session.size((24, 32), (321, 481))).to(session.device)
    denoiser = model("euler_colour", session.device)
    with precision("f32"), torch.no_grad():
        for label, mode in (("denoiser_alone", "f32"), ("denoiser_alone_tf32", "tf32")):
            with precision(mode):  # type: ignore[arg-type]
                alone = session.timed(lambda: denoiser(x, 10 / 255), 20, 3)
                out[label] = alone
        for kind, acceleration, prior in session.size(CASES[:1], CASES):
            run = Run(session, kind, acceleration, prior)
            name = prior if prior == "tv" else "hqs"
            key = f"{kind} {acceleration} {name}"
            session.attempt(
                out, key, partial(counted, run, out["denoiser_alone"]["host_ms"]), budget
            )


class Run:
    """Runs of so many iterations; numbers of one iteration are differences of two runs."""

    def __init__(self, session: Session, kind: str, acceleration: str, prior: str) -> None:
        self.session, self.acceleration, self.learned = session, acceleration, prior != "tv"
        x = picture(*session.size((24, 32), (321, 481)))
        self.A = operator_of(kind, tuple(x.shape[1:]), session.device)
        self.y = measured(kind, x).to(session.device)
        self.prior: Any = model(prior, session.device) if self.learned else prior
        full = (5, 15) if SHORT in kind else (10, 40)
        self.less, self.more = session.size((1, 2), full)

    def __call__(self, iterations: int) -> None:
        reconstruct(
            self.y,
            self.A,
            self.prior,
            noise_level=NOISE,
            strength=1,
            acceleration=self.acceleration,
            stopping=Stopping(tol=1e-12, max_iter=iterations, check_every=10),
        )
        self.session.sync()


def counted(run: Run, denoiser_ms: float) -> Found:
    run(2)
    times = [time.perf_counter()]
    for iterations in (run.less, run.more):
        run(iterations)
        times.append(time.perf_counter())
    first, second = times[1] - times[0], times[2] - times[1]
    row: Found = {"ms_per_iteration": 1e3 * (second - first) / (run.more - run.less)}
    if run.learned:
        row["denoiser_ms"] = denoiser_ms
        row["overhead_share"] = 1 - denoiser_ms / max(row["ms_per_iteration"], 1e-9)
    if not run.session.cuda:
        row["profile"] = "skipped: no CUDA"
        return row
    row |= waits(run)
    try:
        return row | profiled(run, row["ms_per_iteration"])
    except RuntimeError as error:  # counters may be withheld where their driver is not
        return row | {"profile": f"skipped: {brief(error)}"}


def profiled(run: Run, ms_per_iteration: float) -> Found:
    """Calls of the CUDA runtime for each iteration, and the share in which the device idles."""
    from torch.profiler import ProfilerActivity, profile

    counts, busy = [], []
    for iterations in (run.less, run.more):
        with profile(activities=[ProfilerActivity.CUDA]) as profiler:
            run(iterations)
        events = profiler.profiler.kineto_results.events()  # type: ignore[union-attr]
        counts.append(Counter(e.name()[:60] for e in events if any(k in e.name() for k in COUNTED)))
        busy.append(sum(e.duration_ns() for e in events if str(e.device_type()).endswith("CUDA")))
    apart = run.more - run.less
    busy_ms = (busy[1] - busy[0]) / apart / 1e6
    return {
        "per_iteration": per_iteration(counts[0], counts[1], apart),
        "gpu_busy_ms_per_iteration": busy_ms,
        "gpu_idle_share": 1 - busy_ms / max(ms_per_iteration, 1e-9),
    }


def waits(run: Run) -> Found:
    """The lines at which the host waits, and how often in each iteration."""
    where: Counter[str] = Counter()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if "synchroniz" in str(message):
            where[calling_line()] += 1

    tables = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        for iterations in (run.less, run.more):
            where.clear()
            torch.cuda.set_sync_debug_mode("warn")
            try:
                run(iterations)
            finally:
                torch.cuda.set_sync_debug_mode("default")
            tables.append(Counter(where))
    return {"sync_lines_per_iteration": per_iteration(tables[0], tables[1], run.more - run.less)}


def calling_line() -> str:
    """The line of the package that is being run."""
    for frame in reversed(traceback.extract_stack()):
        for package in ("/pnp_recon/", "/operators/"):
            if package in frame.filename:
                place = package[1:] + frame.filename.rpartition(package)[2]
                return f"{place}:{frame.lineno} {frame.line}"[:150]
    return "outside of the package"


def per_iteration(less: Counter[str], more: Counter[str], apart: int) -> dict[str, float]:
    found = {key: round((more[key] - less[key]) / apart, 3) for key in {*less, *more}}
    return dict(sorted(found.items(), key=lambda item: -item[1]))
