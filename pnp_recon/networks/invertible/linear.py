"""Linear bijections: a matrix on the channels by its LU factors, and orthogonal strided filters."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from pnp_recon import guarantees
from pnp_recon.guarantees import INVERTIBLE, VOLUME, Guarantee
from pnp_recon.networks.finite import NOT_FINITE
from pnp_recon.networks.flows.facts import NORM
from pnp_recon.networks.flows.matrices import ROUNDING, matrix_norm_bound
from pnp_recon.networks.invertible.base import Invertible

# ‖QᵀQ − I‖ above it is not the rounding of a parametrisation.
DEFECT = {torch.float32: 1e-5, torch.float64: 1e-12}


class ChannelMixing(Invertible):
    """x ↦ PLUx on the channels, a 1×1 convolution for features; P fixed, L unit lower triangular.

    log|det| = pixels · Σ log|u_ii|, and the inverse is two triangular systems. It starts at a
    random rotation.

    Source: Kingma & Dhariwal 2018.
    """

    permutation: Tensor
    signs: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = nn.init.orthogonal_(torch.empty(channels, channels))
        permutation, lower, upper = torch.linalg.lu(rotation)
        self.register_buffer("permutation", permutation)
        self.register_buffer("signs", upper.diagonal().sign())
        self.log_scales = nn.Parameter(upper.diagonal().abs().log())
        self.lower, self.upper = nn.Parameter(lower.tril(-1)), nn.Parameter(upper.triu(1))

    def factors(self) -> tuple[Tensor, Tensor]:
        """L and U."""
        eye = torch.eye(len(self.signs), dtype=self.lower.dtype, device=self.lower.device)
        scales = self.signs * self.log_scales.exp()
        return self.lower.tril(-1) + eye, self.upper.triu(1) + torch.diag(scales)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        lower, upper = self.factors()
        pixels = x[0, 0].numel()
        logdet = pixels * self.log_scales.sum()
        return _mixed(self.permutation @ (lower @ upper), x), logdet.expand(len(x))

    def inverse(self, y: Tensor) -> Tensor:
        lower, upper = self.factors()
        flat = _mixed(self.permutation.T, y).transpose(0, 1).flatten(1)
        half = torch.linalg.solve_triangular(lower, flat, upper=False, unitriangular=True)
        found = torch.linalg.solve_triangular(upper, half, upper=True)
        return found.unflatten(1, (len(y), *y.shape[2:])).transpose(0, 1)

    @torch.no_grad()
    def check(self) -> Guarantee:
        """What is proven of the factors as they are computed: a scale may have become zero."""
        lower, upper = (factor.double() for factor in self.factors())
        matrix, scales = lower @ upper, upper.diagonal()
        if not bool(torch.isfinite(matrix).all()):
            return guarantees.none(NOT_FINITE)
        held = _linear(matrix, "1×1 convolution, P L U")
        return guarantees.structured(held, INVERTIBLE) if bool((scales != 0).all()) else held


class OrthogonalDownsampling(Invertible):
    """Features (B, C, 2h, 2w) to (B, 4C, h, w): 2×2 filters at stride 2 that are orthonormal.

    Filters as wide as the stride do not overlap, so that the map is pixel unshuffling and an
    orthogonal matrix Q on the 4C channels, by its Cayley transform. It starts as unshuffling.

    Source: Etmann et al. 2020 (iUNets).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mixing = nn.Linear(4 * channels, 4 * channels, bias=False)
        nn.init.eye_(self.mixing.weight)
        parametrizations.orthogonal(self.mixing, "weight", orthogonal_map="cayley")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.shape[-2] % 2 or x.shape[-1] % 2:
            raise ValueError(f"features of {tuple(x.shape[-2:])} pixels; expected even sides")
        return _mixed(self.mixing.weight, F.pixel_unshuffle(x, 2)), x.new_zeros(len(x))

    def inverse(self, y: Tensor) -> Tensor:
        return F.pixel_shuffle(_mixed(self.mixing.weight.T, y), 2)

    def filters(self) -> Tensor:
        """(4C, C, 2, 2): `torch.nn.functional.conv2d(x, filters, stride=2)` is the same map."""
        return self.mixing.weight.unflatten(1, (-1, 2, 2))

    @torch.no_grad()
    def check(self) -> Guarantee:
        """Constants of Q as it is stored; orthogonal up to the rounding of its precision."""
        weight = self.mixing.weight
        if not bool(torch.isfinite(weight).all()):
            return guarantees.none(NOT_FINITE)
        q = weight.double()
        held = _linear(q, "orthogonal filters at their stride")
        defect = float(torch.linalg.matrix_norm(q.T @ q - torch.eye(len(q)).to(q), 2))
        if defect > DEFECT.get(weight.dtype, 0.0):
            return held
        return guarantees.structured(held, INVERTIBLE, VOLUME, NORM)


def _mixed(matrix: Tensor, x: Tensor) -> Tensor:
    """A matrix on dimension 1."""
    return torch.einsum("ij,bj...->bi...", matrix, x)


def _linear(matrix: Tensor, source: str) -> Guarantee:
    """Largest and smallest singular value, proven in float64."""
    slack = ROUNDING * (1 + len(matrix)) * float(torch.linalg.matrix_norm(matrix))
    least = float(torch.linalg.svdvals(matrix.cpu())[-1]) - slack
    held = guarantees.lipschitz(matrix_norm_bound(matrix), source)
    return guarantees.structured(held, lower=max(least, 0.0))
