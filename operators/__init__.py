"""Forward operators with a matched transpose and a proven norm. Needs torch alone.

deepinv and ODL are imported by the functions that convert to and from them, when called.
"""

from operators.base import GaussianNoise, LinearOperator, OperatorError
from operators.borders import BOUNDARIES, Boundary
from operators.checks import adjoint_mismatch, check_adjoint, check_norm, to_matrix
from operators.convolution import Convolution
from operators.interop import from_deepinv, to_deepinv
from operators.norms import (
    NormBound,
    circular_norm,
    collatz_wielandt,
    compression_norm,
    power_iteration_estimate,
)

__all__ = [
    "BOUNDARIES",
    "Boundary",
    "Convolution",
    "GaussianNoise",
    "LinearOperator",
    "NormBound",
    "OperatorError",
    "adjoint_mismatch",
    "check_adjoint",
    "check_norm",
    "circular_norm",
    "collatz_wielandt",
    "compression_norm",
    "from_deepinv",
    "power_iteration_estimate",
    "to_deepinv",
    "to_matrix",
]
