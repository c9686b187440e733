"""Operators made of operators: A after B, c·A, several side by side, and sums.

What is known about the parts is handed on: transposes, signs, and proven bounds of the norm. The
noise models of the parts are not taken over, since it is not said where noise enters the whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from operators import norms
from operators.base import LinearOperator, extensions
from operators.combined import (
    Combined,
    carried,
    require_operators,
    require_same,
    rounded,
    total,
)
from operators.conjugate_gradient import image_norms, per_image
from operators.errors import OperatorError
from operators.norms import LARGEST, SMALLEST, NormBound, round_down, round_up
from operators.values import values_like


class Composition(Combined):
    """A ∘ B: first B, then A. Written A @ B.

    ‖A ∘ B‖ <= ‖A‖ ‖B‖.

    Args:
        A: its images are the measurements of B.
        B: measures tensors of shape (C, H, W).
        noise_model: applied by `forward`.

    Raises:
        OperatorError: where the shapes do not fit.
    """

    def __init__(
        self,
        A: LinearOperator,
        B: LinearOperator,
        *,
        noise_model: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        require_operators([A, B])
        if A.image_shape != B.measurement_shape:
            raise OperatorError(
                f"'{A.name}' expects {A.image_shape}, '{B.name}' delivers {B.measurement_shape}; "
                "A @ B needs them to be the same"
            )
        super().__init__(
            f"{A.name} after {B.name}",
            [A, B],
            B.image_shape,
            A.measurement_shape,
            noise_model=noise_model,
        )

    def _forward_map(self, x: Tensor) -> Tensor:
        return self.parts[0].A(self.parts[1].A(x))

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self.parts[1].A_adjoint(self.parts[0].A_adjoint(y))

    def enclosure(self, v: Tensor, *, transpose: bool = False) -> tuple[Tensor, Tensor]:
        """The enclosure of the one part, carried through the other."""
        first, second = self.parts if transpose else reversed(self.parts)
        return carried(second, first.enclosure(v, transpose=transpose), transpose=transpose)

    def initial_guess(self, y: Tensor) -> Tensor:
        """The guess of B from the guess of A, or the usual one: for each image what fits y better.

        The first fills the gaps of a mask after a blur well, and takes those before it for dark.
        """
        through = self.parts[1].initial_guess(self.parts[0].initial_guess(y))
        if not self.nonnegative:
            return through
        usual = super().initial_guess(y)
        better = image_norms(self.A(through) - y) <= image_norms(self.A(usual) - y)
        return torch.where(per_image(better, through), through, usual)

    def _prove_gram(self) -> float:
        outer, inner = (part.gram_lower_bound for part in self.parts)
        return round_down(outer * inner)

    def _bound_from_parts(self) -> tuple[float, str]:
        outer, inner = (part.norm_bound for part in self.parts)
        return round_up(outer * inner), "product of the bounds of the parts"


class Scaled(Combined):
    """c·A. Written c * A. ‖c·A‖ = |c| ‖A‖; a closed-form proximal map stays one.

    Args:
        factor: c, finite and not zero.
        A: the operator.
        noise_model: applied by `forward`.

    Raises:
        OperatorError: for another factor.
    """

    def __init__(
        self,
        factor: float,
        A: LinearOperator,
        *,
        noise_model: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        require_operators([A])
        size = _checked_factor(factor)
        super().__init__(
            f"{size:g} times {A.name}",
            [A],
            A.image_shape,
            A.measurement_shape,
            noise_model=noise_model,
        )
        self._factor = size

    @property
    def factor(self) -> float:
        """c; another one may be set."""
        return self._factor

    @factor.setter
    def factor(self, value: float) -> None:
        self._factor = _checked_factor(value)

    def _own_content(self) -> tuple[object, ...]:
        return (self._factor,)

    def _sign(self) -> bool:
        return self.factor > 0 and super()._sign()

    def _has_closed_form(self) -> bool:
        return self.parts[0].prox_closed_form

    def _forward_map(self, x: Tensor) -> Tensor:
        return self.factor * self.parts[0].A(x)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self.factor * self.parts[0].A_adjoint(y)

    def enclosure(self, v: Tensor, *, transpose: bool = False) -> tuple[Tensor, Tensor]:
        """The enclosure of A, scaled."""
        below, above = self.parts[0].enclosure(v, transpose=transpose)
        return rounded(self.factor * below, self.factor * above, 1)

    def A_dagger(self, y: Tensor, tol: float = 1e-6, max_iter: int = 200) -> Tensor:
        """The least-squares solution of A for y / c."""
        return self.parts[0].A_dagger(y / self.factor, tol, max_iter)

    def prox_l2_with_error(
        self,
        z: Tensor,
        y: Tensor,
        gamma: float | Tensor,
        x0: Tensor | None = None,
        *,
        tol: float | Tensor = 1e-4,
        max_iter: int = 200,
    ) -> tuple[Tensor, Tensor]:
        """The prox of A for y / c with γ c², since γ/2 ‖c A x − y‖² = γ c²/2 ‖A x − y/c‖²."""
        self._checked_gamma(gamma, z)
        self._check(y, self.measurement_shape, "measurement")
        step = values_like(gamma, z.double()) * self.factor**2
        return self.parts[0].prox_l2_with_error(
            z, y.double() / self.factor, step, x0, tol=tol, max_iter=max_iter
        )

    def initial_guess(self, y: Tensor) -> Tensor:
        """The guess of A from y / c."""
        return self.parts[0].initial_guess(y / self.factor)

    def _prove_norm(self) -> NormBound:
        if not self.has_norm_bound:
            return super()._prove_norm()  # says what is missing
        known, size = self.parts[0].norm_certificate, abs(self.factor)
        value = round_up(size * known.value)
        lower = min(value, norms.round_down(size * known.lower))
        return NormBound(value, lower, f"{size:g} times: {known.method}", known.source)

    def _prove_gram(self) -> float:
        return round_down(self.factor**2 * self.parts[0].gram_lower_bound)

    def _bound_from_parts(self) -> tuple[float, str]:
        return round_up(abs(self.factor) * self.parts[0].norm_bound), "scaled bound of the part"


class Stacked(Combined):
    """Several operators on one image; the measurement is all of theirs in a row.

    Each measurement is flattened, and they are joined in order: measurement_shape is
    (n1 + n2 + …,). `split` and `join` convert. ‖A‖² <= ‖A1‖² + ‖A2‖² + …

    Args:
        operators: one or more, of the same image_shape.
        noise_model: applied by `forward`.

    Raises:
        OperatorError: where there is none, or the shapes differ.
    """

    def __init__(
        self,
        operators: Sequence[LinearOperator],
        *,
        noise_model: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        require_operators(operators)
        require_same("image_shape", operators)
        self._sizes = [math.prod(part.measurement_shape) for part in operators]
        super().__init__(
            " beside ".join(part.name for part in operators),
            operators,
            operators[0].image_shape,
            (sum(self._sizes),),
            noise_model=noise_model,
        )

    def split(self, y: Tensor) -> list[Tensor]:
        """The measurements (B, *measurement_shape) of the parts, from y (B, n)."""
        self._check(y, self.measurement_shape, "measurement")
        pieces = y.split(self._sizes, dim=1)
        return [
            piece.reshape(-1, *part.measurement_shape)
            for piece, part in zip(pieces, self.parts, strict=True)
        ]

    def join(self, measurements: Sequence[Tensor]) -> Tensor:
        """The inverse of `split`: measurements of the parts as one tensor (B, n)."""
        return torch.cat([y.flatten(1) for y in measurements], dim=1)

    def _forward_map(self, x: Tensor) -> Tensor:
        return self.join([part.A(x) for part in self.parts])

    def _transpose_map(self, y: Tensor) -> Tensor:
        pieces = zip(self.parts, self.split(y), strict=True)
        return total([part.A_adjoint(piece) for part, piece in pieces])

    def enclosure(self, v: Tensor, *, transpose: bool = False) -> tuple[Tensor, Tensor]:
        """The enclosures of the parts, joined; those of their transposes are added up."""
        if not transpose:
            below, above = zip(*(part.enclosure(v) for part in self.parts), strict=True)
            return self.join(below), self.join(above)
        pieces = zip(self.parts, self.split(v), strict=True)
        bounds = [part.enclosure(piece, transpose=True) for part, piece in pieces]
        below, above = zip(*bounds, strict=True)
        return rounded(total(below), total(above), len(bounds))

    def initial_guess(self, y: Tensor) -> Tensor:
        """The usual guess if all parts are non-negative, else that of the first part that is.

        What a difference or a projection says about brightness is nothing or little.
        """
        if not self.nonnegative:
            for part, piece in zip(self.parts, self.split(y), strict=True):
                if part.nonnegative:
                    return part.initial_guess(piece)
        return super().initial_guess(y)

    def _prove_gram(self) -> float:
        return round_down(math.fsum(part.gram_lower_bound for part in self.parts))

    def _bound_from_parts(self) -> tuple[float, str]:
        bounds = [part.norm_bound for part in self.parts]
        return round_up(math.hypot(*bounds)), "root of the sum of squares of the parts' bounds"


class Sum(Combined):
    """A1 + A2 + …, of the same shapes. Written A + B. ‖A1 + A2‖ <= ‖A1‖ + ‖A2‖.

    Args:
        operators: one or more, of the same image_shape and measurement_shape.
        noise_model: applied by `forward`.

    Raises:
        OperatorError: where there is none, or the shapes differ.
    """

    def __init__(
        self,
        operators: Sequence[LinearOperator],
        *,
        noise_model: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        require_operators(operators)
        require_same("image_shape", operators)
        require_same("measurement_shape", operators)
        super().__init__(
            " plus ".join(part.name for part in operators),
            operators,
            operators[0].image_shape,
            operators[0].measurement_shape,
            noise_model=noise_model,
        )

    def _forward_map(self, x: Tensor) -> Tensor:
        return total([part.A(x) for part in self.parts])

    def _transpose_map(self, y: Tensor) -> Tensor:
        return total([part.A_adjoint(y) for part in self.parts])

    def enclosure(self, v: Tensor, *, transpose: bool = False) -> tuple[Tensor, Tensor]:
        """The enclosures of the parts, added up."""
        bounds = [part.enclosure(v, transpose=transpose) for part in self.parts]
        below, above = zip(*bounds, strict=True)
        return rounded(total(below), total(above), len(bounds))

    def _bound_from_parts(self) -> tuple[float, str]:
        bounds = [part.norm_bound for part in self.parts]
        return round_up(math.fsum(bounds)), "sum of the bounds of the parts"


def _checked_factor(factor: float) -> float:
    known = isinstance(factor, int | float) and not isinstance(factor, bool)
    if not known or not SMALLEST <= abs(factor) <= LARGEST:
        raise OperatorError(
            f"the factor is {factor!r}; give a finite number other than 0, of a size from "
            f"{SMALLEST:.0e} to {LARGEST:.0e}"
        )
    return float(factor)


extensions.compose, extensions.scale, extensions.add = Composition, Scaled, Sum
