"""Runge–Kutta tableaux, and the radius of circle contractivity that each one proves.

A field with ⟨Δf, Δx⟩ ≤ −(1/L)‖Δf‖² makes a step of a method with positive weights b
nonexpansive for h ≤ 2r/L (Dahlquist & Jeltsch 1979), r = 1/ρ, where ρ is the least number with

    B A + Aᵀ B − b bᵀ + ρ B ⪰ 0,    B = diag(b).

ρ is found by an eigenvalue solver and then *proven*: in rational arithmetic, by an LDLᵀ
decomposition without a negative pivot. It knows neither fields nor torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from pnp_recon.errors import InputError

# Denominators with which a rational ρ is looked for, before the eigenvalue is rounded up.
DENOMINATOR = 360
# What is added to an eigenvalue that is near no such fraction, and the denominator it then has.
ROUNDING = 1e-11
FINE = 10**12


@dataclass(frozen=True)
class Tableau:
    """A Runge–Kutta method: x⁺ = x + h Σ bᵢkᵢ, kᵢ = f(x + h Σⱼ aᵢⱼkⱼ).

    The control of a layer (its weights) is one for all stages, so that nodes play no part.

    Attributes:
        name: as users type it.
        matrix: a, s rows of s numbers.
        weights: b, s numbers that sum to one.
        order: the order of convergence for smooth fields.
        source: author and year.

    Raises:
        InputError: the shapes do not fit, or the weights do not sum to one.
    """

    name: str
    matrix: tuple[tuple[Fraction, ...], ...]
    weights: tuple[Fraction, ...]
    order: int
    source: str = ""

    def __post_init__(self) -> None:
        size = len(self.weights)
        if size == 0 or len(self.matrix) != size or any(len(row) != size for row in self.matrix):
            raise InputError(
                f"the tableau {self.name} has {len(self.matrix)} rows of "
                f"{sorted({len(row) for row in self.matrix})} numbers for {size} weights; "
                "expected a square matrix with a row for each weight"
            )
        # Weights such as √3 are rounded to float64, and so is their sum.
        if abs(float(sum(self.weights)) - 1) > 1e-12:
            raise InputError(
                f"the weights of the tableau {self.name} sum to {float(sum(self.weights)):.6g}; "
                "expected 1"
            )

    @property
    def stages(self) -> int:
        return len(self.weights)

    @property
    def is_explicit(self) -> bool:
        return all(
            self.matrix[i][j] == 0 for i in range(self.stages) for j in range(i, self.stages)
        )

    @cached_property
    def a(self) -> list[list[float]]:
        """The matrix in float64."""
        return [[float(entry) for entry in row] for row in self.matrix]

    @cached_property
    def b(self) -> list[float]:
        """The weights in float64."""
        return [float(entry) for entry in self.weights]

    @cached_property
    def inverse_radius(self) -> Fraction:
        """ρ, a proven upper bound; at most 0 where the method is contractive at every step size.

        Raises:
            InputError: a weight is not positive, and the theorem does not apply.
        """
        if low := [weight for weight in self.weights if weight <= 0]:
            raise InputError(
                f"{self.name} has no circle of contractivity: a weight is {float(low[0]):g}, and "
                "the theorem (Dahlquist & Jeltsch 1979) needs positive ones; take "
                f"{', '.join(CONTRACTIVE)}"
            )
        return _proven_shift(self._form(), self.weights)

    @property
    def radius(self) -> float:
        """r of circle contractivity, rounded down; infinite for ρ ≤ 0. Raises as ρ does."""
        found = self.inverse_radius
        if found <= 0:
            return float("inf")
        value = float(1 / found)
        return value if Fraction(value) <= 1 / found else float(np.nextafter(value, 0.0))

    @cached_property
    def is_conservative(self) -> bool:
        """M = BA + AᵀB − bbᵀ = 0, up to 1e-15 where the tableau was rounded to float64 (gauss4)."""
        return all(abs(entry) <= Fraction(1, 10**15) for row in self._form() for entry in row)

    def _form(self) -> list[list[Fraction]]:
        """BA + AᵀB − bbᵀ, exactly."""
        a, b, size = self.matrix, self.weights, range(self.stages)
        return [[b[i] * a[i][j] + b[j] * a[j][i] - b[i] * b[j] for j in size] for i in size]


def tableau(
    name: str,
    matrix: Sequence[Sequence[float | str | Fraction]],
    weights: Sequence[float | str | Fraction],
    order: int,
    source: str = "",
) -> Tableau:
    """A tableau from numbers or texts such as "1/6"; floats are taken as they are, exactly."""
    rows = tuple(tuple(Fraction(entry) for entry in row) for row in matrix)
    return Tableau(name, rows, tuple(Fraction(entry) for entry in weights), order, source)


def _proven_shift(form: list[list[Fraction]], weights: Sequence[Fraction]) -> Fraction:
    """Least ρ found with form + ρ·diag(weights) ⪰ 0, exactly: a simple fraction where one fits."""
    scale = np.array([1 / np.sqrt(float(weight)) for weight in weights])
    dense = np.array([[float(entry) for entry in row] for row in form])
    lowest = -float(np.linalg.eigvalsh(scale[:, None] * dense * scale[None, :])[0])
    near = Fraction(lowest).limit_denominator(DENOMINATOR)
    candidates = [near] if abs(float(near) - lowest) < ROUNDING else []
    step = ROUNDING * (1 + abs(lowest))
    candidates += [Fraction(int(np.ceil((lowest + k * step) * FINE)), FINE) for k in (1, 10, 100)]
    for shift in candidates:
        size = range(len(weights))
        shifted = [[form[i][j] + (shift * weights[i] if i == j else 0) for j in size] for i in size]
        if is_positive_semidefinite(shifted):
            return shift
    raise ArithmeticError("no shift near the lowest eigenvalue makes the form semidefinite")


def is_positive_semidefinite(matrix: Sequence[Sequence[Fraction]]) -> bool:
    """Is a symmetric rational matrix ⪰ 0? Decided exactly, by LDLᵀ with its pivots."""
    rest = [list(row) for row in matrix]
    while rest:
        pivot, row = rest[0][0], rest[0][1:]
        if pivot < 0 or (pivot == 0 and any(row)):
            return False
        rest = [
            [entry - (row[i] * row[j] / pivot if pivot else 0) for j, entry in enumerate(line[1:])]
            for i, line in enumerate(rest[1:])
        ]
    return True


def _ssp104() -> Tableau:
    sixth, fifteenth = Fraction(1, 6), Fraction(1, 15)
    rows = [
        [(sixth if j < i else Fraction(0)) for j in range(10)]
        if i < 5
        else [fifteenth if j < 5 else (sixth if j < i else Fraction(0)) for j in range(10)]
        for i in range(10)
    ]
    return tableau("ssp104", rows, [Fraction(1, 10)] * 10, 4, "Ketcheson 2008")


_ROOT3 = float(np.sqrt(3.0))

TABLEAUX: dict[str, Tableau] = {
    made.name: made
    for made in (
        tableau("euler", [[0]], [1], 1, "Euler 1768"),
        tableau("improved_euler", [[0, 0], [1, 0]], ["1/2", "1/2"], 2, "Heun 1900"),
        tableau("midpoint", [[0, 0], ["1/2", 0]], [0, 1], 2, "Runge 1895"),
        tableau("ralston2", [[0, 0], ["2/3", 0]], ["1/4", "3/4"], 2, "Ralston 1962"),
        tableau(
            "kutta3",
            [[0, 0, 0], ["1/2", 0, 0], [-1, 2, 0]],
            ["1/6", "2/3", "1/6"],
            3,
            "Kutta 1901",
        ),
        tableau(
            "heun3",
            [[0, 0, 0], ["1/3", 0, 0], [0, "2/3", 0]],
            ["1/4", 0, "3/4"],
            3,
            "Heun 1900",
        ),
        tableau(
            "ssp33",
            [[0, 0, 0], [1, 0, 0], ["1/4", "1/4", 0]],
            ["1/6", "1/6", "2/3"],
            3,
            "Shu & Osher 1988",
        ),
        tableau(
            "rk4",
            [[0, 0, 0, 0], ["1/2", 0, 0, 0], [0, "1/2", 0, 0], [0, 0, 1, 0]],
            ["1/6", "1/3", "1/3", "1/6"],
            4,
            "Kutta 1901",
        ),
        tableau(
            "three_eighths",
            [[0, 0, 0, 0], ["1/3", 0, 0, 0], ["-1/3", 1, 0, 0], [1, -1, 1, 0]],
            ["1/8", "3/8", "3/8", "1/8"],
            4,
            "Kutta 1901",
        ),
        _ssp104(),
        tableau("implicit_euler", [[1]], [1], 1, "Euler 1768"),
        tableau("implicit_midpoint", [["1/2"]], [1], 2, "Gauss, one stage"),
        tableau(
            "gauss4",
            [["1/4", 0.25 - _ROOT3 / 6], [0.25 + _ROOT3 / 6, "1/4"]],
            ["1/2", "1/2"],
            4,
            "Gauss, two stages (Kuntzmann 1961, Butcher 1964)",
        ),
    )
}

# Those with positive weights, for which the theorem gives a radius.
CONTRACTIVE = tuple(name for name, made in TABLEAUX.items() if min(made.weights) > 0)
