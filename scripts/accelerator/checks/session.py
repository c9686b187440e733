"""What the sections share: the device, their time, and how what they find is kept.

An attempt that fails is kept as its error, one that cannot run here as a reason; neither ends a
section. Knows no section.
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
import statistics
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch
from torch import Tensor

from pnp_recon.files import atomic_write

Mode = Literal["f32", "tf32", "bf16"]
Found = dict[str, Any]
# Of its time a section may begin attempts in this share; at the end of it it is cut.
BEGINNING = 0.85
SKIPPED = "skipped: the section's time is spent"


class Late(BaseException):
    """A section has run past its time. No `except Exception` on the way may hold it up."""


@dataclass(frozen=True)
class Budget:
    """The time of a section, or of a part of one: until when attempts may begin."""

    until: float

    @staticmethod
    def of(seconds: float) -> Budget:
        return Budget(time.perf_counter() + seconds)

    @property
    def left(self) -> float:
        return self.until - time.perf_counter()

    def part(self, share: float) -> Budget:
        """A share of what is left."""
        return Budget.of(share * self.left)


@dataclass
class Session:
    """One run of the checks.

    Attributes:
        device: "cpu" or "cuda".
        tiny: sizes that a CPU runs through in seconds: a dry run.
        errors: tracebacks of the attempts that failed.
        ceilings: what the device can do, as measured: bytes a second by "copy", operations a second
            by mode.
        save: writes what was found so far.
    """

    device: str
    tiny: bool
    errors: list[dict[str, str]] = field(default_factory=list)
    ceilings: dict[str, float] = field(default_factory=dict)
    save: Callable[[], None] = lambda: None

    @property
    def cuda(self) -> bool:
        return self.device == "cuda"

    @property
    def modes(self) -> tuple[Mode, ...]:
        """How convolutions are computed: in float32, in torch's default TF32, in bfloat16."""
        return ("f32", "tf32", "bf16") if self.cuda else ("f32",)

    def size(self, tiny: Any, full: Any) -> Any:
        return tiny if self.tiny else full

    def attempt(self, out: Found, key: str, run: Callable[[], Any], budget: Budget) -> Any:
        """out[key] is what `run` returns, or its error, or why it did not run."""
        if budget.left <= 0:
            out[key] = SKIPPED
            return None
        try:
            out[key] = run()
            self.save()
            return out[key]
        except Late:
            out[key] = "cut: the section's time is over"
            raise
        except ImportError as error:
            out[key] = f"skipped: {brief(error)}"
        except Exception as error:
            out[key] = {"error": brief(error)}
            self.keep(key)
            if self.cuda:
                torch.cuda.empty_cache()
        return None

    def keep(self, where: str) -> None:
        """Keeps the traceback of the error that is being handled."""
        self.errors.append({"at": where, "traceback": traceback.format_exc(limit=-7)})

    def sync(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()

    def timed(
        self, run: Callable[[], object], reps: int = 5, warm: int = 1, cap: float = 1.0
    ) -> Found:
        """Milliseconds of a call: of the device, and of the host until the device is done."""
        for _ in range(warm):
            run()
        self.sync()
        device, host, begin = [], [], time.perf_counter()
        for _ in range(1 if self.tiny else reps):
            start = time.perf_counter()
            if self.cuda:
                first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                first.record()
                run()
                last.record()
                last.synchronize()
                device.append(first.elapsed_time(last))
            else:
                run()
            host.append(1e3 * (time.perf_counter() - start))
            if time.perf_counter() - begin > cap:
                break
        return {
            "ms": statistics.median(device or host),
            "host_ms": statistics.median(host),
            "min_ms": min(device or host),
            "reps": len(host),
        }


@contextlib.contextmanager
def precision(mode: Mode) -> Iterator[None]:
    """Products in that mode: TF32 on for "tf32", which is cuDNN's default, off for others."""
    places: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [place.allow_tf32 for place in places]
    for place in places:
        place.allow_tf32 = mode == "tf32"
    try:
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            place.allow_tf32 = value


@contextlib.contextmanager
def cut_after(seconds: float) -> Iterator[None]:
    """Raises Late in what runs longer than that."""

    def late(number: int, frame: FrameType | None) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, max(0.01, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def brief(error: BaseException) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:400]


def difference(a: Tensor, b: Tensor) -> dict[str, float]:
    """The largest and the mean difference of two tensors, wherever they are."""
    gap = (a.detach().double().cpu() - b.detach().double().cpu()).abs()
    return {"max": float(gap.max()), "rms": float(gap.square().mean().sqrt())}


def write(path: Path, record: Found) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(plain(record), indent=1, ensure_ascii=False) + "\n")


def plain(value: Any) -> Any:
    """For JSON: six digits, and words for what JSON has no number for."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    return value if isinstance(value, int | str | bool) or value is None else str(value)
