"""Routes through the run itself: its data, its arithmetic, its settings and its end."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from laws.adversary.judge import Rig, Route, data
from laws.adversary.weights import later
from pnp_recon.fidelity import KullbackLeibler
from pnp_recon.solvers import Stopping

BAD = (math.nan, math.inf, -math.inf)


# ---- numbers that are none ----------------------------------------------------------------------


def with_one(values: Tensor, bad: float) -> Tensor:
    values = values.clone()
    values.flatten(1)[-1, 5] = bad
    return values


def in_data(bad: float) -> Callable[[Rig], None]:
    def spoil(rig: Rig) -> None:
        rig.y = with_one(rig.y, bad)

    return spoil


def in_one_of_two(bad: float) -> Callable[[Rig], None]:
    def spoil(rig: Rig) -> None:
        rig.y = with_one(data(rig.A, 2), bad)

    return spoil


def in_start(bad: float) -> Callable[[Rig], None]:
    def spoil(rig: Rig) -> None:
        start = torch.zeros(1, *rig.A.image_shape, dtype=rig.y.dtype)
        rig.settings["start"] = with_one(start, bad)

    return spoil


def in_background(bad: float) -> Callable[[Rig], None]:
    def spoil(rig: Rig) -> None:
        rig.settings["fidelity"] = KullbackLeibler(rig.A, rig.y.abs(), bad)

    return spoil


def setting(name: str, value: Any) -> Callable[[Rig], None]:
    def spoil(rig: Rig) -> None:
        rig.settings[name] = value

    return spoil


NUMBERS = [
    *(Route(f"{bad} in the data", in_data(bad)) for bad in BAD),
    *(Route(f"{bad} in one picture of two", in_one_of_two(bad)) for bad in BAD),
    *(Route(f"{bad} in the start", in_start(bad)) for bad in BAD),
    *(Route(f"{bad} in a background", in_background(bad)) for bad in BAD),
    *(Route(f"noise level {bad}", setting("noise_level", bad)) for bad in (*BAD, -1.0)),
    *(Route(f"ridge {bad}", setting("ridge", bad)) for bad in (*BAD, -1.0, 0.0)),
    *(Route(f"strength {bad}", setting("strength", bad)) for bad in (*BAD, -1.0, 0.0)),
    Route("whole numbers", lambda rig: setattr(rig, "y", (255 * rig.y).long())),
    Route("half precision", lambda rig: setattr(rig, "y", rig.y.half())),
    Route("no picture", lambda rig: setattr(rig, "y", rig.y[:0])),
    Route("no batch", lambda rig: setattr(rig, "y", rig.y[0])),
    Route("another shape", lambda rig: setattr(rig, "y", rig.y[..., :-1])),
]
# Other units are no fault where nothing says in which range pictures lie; denoisers say it.
BYTES = Route("bytes", lambda rig: setattr(rig, "y", 255 * rig.y))
# What only some runs take, and what is outside every range; a run without it refuses the setting.
RANGES = [
    Route(f"{name} {value}", setting(name, value))
    for name in ("step", "gamma", "relaxation", "denoiser_scaling", "denoiser_level")
    for value in (*BAD, -1.0, -1e-9)
] + [
    *(Route(f"{name} 0", setting(name, 0.0)) for name in ("step", "gamma", "relaxation")),
    *(Route(f"{name} 1e4", setting(name, 1e4)) for name in ("step", "relaxation")),
]


# ---- arithmetic ---------------------------------------------------------------------------------


def changed_data(rig: Rig) -> None:
    later(rig, lambda: rig.y.mul_(1.5))


def changed_start(rig: Rig) -> None:
    start = rig.settings["start"] = torch.full((1, *rig.A.image_shape), 0.4, dtype=rig.y.dtype)
    later(rig, lambda: start.mul_(2))


CHANGES = [Route("data change", changed_data), Route("the start changes", changed_start)]


def autocast_around(rig: Rig) -> None:
    rig.around.enter_context(torch.autocast("cpu", torch.bfloat16))


def autocast_left_on(rig: Rig) -> None:
    """A callback that enters autocast and never leaves it."""
    cast = torch.autocast("cpu", torch.bfloat16)
    later(rig, cast.__enter__)
    rig.around.callback(torch.set_autocast_enabled, "cpu", False)
    rig.around.callback(torch.clear_autocast_cache)


def autocast_in_callback(rig: Rig) -> None:
    def callback(look: Any) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            look.image()

    rig.settings["callback"] = callback


def coarse_products(rig: Rig) -> None:
    before = torch.get_float32_matmul_precision()
    rig.around.callback(torch.set_float32_matmul_precision, before)
    torch.set_float32_matmul_precision("medium")


def coarse_products_later(rig: Rig) -> None:
    before = torch.get_float32_matmul_precision()
    rig.around.callback(torch.set_float32_matmul_precision, before)
    later(rig, lambda: torch.set_float32_matmul_precision("medium"))


def default_dtype(dtype: torch.dtype) -> Callable[[Rig], None]:
    def spoil(rig: Rig) -> None:
        rig.around.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(dtype)

    return spoil


def default_dtype_later(rig: Rig) -> None:
    rig.around.callback(torch.set_default_dtype, torch.get_default_dtype())
    later(rig, lambda: torch.set_default_dtype(torch.float16))


def amplified(function: Any, given: Any, named: Any) -> Any:
    found = function(*given, **(named or {}))
    return 1.4 * found if "conv" in str(function) and isinstance(found, Tensor) else found


class Functions(TorchFunctionMode):
    def __torch_function__(self, function: Any, kinds: Any, given: Any = (), named: Any = None):  # type: ignore[no-untyped-def]
        return amplified(function, given, named)


class Operations(TorchDispatchMode):
    def __torch_dispatch__(self, function: Any, kinds: Any, given: Any = (), named: Any = None):  # type: ignore[no-untyped-def]
        return amplified(function, given, named)


def mode(kind: Callable[[], Any]) -> Callable[[Rig], None]:
    def spoil(rig: Rig) -> None:
        rig.around.enter_context(kind())

    return spoil


def mode_in_callbacks(rig: Rig) -> None:
    """Entered at the first look and left at the second, or with the run."""
    held = ExitStack()
    ways = iter([lambda: held.enter_context(Operations()), held.close])
    rig.around.callback(held.close)
    rig.settings["callback"] = lambda look: next(ways, lambda: None)()
    rig.settings["stopping"] = Stopping(1e-9, 12, check_every=3)


def of_torch(home: Any, name: str, wrapped: bool = False) -> Callable[[Rig], None]:
    def spoil(rig: Rig) -> None:
        true = getattr(home, name)
        rig.around.callback(setattr, home, name, true)
        setattr(home, name, lambda *given, **named: 1.4 * true(*given, **named))
        if wrapped:
            setattr(home, name, functools.wraps(true)(getattr(home, name)))

    return spoil


INTERCEPTED = [
    Route("a mode of functions", mode(Functions)),
    Route("a mode of operations", mode(Operations)),
    Route("a mode for a while", mode_in_callbacks),
    Route("a convolution of one's own", of_torch(torch.nn.functional, "conv2d")),
    Route("its transpose", of_torch(torch.nn.functional, "conv_transpose2d")),
    Route("a transpose by its name", of_torch(torch.nn.functional, "conv_transpose2d", True)),
    Route("a clamp of one's own", of_torch(Tensor, "clamp")),
]


def image_written(rig: Rig) -> None:
    rig.settings["callback"] = lambda look: look.image().mul_(255)


# Settings of the caller that must not reach the run: it ends as if they had not been made.
HARMLESS = [
    Route("autocast around", autocast_around),
    Route("autocast left on by a callback", autocast_left_on),
    Route("autocast inside a callback", autocast_in_callback),
    Route("coarse products", coarse_products),
    Route("coarse products from a callback", coarse_products_later),
    Route("a default device", mode(lambda: torch.device("cpu"))),
    Route("default float64", default_dtype(torch.float64)),
    Route("default float16", default_dtype(torch.float16)),
    Route("default float16 from a callback", default_dtype_later),
    Route("a callback that writes into its picture", image_written),
]


# ---- ends ---------------------------------------------------------------------------------------


def nothing_done(rig: Rig) -> None:
    rig.settings["stopping"] = Stopping(1e-9, 1)


def no_time(rig: Rig) -> None:
    rig.settings["stopping"] = Stopping(1e-9, 12, time_limit=1e-3)


def interrupted(rig: Rig) -> None:
    def callback(look: Any) -> None:
        raise KeyboardInterrupt

    rig.settings |= {"callback": callback, "stopping": Stopping(1e-9, 12, check_every=1)}


ENDS = [
    Route("one iteration", nothing_done),
    Route("no time", no_time),
    Route("interrupted at the first look", interrupted),
]
