"""The operators that this package offers, each with what is proven about it, in one line.

A table for people and for tests; the proofs are `norm_certificate` and `prox_l2_with_error` of
an operator itself.
"""

from __future__ import annotations

_CG = "prox by conjugate gradients with a proven error"
_BLUR = "prox closed form where circular, else by conjugate gradients with a proven error"

# Name in `operators` -> how its norm and its proximal map are known. A test holds it against what
# the package exports.
OPERATORS: dict[str, str] = {
    "Convolution": "norm from Fourier symbols under every border rule, exact where circular; "
    f"{_BLUR}",
    "Downsampling": f"norm from the kernel's aliased spectrum, exact where circular; {_BLUR}",
    "Inpainting": "norm 1, exact; prox closed form",
    "Identity": "norm 1, exact; prox closed form",
    "RayTransform": "norm by Collatz–Wielandt for matched back ends (astra_cpu, exact transpose), "
    f"no guarantee for unmatched ones; {_CG}",
    "Gradient": f"norm exact, eigenvalues of a path's Laplacian (Strang 1999); {_CG}",
    "Composition": f"norm at most the product of the parts' bounds; {_CG}",
    "Scaled": "norm |c| times that of the part; prox as that of the part",
    "Stacked": f"norm² at most the sum of the parts' squared bounds; {_CG}",
    "Sum": f"norm at most the sum of the parts' bounds; {_CG}",
    "from_deepinv": "norm as declared by the caller, or Collatz–Wielandt where the matrix is "
    f"non-negative, else no guarantee; {_CG}",
}
