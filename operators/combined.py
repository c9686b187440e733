"""What all operators made of operators share: the norm from the parts, and rounding.

The combinations themselves are in `algebra`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from operators import norms
from operators.base import LinearOperator
from operators.errors import OperatorError
from operators.knowledge import Fact, KnownBy, weakest
from operators.norms import NormBound

# Where the bound of the parts is known to be this tight, nothing is left to be gained.
TIGHT = 1.002

# Steps of Collatz–Wielandt. A mask after a blur comes within 2 % of the limit, and each step costs
# a wide FFT or two.
STEPS = 8


class Combined(LinearOperator):
    """What the four combinations share; `parts` are submodules and move with the whole."""

    parts: Sequence[LinearOperator]

    def __init__(
        self,
        name: str,
        parts: Sequence[LinearOperator],
        image_shape: Sequence[int],
        measurement_shape: Sequence[int],
        *,
        noise_model: Callable[[Tensor], Tensor] | None,
    ) -> None:
        super().__init__(name, image_shape, measurement_shape, noise_model=noise_model)
        self.parts = torch.nn.ModuleList(parts)  # type: ignore[assignment]
        narrow = any(part.certificate_dtype == torch.float32 for part in parts)
        self.certificate_dtype = torch.float32 if narrow else torch.float64

    def _known_by(self, fact: Fact) -> KnownBy:
        ways = {"transpose": lambda part: part.transpose_by, "sign": lambda part: part.sign_by}
        return weakest([ways.get(fact, lambda part: part.norm_by)(part) for part in self.parts])

    def _sign(self) -> bool:
        return all(part.nonnegative for part in self.parts)

    def _transposed(self) -> bool:
        return all(part.adjoint_matched for part in self.parts)

    @abstractmethod
    def _bound_from_parts(self) -> tuple[float, str]:
        """A proven bound of ‖A‖ from those of the parts, and how it follows."""

    @property
    def has_norm_bound(self) -> bool:
        """Whether every part has one."""
        return all(part.has_norm_bound for part in self.parts)

    def _prove_norm(self) -> NormBound:
        """From the parts; for non-negative entries by Collatz–Wielandt where that is tighter."""
        for part in self.parts:
            if not part.has_norm_bound:
                raise OperatorError(
                    f"no proven bound of the norm of '{self.name}' is known, because none is of "
                    f"its part '{part.name}'; declare one there"
                )
        value, method = self._bound_from_parts()
        if self.nonnegative:
            lower = norms.attained_gain(self, super().certificate_start())
        else:
            seeded = torch.Generator().manual_seed(0)
            lower = norms.power_iteration_estimate(self, seeded, iterations=10)
        source = "; ".join(dict.fromkeys(part.norm_certificate.source for part in self.parts))
        bound = NormBound(value, min(lower, value), method, source)
        # In float32 the allowance for rounding would eat up what is gained.
        wide = self.certificate_dtype == torch.float64
        if bound.looseness > TIGHT and self.nonnegative and wide and encloses(self):
            return norms.tightest(bound, norms.collatz_wielandt(self, max_iter=STEPS))
        return bound

    def normal_enclosure(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Forth and back by `enclosure`, which the monotony of A and Aᵀ allows."""
        return carried(self, self.enclosure(v), transpose=True)


def encloses(A: LinearOperator) -> bool:
    """Whether `A.enclosure` may be relied on.

    An operator that overrides `normal_enclosure` alone does not compute as sums of products, and
    the inherited `enclosure` is not about it.
    """
    if isinstance(A, Combined):
        return all(encloses(part) for part in A.parts)
    plain = type(A).normal_enclosure is LinearOperator.normal_enclosure
    return plain or type(A).enclosure is not LinearOperator.enclosure


def carried(
    A: LinearOperator, bounds: tuple[Tensor, Tensor], *, transpose: bool
) -> tuple[Tensor, Tensor]:
    """Bounds of A u (Aᵀ u) from bounds of u >= 0, by monotony and with one application.

    Where below >= (1 − δ) above in every entry, A u >= (1 − δ) A above.
    """
    below, above = bounds
    gap = (1 - below / above).nan_to_num(0.0)  # 0 / 0: both bounds are zero
    share = 1 - norms.round_up(float(gap.max()) + norms.EPS)
    lower, upper = A.enclosure(above, transpose=transpose)
    return lower * max(0.0, share), upper


def rounded(below: Tensor, above: Tensor, operations: int) -> tuple[Tensor, Tensor]:
    """Bounds widened by the rounding of so many sums or products of positive numbers."""
    error = (operations + 2) * torch.finfo(below.dtype).eps
    return below * (1 - error), above * (1 + error)


def total(tensors: Sequence[Tensor]) -> Tensor:
    result = tensors[0]
    for t in tensors[1:]:
        result = result + t
    return result


def require_operators(parts: Sequence[LinearOperator]) -> None:
    if not parts:
        raise OperatorError("no operators were given; expected at least one")
    for part in parts:
        if not isinstance(part, LinearOperator):
            raise OperatorError(
                f"a {type(part).__name__} was given; operators are combined with operators (to "
                "apply one to an image, call A.A(x))"
            )


def require_same(name: str, parts: Sequence[LinearOperator]) -> None:
    shapes = [getattr(part, name) for part in parts]
    if len(set(shapes)) > 1:
        listing = ", ".join(f"{part.name} {s}" for part, s in zip(parts, shapes, strict=True))
        raise OperatorError(f"the operators differ in {name}: {listing}; expected the same")
