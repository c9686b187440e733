"""Errors that a user can act on: what was found, what was expected, what to do.

Every error of the package derives from `PnPReconError` and carries the exit code that the
commands end with: 2 bad input, 3 iteration limit reached, 4 a required certificate could not
be given. `operators` never imports this package, so its own `OperatorError` stands beside these;
the commands treat it as bad input.
"""

from __future__ import annotations


class PnPReconError(Exception):
    """Base class. `exit_code` is what a command returns when the error ends it."""

    exit_code: int = 2


class InputError(PnPReconError, ValueError):
    """A file, an argument or an array is not what was asked for."""


class OutputError(PnPReconError, OSError):
    """A result could not be written; nothing was left half written."""


class WeightsError(PnPReconError):
    """Weights are missing, damaged, or do not match their model card."""


class StepSizeError(PnPReconError, ValueError):
    """A step size lies outside the range that the theorem allows."""


class CertificateError(PnPReconError):
    """A guarantee was required and cannot be given, or was contradicted by the run."""

    exit_code = 4
