"""Operators from elsewhere: what a user says of them is a declaration, and is put to the probe."""

from __future__ import annotations

import math
import numbers
from typing import ClassVar

import torch

from operators.base import LinearOperator
from operators.checks.measures import ADJOINT_TOLERANCE, adjoint_mismatch
from operators.checks.probing import probe
from operators.checks.steady import remember
from operators.errors import OperatorError
from operators.knowledge import Fact, KnownBy
from operators.norms import NormBound, collatz_wielandt, power_iteration_estimate


class Declared(LinearOperator):
    """An operator whose maps this package cannot read.

    Its transpose is measured, when it is made and again after a change; its sign and its norm are
    what the user declares.

    Attributes:
        made_by: the function that makes it, for messages.
        declared_norm_bound: what the user says of ‖A‖, or None.
    """

    made_by: ClassVar[str]
    declared_norm_bound: float | None = None

    @property
    def adjoint_mismatch(self) -> float:
        """What the dot-product test measures, relative; again after a change."""
        measured: float = self._keep("mismatch", self._measured)
        return measured

    def _measured(self) -> float:
        return adjoint_mismatch(self, torch.Generator().manual_seed(0))

    def _transposed(self) -> bool:
        return self.adjoint_mismatch <= ADJOINT_TOLERANCE[self.certificate_dtype]

    def _known_by(self, fact: Fact) -> KnownBy:
        return "measurement" if fact == "transpose" else "declaration"

    @property
    def has_norm_bound(self) -> bool:
        """Only with a matched transpose, and declared non-negative or with a declared norm."""
        return self.adjoint_matched and (self.nonnegative or self.declared_norm_bound is not None)

    def _prove_norm(self) -> NormBound:
        if not self.has_norm_bound:
            why = (
                "pass norm_bound=... (an upper bound of ‖A‖, not ‖A‖²) or, if its matrix has no "
                f"negative entry, nonnegative=True to {self.made_by}"
                if self.adjoint_matched
                else f"its A_adjoint is not the transpose of A ({self.adjoint_mismatch:.1e})"
            )
            raise OperatorError(f"no proven bound of the norm of '{self.name}' is known: {why}")
        if self.declared_norm_bound is not None:
            lower = power_iteration_estimate(self, torch.Generator().manual_seed(0), iterations=10)
            bound = self.declared_norm_bound
            return NormBound(bound, min(lower, bound), "declared by the user", "the user")
        return collatz_wielandt(self)


def check_declaration(norm_bound: float | None) -> None:
    """Raises OperatorError for a declared bound that is no number above 0."""
    if norm_bound is None:
        return
    one = isinstance(norm_bound, torch.Tensor) and norm_bound.numel() == 1
    value = float(norm_bound) if one else norm_bound
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (real and math.isfinite(value) and value > 0):
        raise OperatorError(f"norm_bound is {norm_bound!r}; expected a finite number > 0")


def admit(
    operator: Declared, what: str, norm_bound: float | None, *, allow_unmatched: bool = False
) -> None:
    """Takes the declaration of a norm, and puts all that is declared to the probe.

    Args:
        operator: as it was made.
        what: what a message calls the thing that it was made of.
        norm_bound: what the user says of ‖A‖, or None.
        allow_unmatched: whether an A_adjoint may pass that is not the transpose.

    Raises:
        OperatorError: the transpose is none, or a declaration is refuted.
    """
    operator.declared_norm_bound = None if norm_bound is None else float(norm_bound)
    if not operator.adjoint_matched and not allow_unmatched:
        allowed = ADJOINT_TOLERANCE[operator.certificate_dtype]
        raise OperatorError(
            f"A_adjoint of {what} is not the transpose of A: relative mismatch "
            f"{operator.adjoint_mismatch:.1e}, allowed {allowed:.0e}; "
            "repair it, or pass allow_unmatched=True and do without guarantees"
        )
    remember(operator)  # what is measured is about these answers
    refuted = probe(operator, norm=norm_bound is not None).refuted
    if refuted is not None:
        raise OperatorError(refuted)
