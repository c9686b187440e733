"""What the stability suite found, in words: who converged, who diverged, who is expansive.

Its problems: "repeat", the denoiser applied again and again to one picture; "attack", the largest
difference quotient that gradient ascent finds; "pnp-pgd", proximal gradient with each denoiser.
"""

from __future__ import annotations

from collections.abc import Sequence

from pnp_recon.benchmark import rows as statuses
from pnp_recon.benchmark.report.facts import guarantee
from pnp_recon.benchmark.report.layout import Entry, Table, at_least, at_most, level, plural, short
from pnp_recon.benchmark.report.summary import Block, Column, Group
from pnp_recon.benchmark.rows import Row

REPEAT, ATTACK, PNP_PGD = "repeat", "attack", "pnp-pgd"
_TITLES = {
    REPEAT: "one denoiser applied again and again",
    ATTACK: "an attack on the Lipschitz constant",
    PNP_PGD: "plug-and-play proximal gradient",
}
_STEPS = {REPEAT: "application", PNP_PGD: "iteration"}
_BOUNDED = "bounded"
_WORDS = {
    ("application", "done"): _BOUNDED,
    # By how much its own iterates part is said behind it.
    ("application", statuses.EXPANSIVE): _BOUNDED,
    ("", "iteration limit"): "still moving",
    ("", "time limit"): "still moving",
    ("", statuses.EXPANSIVE): "expansive: not settling",
}


def stability_tables(block: Block) -> list[Table]:
    """One table for each problem and level of the noise."""
    return [_table(block, column) for column in block.columns]


def verdict(group: Group) -> str:
    """What happened to one method, in words."""
    if not group.rows:
        return "not run yet"
    if not group.judged:
        return f"failed on {plural(group.failures, 'picture')}"
    said = [_attack_words(group)] if group.attained_lipschitz is not None else []
    if group.degradation.name != ATTACK or not said:
        said = [*_iteration_words(group), *said]
    return "; ".join(said)


def proven_lipschitz(group: Group) -> float | None:
    """The proven Lipschitz constant; an averaged map has 1."""
    if group.lipschitz is not None or not group.certified:
        return group.lipschitz
    return None if group.alpha is None or group.alpha > 1 else 1.0


def _attack_words(group: Group) -> str:
    """The verdict is that of the rows, which know what rounding and inexact maps can feign."""
    attained, proven = group.attained_lipschitz, proven_lipschitz(group)
    if attained is None:
        return ""
    found = at_least(attained)
    bound = "" if proven is None else f", at most {at_most(proven)} proven"
    ends = {row.status for row in group.judged}
    if any(row.certificate == statuses.CONTRADICTED for row in group.judged):
        return f"CONTRADICTED: attained {found} above the proven {at_most(proven)}"
    if statuses.EXPANSIVE in ends:
        return f"expansive: attained {found}{bound}"
    if proven is None and statuses.DIVERGED not in ends:
        return f"no expansion found (attained {found}), and none excluded"
    return f"attained {found}{bound}"


def _iteration_words(group: Group) -> list[str]:
    found: dict[str, list[Row]] = {}
    for row in group.rows:
        found.setdefault(row.status, []).append(row)
    noun = _STEPS.get(group.degradation.name, "iteration")
    several = len(group.rows) > 1
    return [_ended(status, rows, noun, several) for status, rows in found.items()]


def _ended(status: str, rows: Sequence[Row], noun: str, several: bool) -> str:
    """Such as "diverged after 212 applications on 3 pictures"."""
    counts = sorted({row.iterations for row in rows if row.iterations is not None})
    words = _WORDS.get((noun, status), _WORDS.get(("", status), status))
    if counts:
        span = f"{counts[0]}–{counts[-1]} {noun}s" if len(counts) > 1 else plural(counts[0], noun)
        words += f" {'over' if words == _BOUNDED else 'after'} {span}"
    return f"{words} on {plural(len(rows), 'picture')}" if several else words


def _table(block: Block, column: Column) -> Table:
    name, noise = column.degradation.name, column.degradation.noise
    title = f"{block.setting.words}: {_TITLES.get(name, name)}, {level('stability', noise)}"
    head = ("method", "guarantee", "what happened", "last residual", "L proven", "L attained")
    body = tuple(
        (
            Entry(group.method),
            Entry(guarantee([group])),
            Entry(verdict(group)),
            Entry(short(group.residual), value=group.residual),
            Entry(at_most(proven_lipschitz(group)), value=proven_lipschitz(group)),
            Entry(at_least(group.attained_lipschitz), value=group.attained_lipschitz),
        )
        for group in column.groups.values()
    )
    note = (
        f"{plural(column.pictures, 'picture')}. L proven is an upper bound, rounded up; L attained "
        "is the largest difference quotient found, a lower bound, rounded down. Last residual: "
        "median over pictures."
    )
    return Table(title, head, body, (note,))
