"""torch.cuda as the stand-in answers it: one device, one queue, done at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch

from support.standin.places import CPU, GPU, MEMORY, is_gpu
from support.standin.rules import Log

NAME = "stand-in GPU"
TOTAL = 16 * 2**30
NONE = "the stand-in has no {}: that takes a GPU"
Patch = tuple[Any, str, Any]


class Stream:
    """A queue whose work is done when it is ordered."""

    def __init__(self, device: Any = None, priority: int = 0, **_: Any) -> None:
        self.device = GPU

    def wait_stream(self, stream: Stream) -> None: ...

    def wait_event(self, event: Event) -> None: ...

    def record_event(self, event: Event | None = None) -> Event:
        found = event or Event()
        found.record(self)
        return found

    def query(self) -> bool:
        return True

    def is_capturing(self) -> bool:
        return False

    def synchronize(self) -> None:
        torch.cuda.synchronize()


class Event:
    """A point in the queue, by the host's clock."""

    def __init__(self, enable_timing: bool = False, **_: Any) -> None:
        self.at = 0.0

    def record(self, stream: Stream | None = None) -> None:
        self.at = time.perf_counter()

    def wait(self, stream: Stream | None = None) -> None: ...

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        torch.cuda.synchronize()

    def elapsed_time(self, end: Event) -> float:
        return 1e3 * (end.at - self.at)


class _Kind(type(torch._C.Generator)):  # type: ignore[misc]
    def __instancecheck__(cls, thing: object) -> bool:
        return type.__instancecheck__(torch._C.Generator, thing)


class Generator(torch._C.Generator, metaclass=_Kind):  # type: ignore[misc]
    """Random numbers of the CPU, for tensors of the stand-in if it was made for these."""

    def __new__(cls, device: Any = "cpu") -> Generator:
        return super().__new__(cls, device=CPU)

    def __init__(self, device: Any = "cpu") -> None:
        self._gpu = is_gpu(device)

    @property
    def device(self) -> torch.device:
        return GPU if self._gpu else CPU


def _without(what: str) -> Callable[..., Any]:
    def refused(*_: Any, **__: Any) -> Any:
        raise RuntimeError(NONE.format(what))

    return refused


def _compile(model: Any = None, **_: Any) -> Any:
    if model is None:
        return lambda function: _compile(function)
    return _without("compiler")


def patches(log: Log) -> Iterator[Patch]:
    """What is replaced: the owner, the name, and the stand-in's own."""
    streams = [Stream()]

    @contextmanager
    def stream(chosen: Stream | None) -> Iterator[None]:
        streams.append(chosen or streams[-1])
        try:
            yield
        finally:
            streams.pop()

    def reset(device: Any = None) -> None:
        MEMORY.peak = MEMORY.held

    def debug(mode: int | str) -> None:
        log.debug = {0: "default", 1: "warn", 2: "error"}.get(mode, mode)  # type: ignore[arg-type,assignment]

    properties = SimpleNamespace(
        name=NAME,
        total_memory=TOTAL,
        major=8,
        minor=0,
        multi_processor_count=1,
        L2_cache_size=2**20,
    )
    answers: dict[str, Callable[..., Any]] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "init": lambda: None,
        "_lazy_init": lambda: None,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": is_gpu,
        "get_device_name": lambda device=None: NAME,
        "get_device_properties": lambda device=None: properties,
        "get_device_capability": lambda device=None: (8, 0),
        "is_bf16_supported": lambda *_, **__: True,
        "synchronize": lambda device=None: log.wait("synchronize", silent=True),
        "current_stream": lambda device=None: streams[-1],
        "default_stream": lambda device=None: streams[0],
        "stream": stream,
        "Stream": Stream,
        "Event": Event,
        "memory_allocated": lambda device=None: MEMORY.held,
        "memory_reserved": lambda device=None: MEMORY.held,
        "max_memory_allocated": lambda device=None: MEMORY.peak,
        "max_memory_reserved": lambda device=None: MEMORY.peak,
        "reset_peak_memory_stats": reset,
        "mem_get_info": lambda device=None: (TOTAL - MEMORY.held, TOTAL),
        "empty_cache": lambda: None,
        "is_current_stream_capturing": lambda: False,
        "set_sync_debug_mode": debug,
        "get_sync_debug_mode": lambda: ("default", "warn", "error").index(log.debug),
        "manual_seed": lambda seed: None,
        "manual_seed_all": lambda seed: None,
        "get_rng_state": lambda device=None: torch.get_rng_state(),
        "set_rng_state": lambda state, device=None: torch.set_rng_state(state),
        "CUDAGraph": _without("CUDA graphs"),
        "graph": _without("CUDA graphs"),
    }
    for name, answer in answers.items():
        yield torch.cuda, name, answer
    answers["current_device_index"] = answers["current_device"]
    answers["current_accelerator"] = lambda *_, **__: torch.device("cuda")
    if (general := getattr(torch, "accelerator", None)) is not None:  # since 2.6
        for name in (name for name in answers if hasattr(general, name)):
            yield general, name, answers[name]
    yield torch.profiler, "profile", _without("profiler")
    yield torch, "Generator", Generator
    yield torch, "compile", _compile
    # They are made of torch's own functions by its compiler, which does not take ours.
    yield torch.autograd.forward_ad, "_maybe_load_decompositions", lambda: None
    yield torch.amp.autocast_mode.autocast, "__enter__", _entered(torch.autocast.__enter__)
    yield torch.amp.autocast_mode.autocast, "__exit__", _left(torch.autocast.__exit__)


def _entered(enter: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What is computed in low precision for a card is so on the CPU that stands in for it."""

    def entered(self: Any) -> Any:
        found = enter(self)
        if self.device == "cuda":
            self.before_standin = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
            torch.set_autocast_enabled("cpu", self._enabled)
            torch.set_autocast_dtype("cpu", self.fast_dtype)
        return found

    return entered


def _left(leave: Callable[..., Any]) -> Callable[..., Any]:
    def left(self: Any, *error: Any) -> Any:
        if self.device == "cuda":
            enabled, dtype = self.before_standin
            torch.set_autocast_enabled("cpu", enabled)
            torch.set_autocast_dtype("cpu", dtype)
        return leave(self, *error)

    return left
