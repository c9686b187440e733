"""The strength of the prior in reports: its block, its sentence, its plot, and whether it follows.

The block holds the numbers of every trial. From them the choice is made again by the very function
that made it (`strength.rule.settle`), so that a reader need not believe it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pnp_recon.report.claims import Claim, claim
from pnp_recon.report.style import BLUE, INK, ORANGE, quiet
from pnp_recon.solvers.core.strength import Rule, Strength, Trial, Weighing
from pnp_recon.strength.rule import settle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WORDS = {
    Rule.GIVEN: "It was given.",
    Rule.FIXED: "It is that of the fixed rule, which knows the noise level alone.",
    Rule.CROSS_VALIDATION: "It was chosen by generalised cross-validation: of the strengths that "
    "were tried, it is about where the picture foretells the measurement best, with a pull "
    "towards 1 and a lower limit, as weak priors leave artefacts that this cannot see.",
    Rule.DISCREPANCY: "It was chosen so that what the picture leaves of the measurement is as "
    "strong as the noise.",
}


def strength_block(strength: Strength | None) -> dict[str, Any] | None:
    """The strength of the prior, by which rule, and the curve that it was chosen from."""
    if strength is None:
        return None
    return {
        "value": strength.value,
        "rule": strength.rule.value,
        "reason": strength.reason,
        "words": strength.words,
        "noise": strength.noise,
        "inflation": strength.weighing.inflation,
        "pull": strength.weighing.pull,
        "least": strength.weighing.least,
        "seconds": strength.seconds,
        "where": strength.where,
        "iterations": strength.iterations,
        "trials": [
            {
                "strength": trial.strength,
                "gcv": trial.gcv,
                "df": trial.df,
                "deviation": trial.deviation,
                "correlation": trial.correlation,
                "iterations": trial.iterations,
            }
            for trial in strength.trials
        ],
    }


def strength_of(block: Mapping[str, Any]) -> Strength:
    """The strength of a block; numbers that are not finite, null there, are NaN."""
    trials = tuple(
        Trial(
            item["strength"],
            _number(item["df"]),
            _number(item["deviation"]),
            _number(item["correlation"]),
            item["iterations"],
        )
        for item in block["trials"]
    )
    return Strength(
        block["value"],
        Rule(block["rule"]),
        block["reason"],
        trials,
        block["noise"],
        Weighing(block["inflation"], block["pull"], block["least"]),
        block["seconds"],
        block.get("where", ""),
    )


def strength_claims(block: Mapping[str, Any] | None) -> list[Claim]:
    """That the curve is that of residual and df, and that the choice follows from the curve."""
    if block is None:
        return []
    stated = strength_of(block)
    found = [claim("strength in words", block["words"], stated.words)]
    if not stated.trials:
        return found
    chosen = settle(stated.trials, stated.noise or 0.0, stated.weighing)
    curve = [_finite(trial.gcv) for trial in stated.trials]
    return [
        *found,
        claim("strength: curve", [item["gcv"] for item in block["trials"]], curve),
        claim("strength: iterations", block["iterations"], stated.iterations),
        claim("strength: value", stated.value, chosen.value),
        claim("strength: rule", stated.rule.value, chosen.rule.value),
        claim("strength: reason", stated.reason, chosen.reason),
    ]


def strength_sentence(block: Mapping[str, Any] | None) -> str:
    """How strongly the prior weighs, for people; empty for methods that know none."""
    if block is None:
        return ""
    stated = strength_of(block)
    reason = f" ({stated.reason})" if stated.reason else ""
    return f"The strength of the prior is {stated.value:.3g}. {_WORDS[stated.rule]}{reason}"


def draw_strength(axes: Axes, strength: Strength) -> None:
    """GCV and the residual's deviation of every trial, relative to the noise where it is known."""
    trials = sorted(strength.trials, key=lambda trial: trial.strength)
    unit = strength.noise or 1.0
    places = [trial.strength for trial in trials]
    curves = (
        ("√GCV", BLUE, [_finite(trial.gcv**0.5 / unit) for trial in trials]),
        ("residual", ORANGE, [_finite(trial.deviation / unit) for trial in trials]),
    )
    for label, colour, values in curves:
        shown = [math.nan if value is None else value for value in values]
        axes.semilogx(places, shown, "o-", base=2, color=colour, lw=1.8, ms=4, label=label)
    axes.axvline(strength.value, color=INK, ls=":", lw=1.5)
    axes.set_title(f"strength {strength.value:.3g}", color=INK, fontsize=11)
    axes.set_xlabel("strength", color=INK)
    axes.set_ylabel("in units of the noise" if strength.noise else "", color=INK)
    quiet(axes)
    axes.legend(frameon=False)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
