"""Forward operators with a matched transpose and a proven norm. Needs torch alone.

deepinv, ODL and ASTRA are imported by the functions that speak to them, when called.
"""

from operators import originals as originals  # first: what torch is before others replace it
from operators.algebra import Composition, Scaled, Stacked, Sum
from operators.base import LinearOperator
from operators.borders import BOUNDARIES, Boundary
from operators.channelwise import Channelwise
from operators.checks import adjoint_mismatch, check_adjoint, check_norm, to_matrix
from operators.convolution import Convolution
from operators.ct_numbers import MU_WATER, attenuation, hounsfield
from operators.differences import Gradient
from operators.downsampling import Downsampling
from operators.errors import OperatorError
from operators.interop import from_deepinv, to_deepinv
from operators.jpeg import Component, JPEGCoefficients
from operators.matrix import from_matrix
from operators.mri import MRI
from operators.noise import GaussianNoise
from operators.nonuniform import NonuniformMRI
from operators.norms import (
    NormBound,
    circular_norm,
    collatz_wielandt,
    compression_norm,
    power_iteration_estimate,
)
from operators.own import from_callable, from_scipy
from operators.sampling import Identity, Inpainting
from operators.scan_geometry import ScanGeometry
from operators.scan_presets import cone_beam, fan_beam, parallel_beam
from operators.stripes import StripeFilter
from operators.tomography import RayTransform, fbp
from operators.varying_blur import VaryingBlur

__all__ = [
    "BOUNDARIES",
    "MRI",
    "MU_WATER",
    "Boundary",
    "Channelwise",
    "Component",
    "Composition",
    "Convolution",
    "Downsampling",
    "GaussianNoise",
    "Gradient",
    "Identity",
    "Inpainting",
    "JPEGCoefficients",
    "LinearOperator",
    "NonuniformMRI",
    "NormBound",
    "OperatorError",
    "RayTransform",
    "Scaled",
    "ScanGeometry",
    "Stacked",
    "StripeFilter",
    "Sum",
    "VaryingBlur",
    "adjoint_mismatch",
    "attenuation",
    "check_adjoint",
    "check_norm",
    "circular_norm",
    "collatz_wielandt",
    "compression_norm",
    "cone_beam",
    "fan_beam",
    "fbp",
    "from_callable",
    "from_deepinv",
    "from_matrix",
    "from_scipy",
    "hounsfield",
    "parallel_beam",
    "power_iteration_estimate",
    "to_deepinv",
    "to_matrix",
]
