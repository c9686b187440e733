"""Rows -> what tables and figures show: means, marks, and over how many pictures each mean is.

A `Block` is everything that may stand in one table: the same suite, data, crop, seed and settings.
Its columns are degradations; a column holds one `Group` of rows for each method. Formats nothing.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from pnp_recon.benchmark import rows as statuses
from pnp_recon.benchmark.cells import Degradation, Key
from pnp_recon.benchmark.rows import Row
from pnp_recon.benchmark.store import Results

T = TypeVar("T")

TIE = 0.005  # dB: what two decimals cannot tell apart is marked alike


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of `count` numbers; None where there are too few."""

    mean: float | None
    std: float | None
    count: int


@dataclass(frozen=True)
class Setting:
    """What rows have to share in order to stand in one table.

    Attributes:
        suite, split, channels, crop, seed: settings of the plan.
        data: the folder, where the split alone does not say which pictures are meant.
        settings: the suite's own, as JSON.
    """

    suite: str
    split: str
    channels: int
    crop: int | None
    seed: int
    data: str
    settings: str

    @classmethod
    def of(cls, results: Results) -> Setting:
        plan = results.plan
        # Pictures of BSDS500 are the same pictures wherever they lie.
        named = plan.split in ("bsd68", "test", "val") and plan.suite != "ct"
        data = "" if named else plan.data
        settings = json.dumps(dict(plan.conditions), sort_keys=True, default=str)
        return cls(plan.suite, plan.split, plan.channels, plan.crop, plan.seed, data, settings)

    @property
    def words(self) -> str:
        """Such as "denoise, bsd68, grey"."""
        crop = "" if self.crop is None else f", central {self.crop}²"
        return f"{self.suite}, {self.split}, {'grey' if self.channels == 1 else 'colour'}{crop}"


@dataclass(frozen=True)
class Group:
    """One method on one degradation: its rows, one for each picture.

    Attributes:
        pictures: how many pictures the column has, this method's rows or others'.
        pending: cells of this group that are still to be run.
    """

    setting: Setting
    degradation: Degradation
    method: str
    rows: tuple[Row, ...]
    pictures: int
    pending: int = 0

    @cached_property
    def measured(self) -> tuple[Row, ...]:
        """Rows that enter means."""
        return tuple(row for row in self.rows if row.measured)

    @property
    def failures(self) -> int:
        return sum(row.status == statuses.FAILED for row in self.rows)

    @cached_property
    def psnr(self) -> Spread:
        return spread(row.psnr for row in self.measured)

    @cached_property
    def psnr_clean_peak(self) -> Spread:
        return spread(row.psnr_clean_peak for row in self.measured)

    @cached_property
    def ssim(self) -> Spread:
        return spread(row.ssim for row in self.measured)

    @cached_property
    def lpips(self) -> Spread:
        return spread(row.lpips for row in self.measured)

    @cached_property
    def gain(self) -> Spread:
        """PSNR over that of what the method started from."""
        return spread(
            None if row.psnr is None or row.psnr_input is None else row.psnr - row.psnr_input
            for row in self.measured
        )

    @cached_property
    def iterations(self) -> Spread:
        return spread(row.iterations for row in self.measured)

    @property
    def seconds(self) -> float | None:
        return median(row.seconds for row in self.measured)

    @property
    def peak_memory_mb(self) -> float | None:
        return largest(row.peak_memory_mb for row in self.measured)

    # A constant, a verdict and an attack hold for runs that diverged as well.
    @cached_property
    def judged(self) -> tuple[Row, ...]:
        """Rows that ran, however they ended."""
        return tuple(row for row in self.rows if row.status != statuses.FAILED)

    @property
    def certified(self) -> bool:
        """Every run of it is certified."""
        verdicts = {row.certificate for row in self.judged}
        return verdicts == {statuses.CERTIFIED}

    @property
    def alpha(self) -> float | None:
        return largest(row.alpha for row in self.judged)

    @property
    def lipschitz(self) -> float | None:
        return largest(row.lipschitz for row in self.judged)

    @property
    def attained_lipschitz(self) -> float | None:
        return largest(row.attained_lipschitz for row in self.judged)

    @property
    def residual(self) -> float | None:
        return median(row.residual for row in self.judged)

    @property
    def statuses(self) -> Mapping[str, int]:
        """How often each end occurred, most frequent first."""
        return dict(Counter(row.status for row in self.rows).most_common())

    @property
    def complete(self) -> bool:
        """Its mean is over every picture of the column."""
        return self.pictures > 0 and self.psnr.count == self.pictures


@dataclass(frozen=True)
class Column:
    """One degradation and what every method made of it."""

    degradation: Degradation
    pictures: int
    groups: Mapping[str, Group]

    @property
    def pending(self) -> int:
        return sum(group.pending for group in self.groups.values())

    @cached_property
    def best(self) -> frozenset[str]:
        """Methods of the highest mean PSNR."""
        return self._best(lambda group: True)

    @cached_property
    def best_certified(self) -> frozenset[str]:
        return self._best(lambda group: group.certified)

    def _best(self, admitted: Callable[[Group], bool]) -> frozenset[str]:
        """Among those that are complete; nobody while the column is still being measured."""
        if self.pending:
            return frozenset()
        means = {
            name: group.psnr.mean
            for name, group in self.groups.items()
            if group.complete and group.psnr.mean is not None and admitted(group)
        }
        top = max(means.values(), default=0.0)
        # The last digits of 30.005 - 30.0 are not the pictures'.
        return frozenset(name for name, mean in means.items() if top - mean <= TIE + 1e-9)


@dataclass(frozen=True)
class Block:
    """What stands in one table.

    Attributes:
        runs: the results that it was taken from.
        replaced: cells that several runs hold; the last run counts.
    """

    setting: Setting
    runs: tuple[Results, ...]
    methods: tuple[str, ...]
    columns: tuple[Column, ...]
    replaced: int = 0

    @property
    def rows(self) -> list[Row]:
        return [row for group in self.groups() for row in group.rows]

    def groups(self, method: str | None = None) -> list[Group]:
        """All, or those of one method, column by column."""
        return [
            group
            for column in self.columns
            for name, group in column.groups.items()
            if method is None or name == method
        ]

    def by_noise(self) -> dict[float, list[Column]]:
        """The columns of each noise level, in the order of the plan."""
        found: dict[float, list[Column]] = {}
        for column in self.columns:
            found.setdefault(column.degradation.noise, []).append(column)
        return found


def summarise(results: Sequence[Results]) -> list[Block]:
    """The blocks of one or several runs, in the order in which they are given."""
    runs: dict[Setting, list[Results]] = {}
    for item in results:
        runs.setdefault(Setting.of(item), []).append(item)
    return [_block(setting, members) for setting, members in runs.items()]


def groups(results: Sequence[Results]) -> list[Group]:
    """All groups of all blocks."""
    return [group for block in summarise(results) for group in block.groups()]


def spread(values: Iterable[float | None]) -> Spread:
    """Mean and deviation of the numbers among them that exist and are finite."""
    found = _finite(values)
    mean = statistics.fmean(found) if found else None
    return Spread(mean, statistics.stdev(found) if len(found) > 1 else None, len(found))


def median(values: Iterable[float | None]) -> float | None:
    found = _finite(values)
    return statistics.median(found) if found else None


def largest(values: Iterable[float | None]) -> float | None:
    return max((v for v in values if v is not None and not math.isnan(v)), default=None)


def _finite(values: Iterable[float | None]) -> list[float]:
    return [float(value) for value in values if value is not None and math.isfinite(value)]


def _block(setting: Setting, runs: list[Results]) -> Block:
    rows: dict[Key, Row] = {}
    planned: dict[Key, None] = {}
    total = 0
    for item in runs:
        total += len(item.rows)
        rows.update({row.key: row for row in item.rows})
        planned.update({cell.key: None for cell in item.plan.cells()})
    methods = _unique(name for item in runs for name in item.plan.methods)
    degradations = _unique(one for item in runs for one in item.plan.degradations)
    members: dict[tuple[Degradation, str], list[Row]] = {}
    waiting: Counter[tuple[Degradation, str]] = Counter()
    for key in planned:
        place = (Degradation(key[1], key[2]), key[4])
        if key in rows:
            members.setdefault(place, []).append(rows[key])
        else:
            waiting[place] += 1
    columns = []
    for degradation in degradations:
        found = {name: members.get((degradation, name), []) for name in methods}
        pictures = len({row.picture for group in found.values() for row in group})
        made = {
            name: Group(
                setting, degradation, name, tuple(group), pictures, waiting[degradation, name]
            )
            for name, group in found.items()
            if group or waiting[degradation, name]
        }
        columns.append(Column(degradation, pictures, made))
    return Block(setting, tuple(runs), methods, tuple(columns), total - len(rows))


def _unique(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))
