"""Train all four energies on one GPU under one time limit; for one at hand for minutes.

    python -m scripts.accelerator.run --data BSDS500 --out out/energies --seconds 540

Both ridge energies train first, side by side, while the gradient-step processes compile; then
energy_colour, then energy_grey, each with the GPU to itself. Every process evaluates itself while
the next one trains. What the processes have written so far is copied every 20 seconds to the output
folder: at most eight files, each whole.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.accelerator.settings import CONFIGS

ROOT = Path(__file__).resolve().parents[2]


def plan(
    names: Sequence[str], began: float, seconds: float, reserve: float, ridges: float, colour: float
) -> dict[str, tuple[float, float]]:
    """Unix times at which each training may begin and must end; 0: at once."""
    last = began + seconds - reserve
    first = [name for name in names if name.startswith("ridge")]
    second = [name for name in names if not name.startswith("ridge")]
    turn = began + ridges * seconds if first and second else (last if first else began)
    found = dict.fromkeys(first, (0.0, turn))
    cuts = [turn, turn + colour * (last - turn), last] if len(second) == 2 else [turn, last]
    for name, start, end in zip(second, cuts, cuts[1:], strict=False):
        found[name] = (start if first or start > began else 0.0, end)
    return found


class Children:
    """The trainings as processes, and one log of all that they say."""

    def __init__(self, out: Path, work: Path, began: float) -> None:
        self.out, self.work, self.began = out, work, began
        self.lock, self.log = (
            threading.Lock(),
            (out / "log.txt").open("w", buffering=1, encoding="utf-8"),
        )
        self.processes: dict[str, subprocess.Popen[str]] = {}

    def say(self, line: str) -> None:
        with self.lock:
            print(line, flush=True)
            self.log.write(line[:1500] + "\n")

    def start(self, name: str, flags: Sequence[str]) -> None:
        cache = str(self.work / "inductor")
        environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "TORCHINDUCTOR_CACHE_DIR": cache,
            "TRITON_CACHE_DIR": f"{cache}/triton",
            "TORCHINDUCTOR_COMPILE_THREADS": "5",
            "OMP_NUM_THREADS": "3",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.accelerator.train", name, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=ROOT,
            start_new_session=True,
            encoding="utf-8",
        )
        self.processes[name] = process
        threading.Thread(target=self._follow, args=(name, process), daemon=True).start()

    def _follow(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.say(line.rstrip("\n"))
        self.say(f"[{name}] ended with {process.wait()} at {time.time() - self.began:.0f} s")

    def running(self) -> bool:
        return any(process.poll() is None for process in self.processes.values())

    def stop(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is None:
                self.say(f"[{name}] stopped at {time.time() - self.began:.0f} s")
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def collect(self) -> None:
        """Best weights, states of the large networks, and one table of results."""
        results = {}
        for name in self.processes:
            kinds = ["best.safetensors"]
            kinds += [] if name.startswith("ridge") else ["state.safetensors"]
            for kind in kinds:
                file = self.work / f"{name}.{kind}"
                if file.exists():
                    copy = shutil.copyfile(file, self.work / "copy")
                    shutil.move(copy, self.out / file.name)
            with contextlib.suppress(OSError, ValueError):
                results[name] = json.loads((self.work / f"{name}.json").read_text(encoding="utf-8"))
        (self.out / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("BSDS500"))
    parser.add_argument("--out", type=Path, default=Path("out/energies"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/energies"), help="for scratch")
    parser.add_argument("--seconds", type=float, default=540.0, help="for everything")
    parser.add_argument("--reserve", type=float, default=40.0, help="seconds to evaluate in")
    parser.add_argument("--ridges", type=float, default=0.22, help="part for the ridge energies")
    parser.add_argument("--colour", type=float, default=0.6, help="part of the rest for colour")
    parser.add_argument("--only", default=",".join(CONFIGS), help="names, with commas")
    parser.add_argument("--ridge-flags", default="", help="flags of `train`")
    parser.add_argument("--energy-flags", default="--tail 0.1 --batch 32", help="flags of `train`")
    a = parser.parse_args(argv)
    began = time.time()
    a.out.mkdir(parents=True, exist_ok=True)
    a.work.mkdir(parents=True, exist_ok=True)
    children = Children(a.out, a.work, began)
    times = plan(a.only.split(","), began, a.seconds, a.reserve, a.ridges, a.colour)
    for name, (start, end) in times.items():
        more = (a.ridge_flags if name.startswith("ridge") else a.energy_flags).split()
        turn = f"from {max(0.0, start - began):.0f} s to {end - began:.0f} s"
        children.say(f"[{name}] {turn}: {' '.join(more)}")
        fixed = ["--data", str(a.data.resolve()), "--out", str(a.work)]
        clock = ["--start-at", f"{start:.1f}", "--end-at", f"{end:.1f}"]
        children.start(name, [*fixed, *clock, *more])
    copied = began
    while children.running() and time.time() < began + a.seconds:
        time.sleep(0.5)
        if time.time() - copied > 20:
            copied = time.time()
            with contextlib.suppress(OSError):
                children.collect()
    children.stop()
    children.collect()
    children.say(f"done in {time.time() - began:.0f} s: {sorted(p.name for p in a.out.iterdir())}")


if __name__ == "__main__":
    main()
