"""What a report or a card claims, held against what was found: plain values, no theorem.

`holds` is None where nobody could look, and then `reason` says why: what was not checked is never
counted as true.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

# Of constants that are computed twice, perhaps by other libraries on another machine.
RELATIVE = 1e-6
# Of numbers in sentences, which are rounded to a few digits.
PRINTED = 2e-3
_NUMBER = re.compile(r"[-+−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        what: what it is about, in words that are the same for every report.
        stated, found: both sides as they are to be read.
        holds: None where it was not checked.
        reason: why it fails or was not checked; empty where the two sides say all.
    """

    what: str
    stated: str
    found: str = ""
    holds: bool | None = True
    reason: str = ""

    def __str__(self) -> str:
        if self.holds is None:
            return f"{self.what}: not checked, {self.reason}"
        sides = f"stated {self.stated}, found {self.found}"
        return f"{self.what}: {sides}{f'; {self.reason}' if self.reason else ''}"


def claim(
    what: str, stated: Any, found: Any, reason: str = "", relative: float = RELATIVE
) -> Claim:
    """That both sides are the same: numbers to `relative` of themselves, all else exactly."""
    holds = same(stated, found, relative)
    return Claim(what, told(stated), told(found), holds, "" if holds else reason)


def unchecked(what: str, stated: Any, reason: str) -> Claim:
    """A claim that nobody could check."""
    return Claim(what, told(stated), holds=None, reason=reason)


def same(stated: Any, found: Any, relative: float = RELATIVE) -> bool:
    """Equal, lists and objects item by item; None stands for what is not finite."""
    if isinstance(stated, dict) and isinstance(found, dict):
        return stated.keys() == found.keys() and all(
            same(value, found[key], relative) for key, value in stated.items()
        )
    if isinstance(stated, list | tuple) and isinstance(found, list | tuple):
        return len(stated) == len(found) and all(
            same(one, other, relative) for one, other in zip(stated, found, strict=True)
        )
    if _is_number(stated) and _is_number(found):
        return math.isclose(stated, found, rel_tol=relative)
    return bool(_finite(stated) == _finite(found))


def same_words(stated: str, found: str, printed: float = PRINTED) -> bool:
    """The same sentence, whose rounded numbers may differ by this part of themselves."""
    if skeleton(stated) != skeleton(found):
        return False
    pairs = zip(_NUMBER.findall(stated), _NUMBER.findall(found), strict=True)
    return all(
        math.isclose(float(one.replace("−", "-")), float(other.replace("−", "-")), rel_tol=printed)
        for one, other in pairs
    )


def skeleton(words: str) -> str:
    """A sentence without its numbers."""
    return _NUMBER.sub("#", words)


def told(value: Any) -> str:
    """A value as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "nothing"
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {told(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(told, value)) or "none"
    return str(value) or "nothing"


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
