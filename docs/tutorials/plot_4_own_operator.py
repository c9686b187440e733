"""
Bring your own operator
=======================

A matrix, a SciPy operator, two functions, or a class: what can be proven of it is proven, what
only you declare is named in the verdict.
"""

import numpy as np
import scipy.sparse
import torch

from pnp_recon import reconstruct
from pnp_recon.operators import LinearOperator, from_callable, from_matrix, from_scipy
from pnp_recon.operators.checks import check_operator

shape = (1, 32, 32)

# %%
# A sparse matrix: its norm is bounded from its entries.

M = from_matrix(scipy.sparse.random(300, 1024, 0.1, random_state=0), shape)
print(M.norm_bound, M.norm_certificate.method)

# %%
# A SciPy operator that wraps a matrix, and two functions, whose norm must be declared.

S = from_scipy(scipy.sparse.linalg.aslinearoperator(np.eye(1024)), shape)
F = from_callable(lambda x: x.flip(-1), lambda y: y.flip(-1), shape, shape, norm_bound=1.0)
print(S.norm_bound, "|", F.norm_by)

# %%
# A class of two methods. ``check_operator`` puts it through the laws that the package's own
# operators keep: transpose, norm, proximal map and more.


class Flip(LinearOperator):
    """Left and right exchanged."""

    def __init__(self, image_shape):
        super().__init__("flip", image_shape, image_shape, nonnegative=True)

    def _forward_map(self, x):
        return x.flip(-1)

    def _transpose_map(self, y):
        return y.flip(-1)


check_operator(Flip(shape))

# %%
# The verdict names what was declared and not proven.

x = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0))
y = F.A(x) + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
solution = reconstruct(y, F, "euler_grey", noise_level=0.05, strength=1)
print(solution.certificate.label, *solution.certificate.conditions, sep="\n  ")
