"""The border rules as choices of an option. Imports no torch."""

from __future__ import annotations

from enum import StrEnum


class Boundary(StrEnum):
    valid = "valid"
    circular = "circular"
    replicate = "replicate"
    reflect = "reflect"
    constant = "constant"
