"""The finite groups C_N (rotations by 360°/N) and D_N (with reflections), and how they act.

An element r^a f^b first reflects (X, Y) ↦ (X, −Y) if b = 1 and then rotates by a·360°/N counter-
clockwise, X to the right and Y upwards. Representations are stacks of orthogonal matrices, one
for each element in the order of `Group.elements`. Everything here is float64 and small; the
constructors remember what they built, so that fields of one kind share their representation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class Element(NamedTuple):
    """r^rotation f^reflection."""

    rotation: int
    reflection: int


@dataclass(frozen=True)
class Group:
    """C_N, or D_N where `reflections` is set; N >= 1. C_1 is the group of one element."""

    rotations: int
    reflections: bool = False

    def __post_init__(self) -> None:
        if self.rotations < 1:
            raise ValueError(f"a group has at least one rotation, found {self.rotations}")

    @classmethod
    def named(cls, name: str) -> Group:
        """ "C4" or "D4": N rotations, without and with reflections."""
        match = re.fullmatch(r"([CD])([1-9]\d*)", name)
        if match is None:
            raise ValueError(f"unknown group {name!r}; expected C or D and a number, such as C4")
        return cls(int(match[2]), match[1] == "D")

    def __str__(self) -> str:
        return f"{'D' if self.reflections else 'C'}{self.rotations}"

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """The identity first, then the rotations, then the reflections."""
        flips = (0, 1) if self.reflections else (0,)
        return tuple(Element(a, b) for b in flips for a in range(self.rotations))

    @property
    def order(self) -> int:
        return len(self.elements)

    @property
    def on_grid(self) -> bool:
        """Whether every element maps the pixel grid onto itself (turns by 90°, flips)."""
        return 4 % self.rotations == 0

    def product(self, g: Element, h: Element) -> Element:
        sign = -1 if g.reflection else 1
        return Element(
            (g.rotation + sign * h.rotation) % self.rotations, g.reflection ^ h.reflection
        )

    def angle(self, g: Element) -> float:
        """The angle of the rotation in g, in radians."""
        return 2 * math.pi * g.rotation / self.rotations

    def turned(self, points: Tensor, g: Element) -> Tensor:
        """The points g(X, Y) of an array (..., 2)."""
        return points @ _plane(self.angle(g), g.reflection).T

    def subgroup_on_grid(self) -> tuple[Element, ...]:
        """The elements that map the pixel grid onto itself, the identity among them."""
        return tuple(g for g in self.elements if (4 * g.rotation) % self.rotations == 0)


def _plane(angle: float, reflection: int) -> Tensor:
    """Rotation by `angle` after (X, Y) ↦ (X, −Y) where `reflection` is 1."""
    # Rounded so that quarter turns hold exact zeros and ones.
    c, s = round(math.cos(angle), 15), round(math.sin(angle), 15)
    sign = -1.0 if reflection else 1.0
    return torch.tensor([[c, -s * sign], [s, c * sign]], dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Representation:
    """Orthogonal matrices ρ(g) of shape (|G|, d, d), float64.

    Attributes:
        blocks: sizes of the invariant subspaces along the diagonal, summing to d.
        permutes: every ρ(g) is a permutation, so that any pointwise function commutes with it.
    """

    group: Group
    name: str
    matrices: Tensor
    blocks: tuple[int, ...]

    @property
    def dimension(self) -> int:
        return self.matrices.shape[-1]

    @cached_property
    def permutes(self) -> bool:
        entries = (self.matrices == 0) | (self.matrices == 1)
        return bool(entries.all()) and bool((self.matrices.sum(-1) == 1).all())

    def __call__(self, g: Element) -> Tensor:
        return self.matrices[self.group.elements.index(g)]


def _representation(group: Group, name: str, matrices: Sequence[Tensor]) -> Representation:
    stack = torch.stack(list(matrices))
    return Representation(group, name, stack, (stack.shape[-1],))


@lru_cache(maxsize=64)
def trivial(group: Group) -> Representation:
    """One number that the group leaves alone: grey values, colours, memory."""
    one = torch.ones(1, 1, dtype=torch.float64)
    return _representation(group, "trivial", [one] * group.order)


@lru_cache(maxsize=64)
def regular(group: Group) -> Representation:
    """One number for each element h, permuted as h ↦ g h: feature maps of a group convolution."""
    position = {h: i for i, h in enumerate(group.elements)}
    matrices = []
    for g in group.elements:
        matrix = torch.zeros(group.order, group.order, dtype=torch.float64)
        for h in group.elements:
            matrix[position[group.product(g, h)], position[h]] = 1.0
        matrices.append(matrix)
    return _representation(group, "regular", matrices)


@lru_cache(maxsize=64)
def irreducible(group: Group, frequency: int, sign: int = 1) -> Representation:
    """The real irreducible representation of an angular frequency.

    Frequency 0, and N/2 for even N, are one number, which turns change by (−1)^a for N/2 and
    reflections by `sign`; other frequencies 0 < k < N/2 are a vector that turns k times as fast.

    Raises:
        ValueError: a frequency outside 0 … N/2, or a sign other than ±1.
    """
    n = group.rotations
    if not 0 <= 2 * frequency <= n or sign not in (1, -1):
        raise ValueError(f"{group} has no irreducible representation {frequency}, sign {sign}")
    name = f"irrep {frequency}" + ("" if sign == 1 else " odd")
    if frequency == 0 or 2 * frequency == n:
        turn = -1.0 if frequency else 1.0
        values = [turn**g.rotation * float(sign) ** g.reflection for g in group.elements]
        numbers = [torch.full((1, 1), value, dtype=torch.float64) for value in values]
        return _representation(group, name, numbers)
    planes = [_plane(frequency * group.angle(g), g.reflection) for g in group.elements]
    return _representation(group, name, planes)


def direct_sum(*parts: Representation) -> Representation:
    """Block-diagonal sum of representations of one group."""
    group = parts[0].group
    if any(part.group != group for part in parts):
        raise ValueError("a direct sum needs representations of one group")
    matrices = [torch.block_diag(*(part(g) for part in parts)) for g in group.elements]
    blocks = tuple(size for part in parts for size in part.blocks)
    name = " + ".join(part.name for part in parts)
    return Representation(group, name, torch.stack(matrices), blocks)


def invariants(matrices: Tensor, tolerance: float = 1e-9) -> Tensor:
    """Basis (n, d) of the vectors that all of (|G|, d, d) leave alone, largest entry 1.

    Columns of the average over the group, the projection onto those vectors, taken greedily and
    made orthogonal. Where the matrices permute, these are the indicators of the orbits: weights
    on them *are* the entries of the tied filter.
    """
    projection = matrices.mean(0)
    found: list[Tensor] = []
    for column in projection.T:
        rest = column.clone()
        for _ in range(2):  # twice is enough (Giraud, Langou & Rozložník 2005)
            for vector in found:
                rest -= vector * (vector @ rest)
        if float(rest.norm()) > tolerance:
            found.append(rest / rest.norm())
    basis = torch.stack(found) if found else projection.new_zeros(0, projection.shape[-1])
    return basis / basis.abs().amax(1, keepdim=True) if found else basis
