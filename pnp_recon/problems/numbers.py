"""Numbers that a caller sets, checked in one place and in the same words everywhere.

Loads no torch: commands check their options with it before they load anything.
"""

from __future__ import annotations

import math

from pnp_recon.errors import InputError, StepSizeError


def checked_number(
    name: str,
    value: object,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    hint: str = "",
    error: type[InputError | StepSizeError] = InputError,
) -> float:
    """A finite number as a float; NaN and infinities are none, and neither are True and False.

    Args:
        name: what a message calls it.
        value: what was given.
        above: the number must be larger.
        least: the number must be at least as large.
        hint: what else is expected, where there is no bound.
        error: what is raised.

    Raises:
        InputError: saying what was found and what is expected; or `error`.
    """
    try:
        number = math.nan if isinstance(value, str | bytes | bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, RuntimeError):
        number = math.nan
    if math.isfinite(number) and number > above and number >= least:
        return number
    kind = f" above {above:g}" if above > -math.inf else hint
    kind = f" >= {least:g}" if least > -math.inf else kind
    raise error(f"{name} must be a finite number{kind}, found {_shown(value)}")


def checked_count(name: str, value: object, least: int = 1) -> int:
    """A whole number.

    Raises:
        InputError: it is none, or below `least`.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    raise InputError(f"{name} must be a whole number >= {least}, found {_shown(value)}")


def checked_flag(name: str, value: object) -> None:
    """Refuses words, of which "no" would count as yes.

    Raises:
        InputError: it is neither True nor False.
    """
    if isinstance(value, str | bytes) or value not in (True, False, None):
        raise InputError(f"{name} must be True or False, found {_shown(value)}")


def _shown(value: object) -> str:
    return repr(value) if len(repr(value)) < 40 else f"a {type(value).__name__}"
