"""Forward operators with a matched transpose and a proven norm. Needs torch alone.

deepinv and ODL are imported by the functions that convert to and from them, when called.
"""

from operators.algebra import Composition, Scaled, Stacked, Sum
from operators.base import GaussianNoise, LinearOperator, OperatorError
from operators.borders import BOUNDARIES, Boundary
from operators.checks import adjoint_mismatch, check_adjoint, check_norm, to_matrix
from operators.convolution import Convolution
from operators.differences import Gradient
from operators.downsampling import Downsampling
from operators.interop import from_deepinv, to_deepinv
from operators.norms import (
    NormBound,
    circular_norm,
    collatz_wielandt,
    compression_norm,
    power_iteration_estimate,
)
from operators.sampling import Identity, Inpainting

__all__ = [
    "BOUNDARIES",
    "Boundary",
    "Composition",
    "Convolution",
    "Downsampling",
    "GaussianNoise",
    "Gradient",
    "Identity",
    "Inpainting",
    "LinearOperator",
    "NormBound",
    "OperatorError",
    "Scaled",
    "Stacked",
    "Sum",
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
