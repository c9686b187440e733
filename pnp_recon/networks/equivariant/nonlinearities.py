"""What stands between group convolutions: each commutes with the group of its fields.

The theorem is the same for all: the group moves the pixels and mixes the channels of a field by
ρ(g), one and the same matrix in every pixel. A map that treats all pixels alike, and whose part
in a pixel commutes with ρ(g), commutes with the group, exactly for the elements that map the pixel
grid onto itself. A map of single pixels needs no grid: it adds no error for the other elements,
save that what it makes of band-limited features is not band-limited.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pnp_recon.networks.equivariant.checks import Equivariant
from pnp_recon.networks.equivariant.fields import Fields

# Lengths of vectors are √(|x|² + ε²), so that they have a derivative at zero.
EPSILON = 1e-3


class Pointwise(Equivariant, nn.Module):
    """One function of numbers, the same for all: x ↦ function(x), from the fields to themselves.

    Theorem: ρ(g) permutes the channels of a field, and whatever is done to each number alike
    commutes with a permutation. It fails for any other ρ(g).

    Args:
        fields: scalars or regular fields.
        function: such as `torch.nn.ReLU()`; one parameter for each channel is one too many.

    Raises:
        ValueError: fields that the group does not permute; a parameter for each channel.
    """

    def __init__(self, fields: Fields, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        if not fields.representation.permutes:
            raise ValueError(
                f"the group does not permute the channels of {fields}: a pointwise function is "
                "not equivariant; take NormActivation"
            )
        if isinstance(function, nn.Module) and fields.representation.dimension > 1:
            for name, parameter in function.named_parameters():
                if parameter.shape[:1] == (fields.channels,):
                    raise ValueError(
                        f"{name!r} of {type(function).__name__} has one row for each channel; the "
                        "channels of a field must share theirs"
                    )
        self.source = self.target = fields
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class NormActivation(Equivariant, nn.Module):
    """v ↦ v/|v| · max(|v| + b, 0) for each block v of each field, from the fields to themselves.

    Theorem: ρ(g) is orthogonal on each block, |ρ(g)v| = |v|, so a factor that depends on |v|
    alone commutes with it. A block of one number is shrunk or stretched, its sign kept. Lengths
    are √(|v|² + 10⁻⁶): the map is continuous and has a derivative at zero. b starts at 0, where
    the map is the identity.

    Source: Worrall et al. 2017, Harmonic Networks, §4.3 (C-ReLU).

    Args:
        fields: irreducible representations, or sums of them.

    Raises:
        ValueError: blocks that the group mixes with each other or can still be split.
    """

    member: Tensor

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        representation = fields.representation
        member = torch.block_diag(*(torch.ones(size, 1) for size in representation.blocks))
        matrices = representation.matrices
        inside = (member @ member.T).bool()
        if bool((matrices[:, ~inside].abs() > 1e-9).any()):
            raise ValueError(f"the group mixes the blocks {representation.blocks} of {fields}")
        if not _irreducible(fields):
            raise ValueError(
                f"a block of {fields} can be split into smaller ones: its length says little of "
                "it; take irreducible fields here, or Pointwise on regular ones"
            )
        self.source = self.target = fields
        self.register_buffer("member", member.T.contiguous(), persistent=False)
        self.bias = nn.Parameter(torch.zeros(fields.count, len(representation.blocks)))

    def forward(self, x: Tensor) -> Tensor:
        blocks = x.unflatten(1, (self.source.count, -1))
        # Squares of half precision overflow at 256.
        wide = blocks.to(torch.promote_types(x.dtype, torch.float32))
        member = self.member.to(wide.dtype)
        with torch.autocast(x.device.type, enabled=False):
            squares = torch.einsum("kd,bfdhw->bfkhw", member, wide.square())
            lengths = (squares + EPSILON**2).sqrt()
            gains = (lengths + self.bias[..., None, None]).relu() / lengths
            stretched = torch.einsum("kd,bfkhw->bfdhw", member, gains) * wide
        return stretched.to(x.dtype).flatten(1, 2)


class FieldDropout(Equivariant, nn.Module):
    """Sets whole fields of a picture to zero, each with probability p, and scales the others.

    The mean is kept; in `eval` mode it is the identity. Theorem: a field is kept or dropped as a
    whole, in all its channels and pixels, so that every single draw commutes with the group.

    Source: Tompson et al. 2015 (spatial dropout), with fields in the place of channels.

    Raises:
        ValueError: p outside 0 ≤ p < 1.
    """

    def __init__(self, fields: Fields, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"the probability of dropout is {p}; expected 0 <= p < 1")
        self.source = self.target = fields
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        kept = torch.empty(x.shape[0], self.source.count, dtype=x.dtype, device=x.device)
        kept = kept.bernoulli_(1 - self.p) / (1 - self.p)
        return x * kept.repeat_interleave(self.source.representation.dimension, 1)[..., None, None]


class FieldNorm(Equivariant, nn.Module):
    """Divides each field of each picture by its root mean square; one learned factor for each.

    The mean is over the pixels and the channels of the field, plus 10⁻⁶: instance normalisation
    (Ulyanov et al. 2016) without the shift, since a vector field has no mean to take away that
    the group leaves alone. Nothing is stored: it is the same in training and in use, for one
    picture or a batch. Theorem: ρ(g) is orthogonal, and neither it nor moving the pixels changes
    the sum of squares of a field.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        self.source = self.target = fields
        self.scale = nn.Parameter(torch.ones(fields.count))

    def forward(self, x: Tensor) -> Tensor:
        fields = x.unflatten(1, (self.source.count, -1))
        wide = fields.to(torch.promote_types(x.dtype, torch.float32))
        squares = wide.square().mean((2, 3, 4), keepdim=True)
        factor = self.scale[:, None, None, None] * (squares + EPSILON**2).rsqrt()
        return (wide * factor).to(x.dtype).flatten(1, 2)


def _irreducible(fields: Fields) -> bool:
    """Whether no block splits: only multiples of one among the symmetric matrices commute with it.

    The dimension of those matrices is the mean over g of (χ(g)² + χ(g²))/2, χ the trace (Serre
    1977, Linear Representations of Finite Groups, §2.1).
    """
    representation, group = fields.representation, fields.group
    squared = [group.elements.index(group.product(g, g)) for g in group.elements]
    start = 0
    for size in representation.blocks:
        block = representation.matrices[:, start : start + size, start : start + size]
        trace = block.diagonal(dim1=1, dim2=2).sum(1)
        if round(float((trace.square() + trace[squared]).mean() / 2)) != 1:
            return False
        start += size
    return True
