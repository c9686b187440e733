"""What moved between two runs, or between two methods: paired over pictures, with a test.

A mean difference alone says little: pictures differ far more than methods do. The differences on
the same picture are tested by Wilcoxon's signed-rank test (Wilcoxon 1945), and the p-values of all
groups are corrected together (Holm 1979). Only what is below `LEVEL` after that has "moved".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pnp_recon.benchmark.cells import STRENGTH, Key
from pnp_recon.benchmark.report.facts import command, distinct, words
from pnp_recon.benchmark.report.layout import level
from pnp_recon.benchmark.report.summary import Spread, largest, median, spread
from pnp_recon.benchmark.rows import Row
from pnp_recon.benchmark.store import Results
from pnp_recon.errors import InputError

LEVEL = 0.05
EQUAL = 1e-4  # dB: differences below are those of rounding
MIN_PAIRS = 6  # with fewer, no outcome of the test is below 0.05 / 2

# A group is what one test is made of: suite, problem, noise and the method or the pair.
_GroupKey = tuple[str, str, float, str]
_Pair = tuple[Row, Row]


@dataclass(frozen=True)
class Moved:
    """One group of pairs.

    Attributes:
        suite, problem, noise, method: the group; of two methods, "first → second".
        difference: PSNR after − before, in dB.
        better, worse, equal: numbers of pictures; equal within `EQUAL`.
        p_value: from the signed-rank test, and `corrected` after Holm; None with `reason`.
        reason: why there is no test.
        time_ratio: median over pictures of seconds after / before.
        changes: what became of certificate, status, model and parameters, in words.
    """

    suite: str
    problem: str
    noise: float
    method: str
    difference: Spread
    better: int
    worse: int
    equal: int
    p_value: float | None
    corrected: float | None
    reason: str
    time_ratio: float | None
    changes: tuple[str, ...]

    @property
    def moved(self) -> bool:
        return self.corrected is not None and self.corrected < LEVEL

    @property
    def name(self) -> str:
        return f"{self.suite}, {self.problem}, {level(self.suite, self.noise)}, {self.method}"


@dataclass(frozen=True)
class Comparison:
    """What two sets of rows say about each other.

    Attributes:
        before, after: their names.
        groups: in the order of the plan.
        only_before, only_after: groups, or pictures of a group, that the other has not.
        manifests: what else differs between the runs: versions, device, plan.
    """

    before: str
    after: str
    groups: tuple[Moved, ...]
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()

    @property
    def moved(self) -> list[Moved]:
        return [group for group in self.groups if group.moved]


def compare(before: Results, after: Results) -> Comparison:
    """Pairs the rows of two runs by suite, problem, noise, picture and method."""
    first = {row.key: row for row in before.rows}
    second = {row.key: row for row in after.rows}

    def group(key: Key) -> _GroupKey:
        return (key[0], key[1], key[2], key[4])

    found = _groups(first, second, group, ("certificate", "status", "model", "parameters"))
    return Comparison(
        str(before.folder), str(after.folder), found,
        _only(first, second, group), _only(second, first, group), _manifests(before, after),
    )  # fmt: skip


def compare_methods(results: Results, first: str, second: str) -> Comparison:
    """Pairs the rows of two methods of one run by suite, problem, noise and picture.

    Raises:
        InputError: the run has no such method.
    """
    for name in (first, second):
        if name not in results.plan.methods:
            raise InputError(
                f"{results.folder} has no method {name!r}; it has {', '.join(results.plan.methods)}"
            )

    def rows(method: str) -> dict[Key, Row]:
        return {(*row.key[:4], ""): row for row in results.rows if row.method == method}

    def group(key: Key) -> _GroupKey:
        return (key[0], key[1], key[2], f"{first} → {second}")

    one, two = rows(first), rows(second)
    found = _groups(one, two, group, ("certificate", "status"))
    return Comparison(first, second, found, _only(one, two, group), _only(two, one, group))


def signed_rank(differences: Sequence[float]) -> tuple[float | None, str]:
    """(two-sided p-value, "") of the signed-rank test, or (None, why there is none)."""
    told = [value for value in differences if abs(value) > EQUAL]
    if not differences:
        return None, "no picture has a PSNR in both"
    if not told:
        return None, f"all differences are zero (within {EQUAL:g} dB)"
    if len(told) < MIN_PAIRS:
        return None, f"only {len(told)} of {MIN_PAIRS} pairs needed differ: too few for a test"
    from scipy.stats import wilcoxon

    return float(wilcoxon(told).pvalue), ""


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected for as many tests: step-down, in the order given (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = highest
    return corrected


def _groups(
    first: Mapping[Key, Row],
    second: Mapping[Key, Row],
    group: Callable[[Key], _GroupKey],
    compared: Sequence[str],
) -> tuple[Moved, ...]:
    pairs: dict[_GroupKey, list[_Pair]] = {}
    for key, row in first.items():
        if key in second:
            pairs.setdefault(group(key), []).append((row, second[key]))
    made = [_group(key, members, compared) for key, members in pairs.items()]
    tested = [i for i, item in enumerate(made) if item.p_value is not None]
    corrected = holm([item.p_value for item in made if item.p_value is not None])
    for i, value in zip(tested, corrected, strict=True):
        made[i] = replace(made[i], corrected=value)
    return tuple(made)


def _group(key: _GroupKey, pairs: Sequence[_Pair], compared: Sequence[str]) -> Moved:
    differences = [
        b.psnr - a.psnr
        for a, b in pairs
        if a.measured and b.measured and a.psnr is not None and b.psnr is not None
        and math.isfinite(b.psnr - a.psnr)
    ]  # fmt: skip
    better = sum(value > EQUAL for value in differences)
    worse = sum(value < -EQUAL for value in differences)
    p_value, reason = signed_rank(differences)
    ratios = [
        b.seconds / a.seconds
        for a, b in pairs
        if a.measured and b.measured and a.seconds and b.seconds is not None
    ]
    return Moved(
        *key, spread(differences), better, worse, len(differences) - better - worse,
        p_value, None, reason, median(ratios), _changes(pairs, compared),
    )  # fmt: skip


def _changes(pairs: Sequence[_Pair], compared: Sequence[str]) -> tuple[str, ...]:
    """Such as "status: converged → diverged on 3 pictures"."""
    found = []
    for what in compared:
        said = [(_said(a, what), _said(b, what)) for a, b in pairs]
        for (old, new), count in Counter(pair for pair in said if pair[0] != pair[1]).items():
            on = f"{count} picture" if count == 1 else f"{count} pictures"
            found.append(f"{what}: {old} → {new} on {on}")
    attained = [
        largest(row.attained_lipschitz for row in side) for side in zip(*pairs, strict=True)
    ]
    if None not in attained and attained[0] != attained[1]:
        found.append(f"attained Lipschitz constant: {attained[0]:.4g} → {attained[1]:.4g}")
    return tuple(found)


def _said(row: Row, what: str) -> str:
    if what == "model":
        return row.model_sha256[:12] or "none"
    if what == "parameters":
        # A strength that was chosen for the picture is a result, like its PSNR.
        own = {name: value for name, value in row.parameters.items() if name != STRENGTH}
        return words(dict(sorted(own.items()))) or "none"
    return str(getattr(row, what))


def _only(
    here: Mapping[Key, Row], there: Mapping[Key, Row], group: Callable[[Key], _GroupKey]
) -> tuple[str, ...]:
    missing = Counter(group(key) for key in here if key not in there)
    shared = {group(key) for key in there}
    return tuple(
        f"{suite}, {problem}, {level(suite, noise)}, {method}"
        + (f": {count} more pictures" if (suite, problem, noise, method) in shared else "")
        for (suite, problem, noise, method), count in missing.items()
    )


def _manifests(before: Results, after: Results) -> tuple[str, ...]:
    one, two = _facts(before), _facts(after)
    names = list(dict.fromkeys([*one, *two]))
    return tuple(
        f"{name}: {one.get(name) or 'none'} → {two.get(name) or 'none'}"
        for name in names
        if one.get(name) != two.get(name)
    )


def _facts(results: Results) -> dict[str, str]:
    rows = results.rows
    found = {name: _short(value) for name, value in results.plan.to_dict().items()}
    found["rows"] = f"{len(rows)} of {len(results.plan)}"
    for name in ("versions", "revision", "device", "threads"):
        found[name] = distinct(str(getattr(row, name)) for row in rows) or found.get(name, "")
    found["command"] = command(results)
    return found


def _short(value: Any) -> str:
    if isinstance(value, dict) and len(words(value)) > 80:
        return f"{len(value)} of them, {_digest(sorted(value.items()))}"
    if isinstance(value, list | tuple) and len(value) > 6:
        return f"{len(value)} of them, {_digest(value)}"
    if isinstance(value, list | tuple):
        return "; ".join(words(item) for item in value)
    return words(value)


def _digest(values: Iterable[Any]) -> str:
    """Eight digits that differ where long lists differ."""
    import hashlib

    return hashlib.sha256(repr(list(values)).encode()).hexdigest()[:8]
