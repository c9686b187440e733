"""Groups, fields and layers that the laws of equivariance are put to, and the laws themselves.

A law is a function that measures, with `Fields.act` alone; the tests compare, and show with a
broken twin that the measurement can fail.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from laws.networks import random_tensor
from pnp_recon.networks.equivariant import (
    FieldDropout,
    FieldNorm,
    Fields,
    Group,
    GroupConv,
    NormActivation,
    Pointwise,
    Representation,
    direct_sum,
    irreducible,
    regular,
    regulars,
    scalars,
    trivial,
)

# Those that map the pixel grid onto itself, and those that only some elements of do.
ON_GRID = ("C1", "C2", "C4", "D1", "D2", "D4")
OFF_GRID = ("C3", "C8", "D8")
GROUPS = (*ON_GRID, *OFF_GRID)
# Even, odd, oblong both ways round.
SIZES = ((8, 8), (9, 9), (6, 9), (7, 4))
FIELD_TYPES = ("trivial", "regular", "irreducible")
# A layer passes if it commutes with its group to this; its broken twins miss it by a factor 100.
EXACT = 1e-10


def representation(group: Group, kind: str) -> Representation:
    """A field type; "irreducible": all frequencies up to two, and the signs of reflections."""
    if kind == "trivial":
        return trivial(group)
    if kind == "regular":
        return regular(group)
    parts = [irreducible(group, k) for k in range(min(2, group.rotations // 2) + 1)]
    return direct_sum(*parts, *([irreducible(group, 0, -1)] if group.reflections else []))


def fields(name: str, kind: str, count: int = 2) -> Fields:
    return Fields(representation(Group.named(name), kind), count)


# (group, source, target, filters): all there are.
CONVOLUTIONS = [
    (name, source, target, filters)
    for name, source, target in itertools.product(GROUPS, FIELD_TYPES, FIELD_TYPES)
    for filters in (("pixel", "harmonic") if name in ON_GRID else ("harmonic",))
]


@cache
def convolution(
    name: str, source: str, target: str, filters: str | None = None, size: int = 3
) -> GroupConv:
    """From two fields to one in float64, every parameter random; for reading, it is shared."""
    return GroupConv(fields(name, source), fields(name, target, 1), size, filters=filters).double()


def _random(layer: nn.Module) -> nn.Module:
    """Parameters of both signs, none of them what it starts as."""
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-1, 1, generator=draws)
    return layer.double()


# Maps of fields to themselves, and which field types admit them.
NONLINEARITIES: dict[str, tuple[Callable[[Fields], nn.Module], tuple[str, ...]]] = {
    "relu": (lambda f: Pointwise(f, nn.ReLU()), ("trivial", "regular")),
    "exp": (lambda f: Pointwise(f, torch.exp), ("trivial", "regular")),
    "norm-activation": (lambda f: _random(NormActivation(f)), ("trivial", "irreducible")),
    "field-dropout": (lambda f: FieldDropout(f, 0.4).train(), FIELD_TYPES),
    "field-norm": (lambda f: _random(FieldNorm(f)), FIELD_TYPES),
}
NONLINEAR = [
    (name, kind, layer)
    for name, (layer, (_, kinds)) in itertools.product(GROUPS, NONLINEARITIES.items())
    for kind in kinds
]


def network(name: str, *, size: int = 3, width: int = 1) -> nn.Sequential:
    """Lifting, group to group, projection: from pictures to pictures."""
    group = Group.named(name)
    one, wide = scalars(group, 1), regulars(group, width)
    return nn.Sequential(
        GroupConv(one, wide, size),
        Pointwise(wide, nn.ReLU()),
        GroupConv(wide, wide, size),
        Pointwise(wide, nn.ReLU()),
        GroupConv(wide, one, size),
    ).double()


# ---- laws --------------------------------------------------------------------------------------


def defect(
    function: Callable[[Tensor], Tensor],
    source: Fields,
    target: Fields,
    size: tuple[int, int],
) -> float:
    """max over g that map the grid onto itself of ‖f(g·x) − g·f(x)‖ / ‖f(x)‖, x white noise.

    Random maps draw the same numbers for both.
    """
    x = random_tensor(2, source.channels, *size, seed=3)

    def seeded(z: Tensor) -> Tensor:
        torch.manual_seed(5)
        with torch.no_grad():
            return function(z)

    y = seeded(x)
    assert float(y.norm()) > 0
    return max(
        float((seeded(source.act(x, g)) - target.act(y, g)).norm() / y.norm())
        for g in source.group.subgroup_on_grid()
    )


def worst_defect(function: Callable[[Tensor], Tensor], source: Fields, target: Fields) -> float:
    """Over even, odd and oblong grids."""
    return max(defect(function, source, target, size) for size in SIZES)


def fixed_pixels(group: Group, size: int) -> list[int]:
    """How many pixels of a size × size grid each element leaves in place: by turning the grid."""
    index = torch.arange(size**2).reshape(1, 1, size, size)
    none = scalars(group, 1)
    return [int((none.act(index, g) == index).sum()) for g in group.elements]


def tied(module: nn.Module) -> bool:
    """Whether any parameter anywhere in the module is computed from others."""
    return any("parametrizations" in name for name, _ in module.named_modules())
