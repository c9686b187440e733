"""The operators that there are: where each lives, and what is proven about it, in one line.

A table for people and for tests; the proofs are `norm_certificate` and `prox_l2_with_error` of an
operator itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

_CG = "prox by conjugate gradients with a proven error"
_BLUR = "prox closed form where circular, else by conjugate gradients with a proven error"


@dataclass(frozen=True)
class OperatorEntry:
    """One operator.

    Attributes:
        home: "module:attribute", imported when it is asked for.
        proven: how its norm and its proximal map are known.
    """

    home: str
    proven: str

    @property
    def name(self) -> str:
        """What it is called in `operators`."""
        return self.home.partition(":")[2]

    def load(self) -> Any:
        """The class, or the function that makes one."""
        module, _, attribute = self.home.partition(":")
        return getattr(import_module(module), attribute)


# By name, in the order in which they are listed. Tests resolve every entry, and hold the table
# against what the package exports.
OPERATORS: dict[str, OperatorEntry] = {
    entry.name: entry
    for entry in (
        OperatorEntry(
            "operators.convolution:Convolution",
            "norm from Fourier symbols under every border rule, exact where circular; " + _BLUR,
        ),
        OperatorEntry(
            "operators.varying_blur:VaryingBlur",
            "norm by Collatz–Wielandt under every border rule, kernels >= 0; " + _CG,
        ),
        OperatorEntry(
            "operators.downsampling:Downsampling",
            "norm from the kernel's aliased spectrum, exact where circular; " + _BLUR,
        ),
        OperatorEntry("operators.sampling:Inpainting", "norm 1, exact; prox closed form"),
        OperatorEntry("operators.sampling:Identity", "norm 1, exact; prox closed form"),
        OperatorEntry("operators.stripes:StripeFilter", "norm 1, exact; prox closed form"),
        OperatorEntry(
            "operators.mri:MRI",
            "norm 1, exact, for a single coil, else the largest root of summed squared coil maps; "
            "prox closed form for a single coil, else by conjugate gradients with a proven error",
        ),
        OperatorEntry(
            "operators.nonuniform:NonuniformMRI",
            "norm from the eigenvalues of a circulant matrix around the Toeplitz AᵀA; " + _CG,
        ),
        OperatorEntry(
            "operators.jpeg:JPEGCoefficients",
            "norm 1 for grey, that of the colour matrix for colour; " + _CG,
        ),
        OperatorEntry(
            "operators.tomography:RayTransform",
            "norm by Collatz–Wielandt for matched back ends (astra_cpu, exact transpose), no "
            "guarantee for unmatched ones; " + _CG,
        ),
        OperatorEntry(
            "operators.differences:Gradient",
            "norm exact, eigenvalues of a path's Laplacian (Strang 1999); " + _CG,
        ),
        OperatorEntry(
            "operators.algebra:Composition", "norm at most the product of the parts' bounds; " + _CG
        ),
        OperatorEntry(
            "operators.algebra:Scaled",
            "norm |c| times that of the part; prox as that of the part",
        ),
        OperatorEntry(
            "operators.algebra:Stacked",
            "norm² at most the sum of the parts' squared bounds; " + _CG,
        ),
        OperatorEntry(
            "operators.channelwise:Channelwise",
            "norm the largest of the parts' bounds; prox as those of the parts",
        ),
        OperatorEntry("operators.algebra:Sum", "norm at most the sum of the parts' bounds; " + _CG),
        OperatorEntry(
            "operators.matrix:from_matrix",
            "norm at most Schur's bound, Collatz–Wielandt's and that of a small Gram matrix; "
            + _CG,
        ),
        OperatorEntry(
            "operators.own:from_callable",
            "norm as declared by the caller, or Collatz–Wielandt where the matrix is declared "
            "non-negative, else no guarantee; " + _CG,
        ),
        OperatorEntry(
            "operators.own:from_scipy",
            "as from_matrix where a matrix is inside, else as from_callable; " + _CG,
        ),
        OperatorEntry(
            "operators.interop:from_deepinv",
            "norm as declared by the caller, or Collatz–Wielandt where the matrix is "
            "non-negative, else no guarantee; " + _CG,
        ),
    )
}
