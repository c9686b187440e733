"""From the plain values of report.json back to what they were: history, theorem, certificate.

What follows from the premises is not read but computed again by the classes that wrote it, so that
a reader need not believe the words of the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from pnp_recon.guarantees import Guarantee
from pnp_recon.solvers import Certificate, Constant, History, Observation
from pnp_recon.solvers.core.error_bar import ErrorBar
from pnp_recon.solvers.core.theorem import Basis, CriticalPoint, Premise, RelaxedMap, Theorem


def guarantee_of(block: Mapping[str, Any]) -> Guarantee:
    """Raises ValueError where its numbers cannot be those of a guarantee."""
    return Guarantee(block["lipschitz"], block["averagedness"], block["source"])


def theorem_of(block: Mapping[str, Any]) -> Theorem:
    """The theorem that a certificate's block names.

    Args:
        block: "certificate" of a report.

    Raises:
        ValueError: there is no theorem of that kind, or its numbers are impossible.
    """
    kind, numbers = block["kind"], block["numbers"]
    classes = {one.kind: one for one in reversed(list(_kinds()))}
    if kind not in classes:
        raise ValueError(f"there is no theorem of the kind {kind!r}")
    given = {
        "statement": block["theorem"],
        "guarantee": guarantee_of(block["guarantee"]),
        "constants": tuple(
            Constant(item["name"], _number(item["value"], math.nan), item["how"])
            for item in block["constants"]
        ),
        "premises": tuple(
            Premise(item["words"], Basis(item["basis"])) for item in block["premises"]
        ),
        "step_law": block["step_law"],
        "error_bar": None if block["error_bar"] is None else ErrorBar(**block["error_bar"]),
    }
    if kind == RelaxedMap.kind and "relaxation" in numbers:
        return RelaxedMap(**given, relaxation=_number(numbers["relaxation"], math.nan))
    if kind == CriticalPoint.kind:
        fall, slope = (_number(numbers.get(name), math.nan) for name in ("fall", "slope"))
        return CriticalPoint(**given, fall=fall, slope=slope)
    return classes[kind](**given)


def certificate_of(block: Mapping[str, Any]) -> Certificate:
    """The certificate of a block: what it stands for is then computed, not read.

    Raises:
        ValueError: see `theorem_of`.
    """
    observed = tuple(
        Observation(item["law"], _number(item["worst"], math.nan), _number(item["limit"], math.nan))
        for item in block["observations"]
    )
    return Certificate(theorem_of(block), observed, block["unchecked"], tuple(block["remarks"]))


def history_of(block: Mapping[str, Any]) -> History:
    """The history of a block; what was not finite is infinite where it is a bound, else NaN."""
    return History(
        residuals=_rows(block["residuals"]),
        norms=_rows(block["norms"]),
        errors=_rows(block["inner_errors"]),
        tolerances=_rows(block["tolerances"], math.inf),
        bounds=_rows(block["bounds"], math.inf),
        ratios=_rows(block["ratios"]),
        energies=_rows(block["energies"]),
        falls=_rows(block["falls"]),
        gradients=_rows(block["gradients"]),
        moves=_rows(block["moves"]),
        least=block["least"],
        stride=block["stride"],
        unit=block["unit"],
        floor=block["floor"],
        picture_errors=[_number(value, math.nan) for value in block["picture_errors"]],
        pixels=block["pixels"],
    )


def columns(history: History) -> list[History]:
    """The history of each picture by itself, without the rows in which it stood still at the end.

    Pictures that were solved in parts end at iterations of their own, and keep their last values.
    """
    if not history.residuals:
        return []
    found = []
    count = len(history.residuals[0])
    for i in range(count):
        residuals, norms, errors = (
            _column(rows, i) for rows in (history.residuals, history.norms, history.errors)
        )
        steps = list(zip(residuals, norms, errors, strict=True))
        length = len(steps)
        while count > 1 and length > 1 and steps[length - 1] == steps[length - 2]:
            length -= 1
        found.append(
            History(
                residuals=_upright(residuals[:length]),
                norms=_upright(norms[:length]),
                errors=_upright(errors[:length]),
                tolerances=_upright(_column(history.tolerances, i)[:length]),
                bounds=_upright(_column(history.bounds, i)[:length]),
                ratios=_upright(_column(history.ratios, i)[:length]),
                energies=_upright(_column(history.energies, i)[:length]),
                falls=_upright(_column(history.falls, i)[:length]),
                gradients=_upright(_column(history.gradients, i)[:length]),
                moves=_upright(_column(history.moves, i)[:length]),
                least=history.least,
                stride=history.stride,
                unit=history.unit,
                floor=history.floor,
                picture_errors=history.picture_errors[i : i + 1],
                pixels=history.pixels,
            )
        )
    return found


def epsilon(dtype: str) -> float:
    """Machine epsilon of a precision by its name in reports."""
    return float(torch.finfo(getattr(torch, dtype)).eps)


def _kinds(base: Any = Theorem) -> Iterator[Any]:
    for one in base.__subclasses__():
        yield one
        yield from _kinds(one)


def _upright(values: Sequence[float]) -> list[list[float]]:
    return [[value] for value in values]


def _column(rows: Sequence[Sequence[float]], i: int) -> list[float]:
    return [row[i] for row in rows]


def _rows(rows: Sequence[Sequence[float | None]], missing: float = math.nan) -> list[list[float]]:
    return [[_number(value, missing) for value in row] for row in rows]


def _number(value: float | None, missing: float) -> float:
    return missing if value is None else value
