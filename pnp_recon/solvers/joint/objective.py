"""E(x, k) = f_k(x) + λR_σ(x) + (c/2) dist²(x, [0, 1]ⁿ) + ι(k), ι of the simplex.

f_k is the misfit of x blurred by k, one kernel for all channels. Pairs are one vector z = (x, s·k)
in float64; the unit s of the kernel makes the curvature of both parts alike. It knows no iteration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from operators import Convolution
from operators.borders import Boundary
from pnp_recon.fidelity import WeightedLeastSquares
from pnp_recon.proximal.simplex import project_tangent
from pnp_recon.solvers.descent.objective import Objective
from pnp_recon.solvers.joint.kernel import KernelTerm


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of a pair, in float64: E, and the norms of the shortest subgradient's parts.

    Attributes:
        energy: E(x, k), (1,).
        slope: gradient of λR_σ + (c/2) dist² at x.
        for_picture: ‖∇ₓE‖, (1,).
        for_kernel: ‖w‖, (1,), w the shortest element of ∂ₖE.
    """

    energy: Tensor
    slope: Tensor
    for_picture: Tensor
    for_kernel: Tensor


@dataclass(frozen=True, eq=False)
class JointObjective:
    """E for one picture.

    Attributes:
        objective: E(·, k₀); its fidelity is (weighted) least squares of a `Convolution`.
        kernel: k₀ (kh, kw), float64, on the simplex.
        unit: s > 0, a power of two, so that s·k is exact.
    """

    objective: Objective
    kernel: Tensor
    unit: float

    @property
    def boundary(self) -> Boundary:
        A = self.objective.fidelity.A
        assert isinstance(A, Convolution)
        return A.boundary

    @cached_property
    def shape(self) -> tuple[int, ...]:
        return (1, *self.objective.fidelity.A.image_shape)

    def at(self, k: Tensor) -> Objective:
        """E(·, k)."""
        held = self.objective
        A = Convolution(k, self.shape[1:], self.boundary)
        return replace(held, fidelity=replace(held.fidelity, A=A))

    def of(self, x: Tensor) -> KernelTerm:
        """f_k(x) as a function of k, in the precision of x."""
        held = self.objective.fidelity
        weights = held.weights if isinstance(held, WeightedLeastSquares) else None
        return KernelTerm.of(x, held.y, weights, self.boundary, self.kernel)

    def facts(self, x: Tensor, k: Tensor) -> Facts:
        """E and its shortest subgradient."""
        of_picture = self.at(k).facts(x)
        slope = self.of(x.double()).gradient(k)
        shortest = project_tangent(-slope, k).norm()[None]
        return Facts(of_picture.energy, of_picture.slope, of_picture.stationarity, shortest)

    def joined(self, x: Tensor, k: Tensor) -> Tensor:
        """z = (x, s·k), (1, n + kh·kw), float64."""
        return torch.cat([x.double().flatten(), self.unit * k.flatten()])[None]

    def parted(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """x (1, C, H, W) in the precision of the data, and k (kh, kw) in float64."""
        count = self.kernel.numel()
        x, k = z[0, :-count].view(self.shape), z[0, -count:].view(self.kernel.shape)
        return x.to(self.objective.fidelity.y), k / self.unit
