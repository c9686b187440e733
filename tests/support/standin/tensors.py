"""torch's functions that name a device, or leave it, in the words of the stand-in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._device import _device_constructors

from support.standin.places import CPU, GPU, device_of, is_gpu, on_gpu, put
from support.standin.rules import Log, asked_for

# What copies numbers that the host has: it waits, where it is asked for a card.
COPYING = ("tensor", "as_tensor", "asarray", "new_tensor")
LIKE = ("zeros", "ones", "full", "empty", "rand", "randn", "randint")
NEW = ("zeros", "ones", "full", "empty", "empty_strided", "tensor")
DRAWN_IN_PLACE = (
    *("bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "normal_"),
    *("random_", "uniform_", "multinomial", "bernoulli"),
)
DRAWN = ("bernoulli", "multinomial", "normal", "poisson", "binomial")
Patch = tuple[Any, str, Any]
# Whoever looks sees that they are the stand-in's.
_named_after = functools.partial(functools.wraps, assigned=("__name__", "__doc__"))


def patches(log: Log) -> Iterator[Patch]:
    """What is replaced: the owner, the name, and the stand-in's own."""
    made = torch.Tensor
    yield made, "device", property(device_of)
    yield made, "is_cuda", property(lambda t: device_of(t).type == "cuda")
    yield made, "is_cpu", property(lambda t: device_of(t).type == "cpu")
    yield made, "get_device", lambda t: 0 if on_gpu(t) else -1
    yield made, "to", _to(log)
    yield made, "cpu", lambda t, *_, **__: t.to(CPU)
    yield (
        made,
        "cuda",
        lambda t, device=None, non_blocking=False, **__: t.to(
            GPU if device is None else device, non_blocking=non_blocking
        ),
    )
    yield made, "numpy", _refusing(made.numpy)
    yield made, "tolist", _listing(made.tolist, log)
    yield made, "record_stream", lambda t, stream: None
    for name in NEW:
        yield made, f"new_{name}", _factory(getattr(made, f"new_{name}"), log)
    for name in DRAWN_IN_PLACE:
        yield made, name, _drawing(getattr(made, name))
    for name in DRAWN:
        yield torch, name, _drawing(getattr(torch, name))
    for name in LIKE:
        yield torch, f"{name}_like", _factory(getattr(torch, f"{name}_like"), log)
    made_here = _device_constructors()
    for owner in (torch, torch.fft):
        for name, function in vars(owner).items():
            if callable(function) and function in made_here:
                yield owner, name, _factory(function, log)
    yield torch.UntypedStorage, "__deepcopy__", _copying(torch.UntypedStorage.__deepcopy__)


class Moved(torch.autograd.Function):
    """A copy of numbers on another device; gradients go the way back."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, gpu: bool, options: dict[str, Any]) -> Tensor:
        return put(_true_to(x, **options, copy=True), gpu)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.gpu, ctx.options = inputs[1:]
        ctx.dtype = inputs[0].dtype

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return Moved.apply(grads[0], not ctx.gpu, {"dtype": ctx.dtype}), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return Moved.apply(tangents[0], ctx.gpu, ctx.options)


_true_to = torch._C.TensorBase.to  # type: ignore[attr-defined]


def _to(log: Log) -> Callable[..., Tensor]:
    def to(self: Tensor, *args: Any, copy: bool = False, **kwargs: Any) -> Tensor:
        other = kwargs.pop("other", args[0] if args else None)
        if isinstance(other, Tensor):
            device, options = other.device, {"dtype": other.dtype, **kwargs}
            blocking = not options.pop("non_blocking", False)
        else:
            device, dtype, unblocked, layout = torch._C._nn._parse_to(*args, **kwargs)  # type: ignore[attr-defined]
            options = {} if dtype is None else {"dtype": dtype}
            options |= {} if layout is None else {"memory_format": layout}
            blocking = not unblocked
        if device is not None and device.type not in ("cpu", "cuda"):
            return _true_to(self, device, copy=copy, **options)
        gpu = device_of(self).type == "cuda"
        if device is None or is_gpu(device) == gpu:
            return _true_to(self, **options, copy=copy) if options or copy else self
        if blocking:
            log.wait("to")
        return Moved.apply(self, not gpu, options)

    return to


def _refusing(numpy: Callable[..., Any]) -> Callable[..., Any]:
    @_named_after(numpy)
    def refused(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        if on_gpu(self):
            raise TypeError(
                "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the "
                "tensor to host memory first."
            )
        return numpy(self, *args, **kwargs)

    return refused


def _listing(tolist: Callable[[Tensor], Any], log: Log) -> Callable[[Tensor], Any]:
    def listed(self: Tensor) -> Any:
        if on_gpu(self) and self.ndim:  # a single number is read as one, and noted there
            log.wait("tolist")
        return tolist(self)

    return listed


def _factory(make: Callable[..., Tensor], log: Log) -> Callable[..., Tensor]:
    """Takes device="cuda"; without a device the result lies where torch would put it."""
    name = make.__name__
    # Others have numbers for their first argument, or take their device from all tensors in it.
    like = name.startswith("new_") or name.endswith("_like")

    @_named_after(make)
    def made(*args: Any, device: Any = None, **kwargs: Any) -> Tensor:
        if device is not None and torch.device(device).type not in ("cpu", "cuda"):
            return make(*args, device=device, **kwargs)
        first = args[0] if args and isinstance(args[0], Tensor) else None
        gpu = first is not None and on_gpu(first) if device is None else is_gpu(device)
        check_generator(kwargs.get("generator"), gpu)
        if name in ("as_tensor", "asarray") and first is not None:
            options = {key: value for key, value in kwargs.items() if key in ("dtype", "copy")}
            return first.to(GPU if gpu else CPU, **options)
        with asked_for():
            found = make(*args, **kwargs)
        if first is not None and not like:
            return found if device is None else found.to(device)
        if name in COPYING and gpu:
            log.wait(name)
            found = found.clone()  # an array keeps its memory
        return put(found, gpu)

    return made


def _drawing(draw: Callable[..., Any]) -> Callable[..., Any]:
    @_named_after(draw)
    def drawn(*args: Any, **kwargs: Any) -> Any:
        first = next((t for t in args if isinstance(t, Tensor)), None)
        device = kwargs.get("device")
        if first is not None:
            check_generator(kwargs.get("generator"), on_gpu(first))
        elif device is not None or kwargs.get("generator") is not None:
            return _factory(draw, Log())(*args, **kwargs)
        return draw(*args, **kwargs)

    return drawn


def check_generator(generator: torch.Generator | None, gpu: bool) -> None:
    """Raises what torch raises for random numbers of one device on another."""
    if generator is not None and (generator.device.type == "cuda") != gpu:
        wanted = "cuda" if gpu else "cpu"
        raise RuntimeError(
            f"Expected a '{wanted}' device type for generator but found '{generator.device.type}'"
        )


def _copying(copied: Callable[..., Any]) -> Callable[..., Any]:
    """Copies of storages lie where these do."""

    @_named_after(copied)
    def copy(self: Any, memo: Any) -> Any:
        found = copied(self, memo)
        as_bytes = torch.empty(0, dtype=torch.uint8)
        gpu = on_gpu(as_bytes.set_(self))
        put(torch.empty(0, dtype=torch.uint8).set_(found), gpu)
        return found

    return copy
