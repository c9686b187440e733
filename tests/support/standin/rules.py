"""What a card refuses, and where the host waits for one: looked up for each operation that runs."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from support.standin.places import anywhere, on_gpu, put_anywhere, put_new

# Operations whose results decide what the host does next.
WAITING = (
    "_linalg_check_errors",
    "_local_scalar_dense",
    "_unique2",
    "bincount",
    "equal",
    "masked_select",
    "nonzero",
    "repeat_interleave",
    "unique_consecutive",
    "unique_dim",
    "unique_dim_consecutive",
)
# They take tensors of no dimension from the CPU, though they are not entrywise.
SCALARS = ("fill_", "fill", "masked_fill", "masked_fill_", "index_fill", "index_fill_")
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")


class Log:
    """The waits of the host, each by the name of the operation."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.debug = "default"

    def wait(self, name: str, silent: bool = False) -> None:
        """Notes a wait; `torch.cuda.set_sync_debug_mode` decides what else comes of it."""
        self.found.append(name)
        if silent or self.debug == "default":
            return
        if self.debug == "error":
            raise RuntimeError(f"called a synchronizing CUDA operation: {name}")
        warnings.warn(f"called a synchronizing CUDA operation: {name}", stacklevel=3)


_inside = threading.local()


@contextmanager
def asked_for() -> Iterator[None]:
    """What is made inside was asked for by name, not made on the way by torch's own code."""
    before, _inside.asked = getattr(_inside, "asked", False), True
    try:
        yield
    finally:
        _inside.asked = before


@dataclass(frozen=True)
class Kind:
    """What the rules ask of an operation.

    Attributes:
        name: without its variant.
        reads: it reads tensors of no dimension that lie on the CPU.
        written: places of the arguments that it writes to.
        composite: it is made of others.
    """

    name: str
    reads: bool
    written: tuple[int, ...]
    composite: bool


@cache
def kind_of(func: Any) -> Kind:
    name = func._schema.name.partition("::")[2]
    reads = torch.Tag.pointwise in func.tags or name.startswith("_foreach")
    written = (i for i, a in enumerate(func._schema.arguments) if a.is_write)
    composite = torch._C._dispatch_has_kernel_for_dispatch_key(
        func.name(), torch._C.DispatchKey.CompositeImplicitAutograd
    )
    reads = reads or name in SCALARS or name in INDEXING
    return Kind(name, reads, tuple(written), composite)


class Rules(TorchDispatchMode):
    """Lets an operation run if a card would, and puts what it makes where its arguments lie."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here: its guard would load the compiler

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        kind = kind_of(func)
        if kind.composite and torch.is_inference_mode_enabled():
            with self:  # elsewhere autograd takes it apart
                return func.decompose(*args, **kwargs)
        tensors = list(tensors_of((*args, *kwargs.values())))
        gpu = any(map(on_gpu, tensors))
        if gpu:
            if kind.name == "copy_":
                self._copied(*args, **kwargs)
                return func(*args, **kwargs)
            _check(func, kind, args, tensors)
            if kind.name in WAITING or (kind.name in INDEXING and _reads(kind.name, args)):
                self.log.wait(kind.name)
            put = put_new
        elif (tensors or not getattr(_inside, "asked", False)) and all(map(anywhere, tensors)):
            put = put_anywhere
        else:
            return func(*args, **kwargs)
        out = func(*args, **kwargs)
        for made in tensors_of(out if isinstance(out, tuple | list) else (out,)):
            put(made)
        return out

    def _copied(self, to: Tensor, source: Tensor, non_blocking: bool = False) -> None:
        if anywhere(to):
            put_new(to)
        if on_gpu(to) != on_gpu(source) and not anywhere(source) and not non_blocking:
            self.log.wait("copy_")


def tensors_of(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_of(value)


def _check(func: Any, kind: Kind, args: Any, tensors: list[Tensor]) -> None:
    """Raises what torch raises where tensors of the CPU meet those of a card."""
    strangers = [t for t in tensors if not on_gpu(t)]
    if strangers and kind.name in INDEXING and on_gpu(args[0]):
        strangers = [t for t in strangers if not any(t is index for index in args[1])]
    for tensor in strangers:
        if anywhere(tensor):
            put_new(tensor)
            continue
        number = kind.reads and not tensor.ndim and tensor.device.type == "cpu"
        if not number or any(args[i] is tensor for i in kind.written if i < len(args)):
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"cuda:0 and {tensor.device}! (when checking arguments of {func})"
            )


def _reads(name: str, args: Any) -> bool:
    """Whether indexing waits: for the number of places of a mask, or for indices of the CPU."""
    indices = [t for t in args[1] if t is not None]
    masks = any(t.dtype in (torch.bool, torch.uint8) for t in indices)
    if masks and name.startswith(("index_put", "_index_put")):
        masks = args[2].numel() > 1
    return masks or any(not on_gpu(t) and not anywhere(t) for t in indices)
