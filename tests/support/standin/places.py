"""Where a tensor of the stand-in lies: a mark on its storage, which views share.

Knows nothing of operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
_MARK = "_standin"
_COMPRESSED = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)
_wrapped = torch._C._functorch.is_functorch_wrapped_tensor  # type: ignore[attr-defined]
_true_device = torch._C.TensorBase.device.__get__  # type: ignore[attr-defined]


@dataclass
class Memory:
    """Bytes of the tensors that live on the stand-in; no kernel takes any."""

    held: int = 0
    peak: int = 0

    def take(self, count: int) -> None:
        self.held += count
        self.peak = max(self.peak, self.held)


MEMORY = Memory()


class _OnGpu:
    """The mark; it goes with the storage."""

    def __init__(self, count: int) -> None:
        self.count = count
        MEMORY.take(count)

    def __del__(self) -> None:
        MEMORY.held -= self.count


# Made inside of torch's own code, which on a card would have made it where its arguments lie.
_ANYWHERE = object()


def bare(tensor: Tensor) -> Tensor:
    """Without the wrappers of `torch.func`."""
    while _wrapped(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)  # type: ignore[attr-defined]
    return tensor


def storages(tensor: Tensor) -> Iterator[Any]:
    """Those that hold the numbers of the tensor."""
    tensor = bare(tensor)
    if tensor.layout == torch.sparse_coo:
        yield tensor._values().untyped_storage()
        yield tensor._indices().untyped_storage()
    elif tensor.layout in _COMPRESSED:
        yield tensor.values().untyped_storage()
    elif tensor.layout == torch.strided:
        yield tensor.untyped_storage()


def _mark(tensor: Tensor) -> object:
    if tensor.layout is torch.strided and not _wrapped(tensor):  # the most frequent, at once
        return getattr(tensor.untyped_storage(), _MARK, None)
    return next((getattr(item, _MARK, None) for item in storages(tensor)), None)


def on_gpu(tensor: Tensor) -> bool:
    return isinstance(_mark(tensor), _OnGpu)


def anywhere(tensor: Tensor) -> bool:
    return _mark(tensor) is _ANYWHERE


def device_of(tensor: Tensor) -> torch.device:
    true: torch.device = _true_device(tensor)
    return GPU if true.type == "cpu" and on_gpu(tensor) else true


def put(tensor: Tensor, gpu: bool) -> Tensor:
    """Says where the tensor lies, with all views of it."""
    for storage in storages(tensor):
        if gpu != isinstance(getattr(storage, _MARK, None), _OnGpu):
            setattr(storage, _MARK, _OnGpu(storage.nbytes()) if gpu else None)
    return tensor


def put_anywhere(tensor: Tensor) -> None:
    for storage in storages(tensor):
        if not hasattr(storage, _MARK):
            setattr(storage, _MARK, _ANYWHERE)


def put_new(tensor: Tensor) -> None:
    """Puts it on the stand-in, unless it is a view of what lies somewhere already."""
    for storage in storages(tensor):
        if getattr(storage, _MARK, None) is None or getattr(storage, _MARK) is _ANYWHERE:
            setattr(storage, _MARK, _OnGpu(storage.nbytes()))


def is_gpu(device: Any) -> bool:
    """Whether a device, or its name, is the stand-in.

    Raises:
        RuntimeError: it is another GPU than the first.
    """
    found = torch.device(device) if not isinstance(device, torch.device) else device
    if found.type == "cuda" and found.index not in (None, 0):
        raise RuntimeError("CUDA error: invalid device ordinal")
    return found.type == "cuda"
