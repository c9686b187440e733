"""The one error of this package. It lies below everything else and imports nothing."""

from __future__ import annotations


class OperatorError(ValueError):
    """An operator, a kernel or a tensor given to one is not what was asked for."""
