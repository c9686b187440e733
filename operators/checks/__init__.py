"""Public tests that an operator keeps its word: transpose, norm, prox, and all that follows.

    from operators.checks import check_operator

    report = check_operator(MyOperator(...))  # small: its matrix is written out
    print(report)
    report.require()                          # raises OperatorError, naming the broken laws

They are what the project's own tests run on every operator.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from operators.base import LinearOperator
from operators.checks.laws import LAWS, Law, UndecidedError
from operators.checks.measures import (
    ADJOINT_TOLERANCE,
    adjoint_mismatch,
    check_adjoint,
    check_gram,
    check_norm,
    iterated_prox,
    to_matrix,
)
from operators.checks.probing import Probe, attained, negative_entry, norm_or_attained, probe
from operators.errors import OperatorError

__all__ = [
    "ADJOINT_TOLERANCE",
    "LAWS",
    "Finding",
    "Law",
    "Probe",
    "Report",
    "UndecidedError",
    "adjoint_mismatch",
    "attained",
    "check_adjoint",
    "check_gram",
    "check_norm",
    "check_operator",
    "iterated_prox",
    "negative_entry",
    "norm_or_attained",
    "probe",
    "to_matrix",
]


@dataclass(frozen=True)
class Finding:
    """What one law says about an operator.

    Attributes:
        law: the law.
        kept: True or False; None where the law could not be put to this operator.
        words: what was measured, how it is broken, or why it was not asked.
    """

    law: Law
    kept: bool | None
    words: str

    def __str__(self) -> str:
        verdict = {True: "holds", False: "BROKEN", None: "not asked"}[self.kept]
        return f"{self.law.name}: {verdict} ({self.words})"


@dataclass(frozen=True)
class Report:
    """The findings of all laws about one operator; `str` gives one line for each."""

    operator: str
    findings: tuple[Finding, ...]

    @property
    def broken(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.kept is False)

    @property
    def holds(self) -> bool:
        """Whether no law is broken, and some law was asked."""
        return not self.broken and any(finding.kept for finding in self.findings)

    def __str__(self) -> str:
        return "\n".join((f"{self.operator}:", *(f"  {finding}" for finding in self.findings)))

    def require(self) -> None:
        """Raises OperatorError unless the report holds."""
        if not self.holds:
            faults = "; ".join(map(str, self.broken)) or "no law was asked"
            raise OperatorError(f"'{self.operator}' breaks its contract: {faults}")


def check_operator(
    A: LinearOperator, laws: Iterable[Law] = tuple(LAWS.values()), *, seed: int = 0
) -> Report:
    """All laws, put to one operator on its own device.

    Args:
        A: small, so that its matrix can be written out (up to 4 million entries); of a larger one
            the laws that need the matrix are not asked.
        laws: some of `LAWS`, or laws of your own; all by default.
        seed: draws the random images.
    """
    return Report(A.name, tuple(_finding(A, law, seed) for law in laws))


def _finding(A: LinearOperator, law: Law, seed: int) -> Finding:
    try:
        return Finding(law, True, law.check(A, seed))
    except UndecidedError as reason:
        return Finding(law, None, str(reason))
    except OperatorError as error:
        return Finding(law, False, str(error))
    except Exception as error:  # of an operator that nothing is known about
        return Finding(law, False, f"{type(error).__name__}: {' '.join(str(error).split())}")
