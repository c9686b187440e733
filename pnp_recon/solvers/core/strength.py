"""What is known of how a run's strength was chosen: plain values, for reports."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """By what a strength was chosen."""

    GIVEN = "given"
    FIXED = "the fixed rule"
    CROSS_VALIDATION = "generalised cross-validation"
    DISCREPANCY = "the discrepancy principle"


@dataclass(frozen=True)
class Trial:
    """One strength that was tried, in the units of the fidelity, in which noise has one level.

    Attributes:
        strength: > 0.
        df: degrees of freedom, tr ∂(A x̂)/∂y / n, from one probe.
        deviation: standard deviation of the residual r, (‖r‖²/n)^½.
        correlation: how neighbours in the residual are correlated.
        iterations: how many were made, each of a batch of two.
    """

    strength: float
    df: float
    deviation: float
    correlation: float
    iterations: int

    @property
    def gcv(self) -> float:
        """(‖r‖²/n)/(1 − df)² (Golub, Heath & Wahba 1979); inf where nothing is left to validate."""
        return (self.deviation / (1 - self.df)) ** 2 if self.df < 1 else math.inf

    @property
    def implied_noise(self) -> float:
        """The noise level that is in agreement with both, (‖r‖²/(n(1 − df)))^½."""
        return self.deviation * (1 - self.df) ** -0.5 if self.df < 1 else math.inf


@dataclass(frozen=True)
class Weighing:
    """How cross-validation is read.

    Attributes:
        inflation: how many times df counts.
        pull: what the squared octaves from strength 1 count in log GCV.
        least: weaker strengths are not taken.
    """

    inflation: float = 1.0
    pull: float = 0.004
    least: float = 0.0


# Plain cross-validation, which leans on strength 1 a little.
STANDARD = Weighing()


@dataclass(frozen=True)
class Strength:
    """The strength of the prior in a run, and how it came about.

    Attributes:
        value: by which the weight of the prior was multiplied.
        rule: by what it was chosen.
        reason: why it is no cross-validation, or what is to be feared of the given one, in a
            sentence; may be empty.
        trials: what was tried, in this order.
        noise: the noise level in the units of the trials' deviation.
        weighing: how cross-validation was read.
        seconds: that the trials took.
        where: in which part of the data they were made, in words; empty for all.
    """

    value: float = 1.0
    rule: Rule = Rule.GIVEN
    reason: str = ""
    trials: tuple[Trial, ...] = ()
    noise: float | None = None
    weighing: Weighing = STANDARD
    seconds: float = 0.0
    where: str = ""

    @property
    def iterations(self) -> int:
        return sum(trial.iterations for trial in self.trials)

    @property
    def words(self) -> str:
        """One line: what was chosen, by what, and why by nothing better."""
        reason = f"; {self.reason}" if self.reason else ""
        if self.rule is Rule.GIVEN:
            return f"{self.value:.3g}, as given{reason}"
        count = len(self.trials)
        where = f" {self.where}" if self.where else ""
        trials = f"{count} trial{'' if count == 1 else 's'}{where}"
        if count and self.rule is Rule.FIXED:
            decides = "decides" if count == 1 else "decide"
            why = f": {self.reason}" if self.reason else ""
            return f"{self.value:.3g} from {self.rule.value}, as {trials} {decides} nothing{why}"
        tried = f" ({trials})" if count else ""
        return f"{self.value:.3g} from {self.rule.value}{tried}{reason}"
