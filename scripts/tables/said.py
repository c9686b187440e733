"""Writes docs/results/said.md: what commands say of a run before it, and what it then takes.

    python -m scripts.tables.said [--quick]

Memory: two iterations on a picture of 640² pixels of a sample, at strength 1; bytes for each value
of the picture (pixels times channels) beside what the process held before the run. Time: the whole
run on 200² pixels, the search of the strength included, by the clock of one thread. Each run is a
process of its own. --quick takes 64² pixels and the first case, for a test.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

from scripts.protocol import RESULTS, ROOT, environment

DEBLUR = ["deblur", "--kernel", "motion", "--length", "9", "--angle", "30", "--boundary", "valid"]
INPAINT = ["inpaint", "--missing", "0.5"]
# Name -> command, its options, and the channels of the picture.
CASES: dict[str, tuple[list[str], int]] = {
    "missing pixels, denoiser": ([*INPAINT, "--denoiser", "euler_colour"], 3),
    "blur with unknown border, denoiser": ([*DEBLUR, "--denoiser", "euler_colour"], 3),
    "missing pixels, total variation": ([*INPAINT, "--method", "tv"], 3),
    "blur with unknown border, energy": (DEBLUR, 3),
    "the same, grey": (DEBLUR, 1),
}
SIDES = {"memory": 640, "time": 200}
FEW = ["--max-iter", "2", "--strength", "1"]


def picture(path: Path, side: int, channels: int) -> None:
    """A corner of a sample, repeated to the size."""
    import torch

    from pnp_recon.files import shipped
    from pnp_recon.pictures.colour import to_grey
    from pnp_recon.pictures.files import read_picture, write_picture

    x = read_picture(shipped("samples/coffee.png")).pixels
    x = torch.cat([x, x.flip(-1)], -1)
    x = torch.cat([x, x.flip(-2)], -2)[..., :side, :side]
    write_picture(path, x if channels == 3 else to_grey(x))


def watched(words: Sequence[str]) -> dict[str, Any]:
    """What a command says of a run, and what it takes; to be called in a process of its own."""
    from pnp_recon.cli.run import effort, job, memory

    seen: dict[str, Any] = {}
    say_memory, say_time = job.memory_lines, job.by_a_piece

    def note_memory(case: Any, prior: Any, options: Any, always: bool = False) -> Any:
        seen["held"] = memory.resident_bytes()
        seen["stated"] = memory.working_bytes(case, prior, options)
        seen["values"] = case.degraded.numel()
        return say_memory(case, prior, options, always)

    def note_time(case: Any, prior: Any, options: Any) -> Any:
        span = say_time(case, prior, options)
        seen["said"] = None if span is None else [span.low, span.high]
        seen["begun"] = time.perf_counter()
        return span

    vars(job).update(memory_lines=note_memory, by_a_piece=note_time)
    vars(effort)["SHORT"] = 0.0
    with redirect_stdout(StringIO()):
        code = import_module(f"pnp_recon.cli.{words[0]}").main([*words[1:]])
    assert code in (0, 3), code
    seen["taken"] = time.perf_counter() - seen.pop("begun")
    seen["peak"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return seen


def measured(what: str, name: str, side: int) -> dict[str, Any]:
    """`watched` in a process of its own, of a case on a picture of so many pixels."""
    words, channels = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.png"
        picture(source, side, channels)
        more = ["--simulate", *(FEW if what == "memory" else []), "-o", f"{folder}/out.png"]
        command = [sys.executable, "-m", "scripts.tables.said", "--one", *words, str(source), *more]
        places = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command,
            env={**os.environ, **places},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def tables(names: Sequence[str], sides: dict[str, int]) -> list[str]:
    lines = ["| run | bytes a value, stated | taken |", "|---|---|---|"]
    for name in names:
        one = measured("memory", name, sides["memory"])
        stated, taken = one["stated"] / one["values"], (one["peak"] - one["held"]) / one["values"]
        lines.append(f"| {name} | {stated:.0f} | {taken:.0f} |")
        print(lines[-1], flush=True)
    lines += ["", "| run | seconds, said | taken |", "|---|---|---|"]
    for name in names:
        one = measured("time", name, sides["time"])
        said = "–" if one["said"] is None else "{:.1f} to {:.1f}".format(*one["said"])
        lines.append(f"| {name} | {said} | {one['taken']:.1f} |")
        print(lines[-1], flush=True)
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--one"]:  # `measured` asks for it
        print(json.dumps(watched(words[1:])))
        return
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one small case")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    names, sides = list(CASES), SIDES
    if given.quick:
        names, sides = names[:1], dict.fromkeys(SIDES, 64)
    words_of = str(__doc__).strip().split("\n\n")[2].partition(" --quick")[0]
    head = ["# What is said before a run", "", words_of, "", f"{environment()}.", ""]
    text = "\n".join([*head, *tables(names, sides)])
    (given.results / "said.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
