"""Whether a ray transform is run from its matrix, and what that takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from operators._memory import available_bytes, coefficient_count
from operators._odl import Backend
from operators.errors import OperatorError
from operators.scan_geometry import ScanGeometry

Storage = Literal["auto", "matrix", "on_the_fly"]

# The matrix and its transpose are kept in float32 and float64: a 4-byte index and 4 + 8 bytes of
# value, twice; a lean one is converted to float64 as it is used.
BYTES_PER_COEFFICIENT, LEAN_BYTES = 32, 16
# While it is built: ASTRA and scipy hold a fan beam's in float64 as well; a parallel beam's takes
# little more than it does in the end (measured: 1.1 times the lean one).
BUILDING_BYTES = {True: 64, False: 18}
MEMORY_BUDGET = 2_000_000_000
# This part of what is free may go into matrices.
FREE_SHARE = 0.6


def chosen_storage(
    backend: Backend,
    geometry: ScanGeometry,
    shapes: tuple[Sequence[int], Sequence[int]],
    wanted: Storage,
    budget: float | None,
) -> tuple[Literal["matrix", "on_the_fly"], bool, float]:
    """How to run it, whether its matrix is lean, and about how many bytes that takes.

    Args:
        shapes: those of image and measurement.
        budget: bytes that a matrix may take; None: what is free decides.

    Raises:
        OperatorError: a matrix is asked of a back end that has none, or the other way about.
    """
    image, measurement = shapes
    if budget is None:
        budget = max(MEMORY_BUDGET, FREE_SHARE * available_bytes("cpu"))
    traffic = 2.0 * 4 * (math.prod(image) + math.prod(measurement))
    if backend != "astra_cpu":
        if wanted == "matrix":
            raise OperatorError(f"storage 'matrix' needs the back end astra_cpu, not {backend}")
        return "on_the_fly", False, traffic
    curved = geometry.kind == "fan_curved"
    if curved and wanted == "on_the_fly":
        raise OperatorError("a curved detector is run from its matrix only; take storage='matrix'")
    count = coefficient_count(geometry, (image[1], image[2]))
    lean = BYTES_PER_COEFFICIENT * count > budget
    stored = LEAN_BYTES if lean else BYTES_PER_COEFFICIENT
    must = wanted == "matrix" or curved
    if wanted == "on_the_fly" or (stored * count > budget and not must):
        return "on_the_fly", False, traffic
    building = BUILDING_BYTES[geometry.source_radius is not None]
    return "matrix", lean, max(stored, building) * count + traffic
