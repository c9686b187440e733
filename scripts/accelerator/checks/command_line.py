"""The commands with `--device`, and a denoiser as a CUDA graph, which may spoil what follows."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from pnp_recon.pictures.files import write_picture
from scripts.accelerator.checks.cases import model, picture
from scripts.accelerator.checks.session import (
    Budget,
    Found,
    Late,
    Session,
    brief,
    difference,
    precision,
)


def measure(session: Session, out: Found, budget: Budget) -> None:
    common = ["--simulate", "--device", session.device]
    if session.tiny:
        common += ["--max-iter", "3", "--acceleration", "none"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = str(folder / "picture.png")
        write_picture(folder / "picture.png", picture(*session.size((40, 48), (192, 256))))
        lines = {
            "pnp-deblur": [source, "-o", f"{folder}/deblurred.png", "--kernel", "motion"],
            "pnp-inpaint": [source, "-o", f"{folder}/filled.png", "--missing", "0.5"],
            "pnp-deblur --report": [
                source,
                *("-o", f"{folder}/again.png", "--kernel", "motion"),
                *("--report", f"{folder}/report"),
            ],
        }
        for key, line in list(lines.items())[: session.size(1, 3)]:
            module = key.split()[0].removeprefix("pnp-")
            session.attempt(out, key, partial(command, module, [*line, *common]), budget)
    session.attempt(out, "cuda graph of the denoiser", lambda: graph(session), budget)


def command(module: str, line: list[str]) -> Found:
    """Its exit code, its seconds, and the end of what it printed."""
    main = import_module(f"pnp_recon.cli.{module}").main
    printed, start = io.StringIO(), time.perf_counter()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            code = main(line)
        except SystemExit as end:
            code = end.code
    return {"exit": code, "s": time.perf_counter() - start, "output": printed.getvalue()[-1800:]}


def graph(session: Session) -> Found | str:
    """The denoiser captured once and replayed; a level that is a number must not break that."""
    if not session.cuda:
        return "skipped: no CUDA"
    net = model("euler_colour", session.device)
    x = torch.rand(1, 3, 321, 481, device=session.device)
    found: Found = {}
    # The level on the device first: a capture that fails may leave the stream unusable.
    for label, level in (
        ("level on the device", torch.full((1,), 15 / 255, device=session.device)),
        ("level a float", 15 / 255),
    ):
        run: Callable[..., Any] = net if isinstance(level, float) else net.function
        try:
            with torch.inference_mode(), precision("f32"):
                stream = torch.cuda.Stream()
                stream.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(stream):
                    for _ in range(2):
                        run(x, level)
                torch.cuda.current_stream().wait_stream(stream)
                captured = torch.cuda.CUDAGraph()
                with torch.cuda.graph(captured):
                    y = run(x, level)
                replay = session.timed(captured.replay, 20, 2)
                found[label] = {
                    "replay": replay,
                    "eager": session.timed(partial(run, x, level), 20, 2),
                    "diff": difference(y, run(x, level))["max"],
                }
        except Late:
            raise
        except Exception as error:
            found[label] = brief(error)
    return found
