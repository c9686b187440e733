"""The denoisers compiled and as CUDA graphs, against the same calls one kernel at a time.

A graph takes the launches away, which is most of the time for small pictures; compiling fuses what
lies between the convolutions. Both change roundings or none: the difference is in the row.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from scripts.accelerator.benches.denoisers import LEVEL, SIZES
from scripts.accelerator.checks.cases import channels_of, model
from scripts.accelerator.checks.session import (
    Budget,
    Found,
    Mode,
    Session,
    difference,
    precision,
)

FORMS = ("eager", "graph", "compile", "compile+graph")
Call = Callable[[], Tensor]


def measure(session: Session, out: Found, budget: Budget) -> None:
    cases: list[tuple[str, str, Mode]] = [
        (name, size, mode)
        for size in ("321x481", "1MP")
        for name in ("euler_colour", "euler_grey")
        for mode in session.modes
    ]
    for name, size, mode in session.size(cases[:1], cases):
        key = f"{name} {size} {mode}"
        session.attempt(out, key, partial(forms, session, name, size, mode), budget)


@torch.no_grad()
def forms(session: Session, name: str, size: str, mode: Mode) -> Found:
    """Milliseconds of each form, and its largest difference from the eager one."""
    network: Any = model(name, session.device).function
    x = torch.rand(1, channels_of(name), *session.size((24, 40), SIZES[size]))
    x = x.to(session.device)
    level = torch.full((1,), LEVEL, device=session.device)
    cast = torch.autocast(session.device, torch.bfloat16, enabled=mode == "bf16")
    row: Found = {}
    with precision(mode), cast:
        expected = network(x, level)
        row["eager"] = session.timed(lambda: network(x, level), 15, 3)
        if not session.cuda:
            return row | dict.fromkeys(FORMS[1:], "skipped: no CUDA")
        compiled = torch.compile(network, dynamic=False)
        for form, run in (
            ("graph", partial(captured, lambda: network(x, level))),
            ("compile", lambda: partial(compiled, x, level)),
            ("compile+graph", partial(captured, lambda: compiled(x, level))),
        ):
            begin = time.perf_counter()
            try:
                call: Call = run()
                got = call().clone()
            except RuntimeError as error:
                row[form] = {"error": str(error).split("\n")[0][:300]}
                continue
            built = time.perf_counter() - begin
            row[form] = session.timed(call, 15, 3) | {"built_s": built, **difference(got, expected)}
    return row


def captured(run: Call) -> Call:
    """The call as a CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = run()

    def replay() -> Tensor:
        graph.replay()
        return found

    return replay
