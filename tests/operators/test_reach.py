"""A module is found however a function comes by it, and nothing is found where there is none."""

from __future__ import annotations

import functools
import types
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from laws.solvers import SIZE, blur, random_kernel
from operators import from_callable
from operators.reach import DEPTH, MOST, reached, whole

NET = nn.Linear(2, 2)
OTHER = nn.Linear(2, 2)
HOME = types.ModuleType("somebody")
HOME.net = NET  # type: ignore[attr-defined]


class Holder:
    def __init__(self, held: Any) -> None:
        self.held = [{"net": held}]

    def __call__(self, x: Tensor) -> Any:
        return self.held[0]["net"](x)

    def method(self, x: Tensor) -> Any:
        return self(x)

    @property
    def first(self) -> Any:
        return self.held[0]["net"]


class Slotted:
    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held


class Naming:
    def __call__(self, x: Tensor) -> Any:
        return NET(x)


class Around(nn.Module):
    """Holds a module where torch does not see it."""

    def __init__(self, held: Any) -> None:
        super().__init__()
        self.held = (held,)

    def forward(self, x: Tensor) -> Any:
        return self.held[0](x)


def of_class(held: Any) -> dict[str, Callable[[Tensor], Any]]:
    """Objects whose class holds it."""

    class Shared:
        net = held
        part = functools.partialmethod(lambda self, net, x: net(x), held)

        @functools.cached_property
        def cached(self) -> Any:
            return held

    class OfAttribute(Shared):
        def __call__(self, x: Tensor) -> Any:
            return self.net(x)

    class OfPart(Shared):
        def __call__(self, x: Tensor) -> Any:
            return self.part(x)

    class OfCached(Shared):
        def __call__(self, x: Tensor) -> Any:
            return self.cached(x)

    return {"attribute": OfAttribute(), "part": OfPart(), "cached": OfCached()}


def closed(net: Any) -> Callable[[Tensor], Any]:
    def f(x: Tensor) -> Any:
        return net(x)

    return f


def decorated(net: Any) -> Callable[[Tensor], Any]:
    inner = closed(net)

    @functools.wraps(inner)
    def f(*given: Any) -> Any:
        return inner(*given)

    return f


def defaulted(net: Any) -> Callable[[Tensor], Any]:
    def f(x: Tensor, held: Any = net, *, other: Any = None) -> Any:
        return held(x)

    return f


def of_slots(held: Slotted) -> Callable[[Tensor], Any]:
    return lambda x: held.held(x)


def of_method(held: Holder) -> Callable[[Tensor], Any]:
    return lambda x: held.method(x)


def of_property(held: Holder) -> Callable[[Tensor], Any]:
    return lambda x: held.first(x)


def named(x: Tensor) -> Any:
    return NET(x)


def named_in_a_module(x: Tensor) -> Any:
    return HOME.net(x)


def named_inside(x: Tensor) -> Any:
    return [(lambda z: NET(z))(x) for _ in range(2)]


WAYS = {
    "a closure": closed,
    "a decorator": decorated,
    "a default": defaulted,
    "partial": lambda net: functools.partial(lambda n, x: n(x), net),
    "partial, by name": lambda net: functools.partial(lambda x, n: n(x), n=net),
    "an object": Holder,
    "a bound method": lambda net: Holder(net).method,
    "its own method": lambda net: net.forward,
    "slots": lambda net: of_slots(Slotted(net)),
    "an attribute of an attribute": lambda net: of_slots(Slotted(Holder(net))),
    "a method by its name": lambda net: of_method(Holder(net)),
    "a property": lambda net: of_property(Holder(net)),
    "an attribute of a class": lambda net: of_class(net)["attribute"],
    "a partial method": lambda net: of_class(net)["part"],
    "a cached property": lambda net: of_class(net)["cached"],
    "a module": lambda net: net,
    "beside a module": Around,
    "a list of functions": lambda net: [closed(net)],
    "a cache": lambda net: functools.lru_cache(closed(net)),
    "a queue": lambda net: deque([net]),
    "a weak reference": weakref.ref,
    "a method of a list": lambda net: [net].__getitem__,
    "a function within functions": lambda net: closed(closed(closed(net))),
}
NAMING = {
    "a global": named,
    "a global of a module": named_in_a_module,
    "a global, further inside": named_inside,
    "a class that names it": Naming(),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_held_is_found(way: str) -> None:
    assert any(part is NET for part in reached(WAYS[way](NET)))
    assert not any(part is NET for part in reached(WAYS[way](OTHER)))


@pytest.mark.parametrize("way", NAMING)
def test_what_is_named_is_found_and_no_more(way: str) -> None:
    found = reached(NAMING[way])
    assert any(part is NET for part in found)
    assert not any(part is OTHER for part in found)


def test_a_name_of_an_attribute_is_no_global() -> None:
    def f(x: Any) -> Any:
        return x.OTHER(x)

    assert reached(f) == []


def test_what_lies_beside_what_code_names_is_not_looked_at() -> None:
    """An object that code holds may come to hold anything, such as what was made of the code."""
    held = Holder(NET)
    f = of_method(held)
    held.later = OTHER  # type: ignore[attr-defined]
    assert reached(f) == [NET]
    assert any(part is OTHER for part in reached(held))  # the twin: it was given itself


def test_what_holds_itself_ends() -> None:
    held: list[Any] = [torch.ones(2), 3, "net"]
    held.append(held)
    assert reached(held, torch.sin, len, None) == []


def test_a_search_that_is_cut_says_so() -> None:
    assert not whole([[object] for _ in range(MOST + 1)])
    assert whole([[object] for _ in range(MOST - 1)])  # the twin: as many as it looks at
    assert reached([NET, [[object] for _ in range(2 * MOST)]]) == [NET]  # it is near
    deep: list[Any] = [NET]
    for _ in range(2 * DEPTH):
        deep = [deep]
    assert (reached(deep), whole(deep)) == ([], False)


def test_containers_of_numbers_hide_nothing_and_take_no_step() -> None:
    data: list[Any] = [[number, 1.0] for number in range(3 * MOST)]
    assert whole(data)
    assert reached([NET, data]) == [NET]


def test_an_operator_of_functions_is_another_one_when_their_module_is() -> None:
    """And with the functions alone, as nobody looked into them, it is the same."""
    inner = blur(random_kernel(0))
    A = from_callable(
        lambda x: inner.A(x), lambda y: inner.A_adjoint(y), SIZE, inner.measurement_shape
    )
    before = A.fingerprint()
    assert A.fingerprint() == before
    for buffer in inner.buffers():
        if buffer.is_floating_point():
            buffer.mul_(1.5)
    assert A.fingerprint() != before
