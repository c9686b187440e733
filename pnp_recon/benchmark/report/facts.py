"""What a benchmark's reader has to know in words: data, noise, versions, machine, guarantees."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pnp_recon.benchmark import rows as statuses
from pnp_recon.benchmark.cells import STRENGTH, Plan
from pnp_recon.benchmark.report.layout import DASH, Entry, Table, at_most, level, plural
from pnp_recon.benchmark.report.summary import Group, largest
from pnp_recon.benchmark.rows import Row
from pnp_recon.benchmark.store import Results

# Said below, or by the tables.
_SAID = ("command", "methods", "versions", "revision", "device", "threads")

_MACHINE = (("machine", "device_name"), ("cores", "cpu_count"), ("platform", "platform"),
            ("python", "python"))  # fmt: skip

CONVENTIONS = (
    "PSNR has peak 1 over the whole picture, without cropping and rounding, and the tables show "
    "its mean over pictures; where a second PSNR is shown, its peak is the maximum of the clean "
    "picture. SSIM is Gaussian-weighted with data range 1.",
)


def facts(results: Results) -> list[tuple[str, str]]:
    """(name, words) of one run."""
    plan, rows, about = results.plan, results.rows, results.about
    shape = "whole" if plan.crop is None else f"their central {plan.crop} × {plan.crop} pixels"
    colour = (
        "grey (0.299 R + 0.587 G + 0.114 B, converted in float)"
        if plan.channels == 1
        else "colour (RGB)"
    )
    found = [
        ("suite", plan.suite),
        ("results", progress(results)),
        ("data", f"{plan.split} of {plan.data}"),
        ("pictures", f"{plural(len(plan.pictures), 'picture')}, {shape}, {colour}"),
        ("problems", _problems(plan)),
        ("noise", f"seed {plan.seed}; one draw for each picture of the split and σ, the same for "
         "every method"),
        ("settings", _mapping(plan.conditions)),
        ("timing", f"median of {plural(plan.repeats, 'run')} of each cell"),
        ("device", distinct((row.device for row in rows), plan.device)),
        ("threads", distinct((str(row.threads) for row in rows), str(plan.threads))),
        ("versions", distinct((row.versions for row in rows), words(about.get("versions")))),
        ("revision", distinct((row.revision for row in rows), words(about.get("revision")))),
        ("command", command(results)),
    ]  # fmt: skip
    machine = about.get("environment")
    if isinstance(machine, Mapping):
        found += [(name, words(machine[key])) for name, key in _MACHINE if machine.get(key)]
    for name, value in about.items():
        if name not in _SAID and isinstance(value, str | int | float):
            found.append((name.replace("_", " "), words(value)))
    return [(name, value) for name, value in found if value]


def progress(results: Results) -> str:
    """Such as "400 of 400 cells"; says where a run is not finished."""
    done, planned = len(results.rows), len(results.plan)
    unfinished = "" if done == planned else ", UNFINISHED"
    return f"{done} of {planned} cells{unfinished}"


def facts_tables(results: Sequence[Results]) -> tuple[Table, ...]:
    """What all runs share, and one line for each run of what they do not."""
    found = [dict(facts(item)) for item in results]
    names = list(dict.fromkeys(name for item in found for name in item))
    shared = {name for name in names if len({item.get(name) for item in found}) == 1}
    body = tuple((Entry(name), Entry(found[0][name])) for name in names if name in shared)
    tables = [Table("", ("what", "how"), body)]
    if len(found) > 1:
        own = [name for name in names if name not in shared]
        lines = tuple(tuple(Entry(item.get(name, DASH)) for name in own) for item in found)
        tables.insert(0, Table("", tuple(own), lines))
    return tuple(table for table in tables if table.head and table.body)


def command(results: Results) -> str:
    found = results.about.get("command")
    if isinstance(found, Sequence) and not isinstance(found, str):
        return shlex.join(str(part) for part in found)
    return words(found)


def guarantee(groups: Sequence[Group]) -> str:
    """What is proven about a method in these columns, in words."""
    judged = [row for group in groups for row in group.judged]
    verdicts = Counter(row.certificate for row in judged)
    conditional = verdicts[statuses.CONDITIONAL]
    certified = verdicts[statuses.CERTIFIED] + conditional
    if not judged:
        return DASH
    if verdicts[statuses.CONTRADICTED]:
        return f"CONTRADICTED in {plural(verdicts[statuses.CONTRADICTED], 'run')}"
    if not certified:
        return "no guarantee"
    bound = constant(groups)
    if conditional:
        bound += " (if what is declared is true)"
    if certified < len(judged):
        return f"certified in {certified} of {plural(len(judged), 'run')}{bound}"
    return f"certified{bound}"


def constant(groups: Sequence[Group]) -> str:
    """The largest proven constant, rounded up: the averagedness where there is one."""
    alpha = largest(group.alpha for group in groups)
    if alpha is not None:
        return f", α = {at_most(alpha)}"
    lipschitz = largest(group.lipschitz for group in groups)
    return "" if lipschitz is None else f", L = {at_most(lipschitz)}"


def distinct(values: Iterable[str], otherwise: str = "") -> str:
    """The different ones, in order; `otherwise` where there is none."""
    return "; ".join(dict.fromkeys(value for value in values if value)) or otherwise


def words(value: Any) -> str:
    """A value of a manifest for reading."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(words(item) for item in value)
    return str(value)


def parameters(rows: Iterable[Row]) -> str:
    """The different sets of parameters among rows; the range of strengths that were chosen."""
    rows = list(rows)
    chosen = sorted({row.parameters[STRENGTH] for row in rows if STRENGTH in row.parameters})
    own = [{k: v for k, v in row.parameters.items() if k != STRENGTH} for row in rows]
    span = " – ".join(f"{value:.3g}" for value in dict.fromkeys((*chosen[:1], *chosen[-1:])))
    return distinct([*map(_mapping, own), f"{STRENGTH} {span}" if chosen else ""]) or DASH


def _problems(plan: Plan) -> str:
    """Problems and levels; one list of levels where every problem has them all."""
    names = list(dict.fromkeys(item.name for item in plan.degradations))
    levels = list(dict.fromkeys(level(plan.suite, item.noise) for item in plan.degradations))
    levels[1:] = [words.rpartition(" = ")[2] for words in levels[1:]]
    if len(plan.degradations) == len(names) * len(levels):
        return f"{'; '.join(names)}; {', '.join(levels)}"
    return "; ".join(f"{item.name}, {level(plan.suite, item.noise)}" for item in plan.degradations)


def _mapping(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {words(value)}" for name, value in values.items())
