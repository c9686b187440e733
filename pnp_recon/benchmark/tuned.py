"""The parameters that methods run with: tuned ones from `tuned.json`, in between interpolated.

    {suite: {method: {"1": [{"noise": 5, "parameters": {...}, ...}, ...], "3": [...]}}}

"1" and "3" are the channels of the pictures, noise is σ·255. The file is the result of a search on
validation pictures.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnp_recon.errors import InputError

if TYPE_CHECKING:
    from pnp_recon.benchmark.methods.base import Method

TUNED_FILE = Path(__file__).with_name("tuned.json")
# Where the noise lies below this (σ·255), the parameters stay as they are there.
LEAST_NOISE = 1e-3


def parameters(
    suite: str, method: Method, channels: int, noise: float, table: Mapping[str, Any]
) -> dict[str, float]:
    """What a method runs with.

    Args:
        suite: "denoise", "deblur", ...
        method: asked for its name, its defaults, and which parameters are whole numbers.
        channels: those of the pictures, 1 or 3.
        noise: σ·255. Between two tuned levels parameters are interpolated linearly in log noise,
            whole numbers taken from the nearer level; outside they stay.
        table: the tuned parameters, see `read`.

    Returns:
        The tuned parameters; without any, the method's defaults for "denoise", whose parameters
        they are, and none for other suites.

    Raises:
        InputError: the table is damaged.
    """
    levels = tuned_levels(suite, method.name, channels, table)
    if not levels:
        return dict(method.defaults) if suite == "denoise" else {}
    at = math.log(max(noise, LEAST_NOISE))
    points = [math.log(max(level, LEAST_NOISE)) for level, _ in levels]
    high = next((index for index, point in enumerate(points) if point >= at), len(points) - 1)
    low = max(high - 1, 0)
    gap = points[high] - points[low]
    share = min(max((at - points[low]) / gap, 0.0), 1.0) if gap else 0.0
    first, second = levels[low][1], levels[high][1]
    nearer = second if share >= 0.5 else first
    return {
        name: value
        if isinstance(value, int) or _whole(method, name) or name not in first or name not in second
        else (1 - share) * first[name] + share * second[name]
        for name, value in nearer.items()
    }


def candidates(method: Method) -> list[dict[str, float]]:
    """Every combination of the values in `method.tuned_by`; one empty one if there are none."""
    names = list(method.tuned_by)
    return [
        dict(zip(names, values, strict=True))
        for values in itertools.product(*(method.tuned_by[name] for name in names))
    ]


def tuned_levels(
    suite: str, method: str, channels: int, table: Mapping[str, Any]
) -> Sequence[tuple[float, Mapping[str, float]]]:
    """(noise, parameters) in the order of the noise; empty where nothing was tuned."""
    try:
        found = table.get(suite, {}).get(method, {}).get(str(channels), [])
        pairs = [(float(item["noise"]), dict(item["parameters"])) for item in found]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the tuned parameters are damaged: {suite}, {method}, {channels} channels: {error!r}; "
            'expected a list of {"noise": σ·255, "parameters": {...}}'
        ) from error
    return sorted(pairs, key=lambda pair: pair[0])


def read(file: Path = TUNED_FILE) -> dict[str, Any]:
    """The table of a file; without one, the table that ships with the package.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"tuned parameters {file} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"tuned parameters {file}: expected an object, one entry for each suite")
    return content


def merged(table: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """`table` with the levels of `added`; a level that both hold is that of `added`."""
    out: dict[str, Any] = json.loads(json.dumps(table))
    for suite, methods in added.items():
        for method, kinds in methods.items():
            for channels, entries in kinds.items():
                held = out.setdefault(suite, {}).setdefault(method, {}).get(channels, [])
                fresh = {float(item["noise"]): item for item in [*held, *entries]}
                out[suite][method][channels] = [fresh[level] for level in sorted(fresh)]
    return out


def _whole(method: Method, name: str) -> bool:
    """Are the values that the parameter was tuned over whole numbers?"""
    values = method.tuned_by.get(name, ())
    return bool(values) and all(isinstance(value, int) for value in values)
