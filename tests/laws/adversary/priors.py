"""Routes through what somebody writes: denoisers, functionals, fidelities.

Their word is a condition of every certificate, and the run may refute it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from laws.adversary.judge import Rig, Route
from laws.adversary.weights import later
from pnp_recon import guarantees
from pnp_recon.fidelity import KullbackLeibler, LeastSquares
from pnp_recon.priors.denoiser import wrap
from pnp_recon.proximal import L1, Ridge

Function = Callable[[Tensor, float], Tensor]


# ---- denoisers ----------------------------------------------------------------------------------


def declared(function: Function, alpha: float = 0.5) -> Callable[[Rig], None]:
    def spoil(rig: Rig) -> None:
        rig.prior = wrap(function, "own", guarantees.averaged(alpha, "said"))

    return spoil


def random(x: Tensor, sigma: float) -> Tensor:
    return 0.9 * x + 0.05 + 0.05 * torch.randn_like(x)


class Stateful:
    """Every call is another map."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls += 1
        return 0.9 * x + 0.1 * (self.calls % 2)


def not_finite_later(bad: float) -> Function:
    count = [0]

    def function(x: Tensor, sigma: float) -> Tensor:
        count[0] += 1
        return 0.9 * x + 0.05 if count[0] < 4 else torch.full_like(x, bad)

    return function


def only_the_second(x: Tensor, sigma: float) -> Tensor:
    """Expands one picture of a batch of two."""
    factor = torch.ones(len(x), 1, 1, 1, dtype=x.dtype)
    factor[-1] = 1.5
    return 0.5 + factor * (x - 0.5)


def batch_of_two(rig: Rig) -> None:
    rig.y = torch.cat([rig.y, rig.y.flip(-1)])
    declared(only_the_second)(rig)


def unsharp(x: Tensor, sigma: float) -> Tensor:
    return x + 0.5 * (x - torch.nn.functional.avg_pool2d(x, 3, 1, 1))


DENOISERS = [
    Route("a random map", declared(random), "constant"),
    Route("a map with a state", lambda rig: declared(Stateful())(rig), "constant"),
    Route("NaN later", lambda rig: declared(not_finite_later(torch.nan))(rig), "constant"),
    Route("infinity later", lambda rig: declared(not_finite_later(torch.inf))(rig), "constant"),
    Route("an expansion of one in a batch", batch_of_two, "constant"),
    Route("sharpening", declared(unsharp), "constant"),
    Route("a turn of the picture", declared(lambda x, s: 1 - x.flip(-1), 0.3), "constant"),
    Route("the wrong shape", declared(lambda x, s: x[..., :-1])),
    Route("the wrong precision", declared(lambda x, s: x.float())),
]


def written_into(x: Tensor, sigma: float) -> Tensor:
    """0.9 x + 0.05, into the memory that it was given."""
    return x.mul_(0.9).add_(0.05)


def same_memory() -> Function:
    """0.9 x + 0.05, into memory of its own that it gives again and again."""
    held: dict[Any, Tensor] = {}

    def function(x: Tensor, sigma: float) -> Tensor:
        out = held.setdefault(tuple(x.shape), torch.empty_like(x))
        return out.copy_(0.9 * x + 0.05)

    return function


def plain(x: Tensor, sigma: float) -> Tensor:
    return 0.9 * x + 0.05


# True of all three, whatever memory they use: R = (N − (1−α)I)/α has constant ½.
TRUE = 0.2 / 3


# ---- functionals and fidelities -----------------------------------------------------------------


@dataclass(frozen=True)
class NotConvex(L1):
    """Hard thresholding, which is no proximal map of a convex function."""

    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        return torch.where(x.abs() > 0.3, x, 0.0), x.new_zeros(len(x))


@dataclass(frozen=True)
class Expanding(L1):
    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        return 1.5 * x, x.new_zeros(len(x))


@dataclass(frozen=True)
class Strong(L1):
    """ℓ1, said to be strongly convex."""

    @property
    def strong_convexity(self) -> float:
        return 5.0


@dataclass(frozen=True)
class Steep(Ridge):
    """A ridge three times as steep as it says."""

    def gradient(self, x: Tensor) -> Tensor:
        return 3 * self.weight * x


def prior(kind: type) -> Callable[[Rig], None]:
    def spoil(rig: Rig) -> None:
        rig.prior = kind(0.01 if issubclass(kind, L1) else 0.1)

    return spoil


@dataclass(frozen=True)
class Smoother(LeastSquares):
    """Least squares with a tenth of its Lipschitz constant."""

    @property
    def loss_lipschitz(self) -> float:
        return 0.1


@dataclass(frozen=True)
class Stronger(LeastSquares):
    @property
    def strong_convexity(self) -> float:
        return 0.9


@dataclass(frozen=True)
class Concave(LeastSquares):
    def loss_gradient(self, v: Tensor) -> Tensor:
        return -0.5 * (v - self.y)


@dataclass(frozen=True)
class OwnProx(LeastSquares):
    def prox(
        self, z: Tensor, gamma: float, start: Tensor | None = None, tol: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        return 1.5 * z, z.new_zeros(len(z))


def fidelity(kind: type[LeastSquares], ridge: float | None = None) -> Callable[[Rig], None]:
    def spoil(rig: Rig) -> None:
        rig.settings |= {"fidelity": kind(rig.A, rig.y), "ridge": ridge}

    return spoil


def unreachable(rig: Rig) -> None:
    """Counts where the operator sees nothing."""
    from operators import Inpainting

    mask = torch.ones(rig.A.image_shape[1:], dtype=torch.bool)
    mask[2, 3] = False
    rig.A = Inpainting(mask)
    rig.settings["fidelity"] = KullbackLeibler(rig.A, rig.y.abs())


def put_into(thing: Any, name: str, method: Callable[..., Any]) -> None:
    """An attribute of the instance, which is called in place of its class's method."""
    object.__setattr__(thing, name, method)


def prox_of_the_instance(rig: Rig) -> None:
    put_into(rig.prior, "prox", lambda x, step, tol=0.0: (1.3 * x, x.new_zeros(len(x))))


def prox_of_the_class(rig: Rig) -> None:
    kind = type(rig.prior)
    rig.around.callback(setattr, kind, "prox", kind.prox)
    kind.prox = lambda self, x, step, tol=0.0: (1.3 * x, x.new_zeros(len(x)))


def prox_later(rig: Rig) -> None:
    later(rig, lambda: prox_of_the_instance(rig))


def of_the_fidelity(name: str, of_class: bool) -> Callable[[Rig], None]:
    def spoil(rig: Rig) -> None:
        held = LeastSquares(rig.A, rig.y)
        rig.settings["fidelity"] = held
        before = getattr(LeastSquares, name)

        def method(self: Any, *given: Any, **named: Any) -> Any:
            found = before(self, *given, **named)
            return (1.2 * found[0], found[1]) if isinstance(found, tuple) else 1.2 * found

        if of_class:
            rig.around.callback(setattr, LeastSquares, name, before)
            setattr(LeastSquares, name, method)
        else:
            put_into(held, name, lambda *given, **named: method(held, *given, **named))

    return spoil


TAMPERED_FIDELITIES = [
    Route(f"{name} of the {'class' if of_class else 'instance'}", of_the_fidelity(name, of_class),
          "what the proof is about")
    for name in ("prox", "gradient", "loss_gradient")
    for of_class in (False, True)
]  # fmt: skip
TAMPERED_FUNCTIONALS = [
    Route("prox of the instance", prox_of_the_instance, "what the proof is about"),
    Route("prox of the class", prox_of_the_class, "what the proof is about"),
    Route("prox of the instance, while it runs", prox_later),
]
OWN_FIDELITIES = (Smoother, Stronger, Concave, OwnProx)
FIDELITIES = [
    Route(f"{kind.__name__} {words}", fidelity(kind, ridge), "convex")
    for kind in OWN_FIDELITIES
    for words, ridge in (("alone", None), ("with a ridge", 0.1))
]
FUNCTIONALS = [
    Route(kind.__name__, prior(kind), "convex") for kind in (NotConvex, Expanding, Strong, Steep)
]
