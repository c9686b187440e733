"""The operators that this package offers, each with what is proven about it, in one line.

A table for people and for tests; the proofs are `norm_certificate` and `prox_l2_with_error` of
an operator itself.
"""

from __future__ import annotations

# Class -> how its norm and its proximal map are known. A test holds it against `operators`.
OPERATORS: dict[str, str] = {
    "Convolution": "norm bounded by Fourier symbols for every border rule, exact where circular; "
    "prox closed form where circular, else conjugate gradients with a proven error",
}
