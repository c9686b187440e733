"""Group convolutions: plain convolutions whose filters and biases are tied by a group.

They are `torch.nn.Conv2d` with parametrised weights, so that the layer itself, its state and its
cost are PyTorch's own; taking the parametrisation away leaves the plain convolution.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from pnp_recon.networks.equivariant.checks import Equivariant
from pnp_recon.networks.equivariant.fields import Fields
from pnp_recon.networks.equivariant.filters import default_filters, intertwiners
from pnp_recon.networks.equivariant.groups import Representation, invariants


class TiedFilters(nn.Module):
    """Weights (fields_out, fields_in, n) ↦ equivariant filters (C_out, C_in, k, k).

    For turns by 90° the weights are the entries of the filters, each used |G| times; for C_1 they
    are the filters.
    """

    basis: Tensor

    def __init__(self, source: Fields, target: Fields, size: int, filters: str) -> None:
        super().__init__()
        basis = intertwiners(source.representation, target.representation, size, filters)
        if not len(basis):
            raise ValueError(f"no equivariant filter leads from {source} to {target}")
        self.register_buffer("basis", basis, persistent=False)
        self.shape = (target.channels, source.channels, size, size)
        self.weights = (target.count, source.count, len(basis))

    def forward(self, weights: Tensor) -> Tensor:
        # In the weights' own precision: bounds and estimates of norms are taken of these filters.
        with torch.autocast(weights.device.type, enabled=False):
            basis = self.basis.to(weights.dtype)
            return torch.einsum("oin,npqkl->opiqkl", weights, basis).reshape(self.shape)

    def right_inverse(self, filters: Tensor) -> Tensor:
        """The weights whose filters are closest to the given ones (least squares)."""
        _, p, q, k, _ = self.basis.shape
        parts = filters.reshape(self.weights[0], p, self.weights[1], q, k, k)
        flat = parts.permute(0, 2, 1, 3, 4, 5).flatten(2)
        basis = self.basis.to(filters.dtype).flatten(1)
        return torch.linalg.lstsq(basis.T, flat.flatten(0, 1).T).solution.T.reshape(self.weights)

    def spread(self, deviation: float) -> float:
        """Standard deviation of weights that gives the filters the root mean square wanted."""
        energy = float(self.basis.square().sum()) * self.weights[0] * self.weights[1]
        return deviation * math.sqrt(math.prod(self.shape) / energy)


class TiedVector(nn.Module):
    """(…, fields·n) numbers ↦ (…, channels): constant along the orbits of the channels of a field.

    For biases, thresholds and whatever else has one number for each channel.
    """

    basis: Tensor

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        basis = invariants(fields.representation.matrices)
        self.register_buffer("basis", basis, persistent=False)
        self.count = fields.count

    def forward(self, numbers: Tensor) -> Tensor:
        parts = numbers.unflatten(-1, (self.count, -1))
        with torch.autocast(numbers.device.type, enabled=False):
            return (parts @ self.basis.to(numbers.dtype)).flatten(-2)

    def right_inverse(self, vector: Tensor) -> Tensor:
        parts = vector.unflatten(-1, (self.count, -1))
        inverse = torch.linalg.pinv(self.basis).to(vector.dtype)
        return (parts @ inverse).flatten(-2)


def tie(module: nn.Module, name: str, to: TiedFilters | TiedVector) -> None:
    """Replaces the parameter `name` of a module by the tied one."""
    parametrize.register_parametrization(module, name, to, unsafe=True)


class GroupConv(Equivariant, nn.Conv2d):
    """Convolution (stride 1, zero padding) between fields, equivariant under their group.

    Theorem: for every g that maps the pixel grid onto itself, conv(g·x) = g·conv(x) on grids of
    any size, odd or even, to rounding. Its limit: the other elements (N ∤ 4) turn the filters in
    the plane, but the grid does not turn with them; there the equality is one of the sampled
    continuous operators, and its error is measured (`check_equivariance`), not proven.

    Args:
        source, target: fields of one group.
        kernel_size: odd.
        bias: one number for each invariant direction of a field (none in vector fields).
        filters: "pixel" (all filters there are; C1, C2, C4, D1, D2, D4) or "harmonic".

    The weights start with the spread of `torch.nn.Conv2d`.
    """

    def __init__(
        self,
        source: Fields,
        target: Fields,
        kernel_size: int,
        *,
        bias: bool = True,
        filters: str | None = None,
    ) -> None:
        tied = TiedFilters(source, target, kernel_size, filters or default_filters(source.group))
        super().__init__(
            source.channels,
            target.channels,
            kernel_size,
            padding=kernel_size // 2,
            bias=bias and has_invariants(target.representation),
        )
        self.source, self.target = source, target
        bound = 1 / math.sqrt(source.channels * kernel_size**2)
        tie(self, "weight", tied)
        with torch.no_grad():
            weights = self.parametrizations.weight.original  # type: ignore[union-attr, operator]
            limit = math.sqrt(3) * tied.spread(bound / math.sqrt(3))
            nn.init.uniform_(weights, -limit, limit)  # type: ignore[arg-type]
        if self.bias is not None:
            tie(self, "bias", TiedVector(target))
            with torch.no_grad():
                numbers = self.parametrizations.bias.original  # type: ignore[union-attr, operator]
                nn.init.uniform_(numbers, -bound, bound)  # type: ignore[arg-type]

    def export(self) -> nn.Conv2d:
        """A plain convolution with copies of the tied filters and biases: the same map."""
        # Made without memory, so that nothing is drawn from the random generator.
        plain = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            self.kernel_size,  # type: ignore[arg-type]
            padding=self.padding,  # type: ignore[arg-type]
            bias=self.bias is not None,
            device="meta",
        )
        for name, _ in plain.named_parameters():
            value: Tensor = getattr(self, name)
            learned = self.parametrizations[name].original.requires_grad  # type: ignore[index, union-attr]
            copied = nn.Parameter(value.detach().clone(), requires_grad=learned)  # type: ignore[arg-type]
            setattr(plain, name, copied)
        return plain.train(self.training)


def has_invariants(representation: Representation) -> bool:
    return len(invariants(representation.matrices)) > 0
