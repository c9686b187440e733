"""Unrolled reconstruction networks: a fixed number of iterations whose proximal maps are learned.

Two schemes share their parts: learned proximal gradient and learned primal-dual (Adler & Öktem
2017, 2018). The learned maps are small convolution networks between fields of a group; with the
group C1 they are ordinary convolutions, with C4 or D4 equivariant ones. If a regulariser is
invariant under a group of isometries then its proximal map is equivariant, whatever the forward
operator (Celledoni et al. 2021, Prop. 1): that is why the learned map is tied by the group, and
why the whole network is *not* equivariant where the operator is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from operators.base import LinearOperator
from pnp_recon.errors import InputError
from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.networks.equivariant import (
    EquivarianceReport,
    Equivariant,
    Fields,
    Group,
    GroupConv,
    regulars_of_width,
    scalars,
)


class Update(Equivariant, nn.Module):
    """Three convolutions with ReLUs: scalar fields → regular → regular → scalar fields.

    Pointwise functions commute with the permutations of regular fields, so the map commutes with
    the group. It starts near zero, so that an untrained network is the plain iteration.
    """

    def __init__(
        self, source: Fields, hidden: Fields, target: Fields, size: int, filters: str | None
    ) -> None:
        super().__init__()
        self.source, self.target = source, target
        self.layers = nn.ModuleList(
            [
                GroupConv(source, hidden, size, filters=filters),
                GroupConv(hidden, hidden, size, filters=filters),
                GroupConv(hidden, target, size, filters=filters, bias=False),
            ]
        )
        with torch.no_grad():
            for weights in self.layers[-1].parameters():
                weights.mul_(0.1)

    @property
    def is_zero(self) -> bool:
        """Whether the last filters are zero, and with them the map."""
        return not bool(cast(Tensor, self.layers[-1].weight).any())

    def forward(self, x: Tensor) -> Tensor:
        z = x.contiguous(memory_format=torch.channels_last)
        *inner, last = self.layers
        for layer in inner:
            z = F.relu(layer(z))
        return cast(Tensor, last(z)).to(x.dtype)


class UnrolledNetwork(nn.Module):
    """Reconstruction by `depth` learned iterations: `forward(y, A)` → pictures (B, C, H, W).

    Proximal gradient, k = 1 … depth, with d = Aᵀ(Ax − y)/‖A‖², scalar steps θ and memory m:

        z = x − θ_k d,   (x, m) ← (z, m) + P_k(z, d, m).

    With P = 0 that is gradient descent with step θ/‖A‖². Primal-dual, with dual variable h:

        h ← h + Γ_k(h, Ax/‖A‖, y/‖A‖),   (x, m) ← (x, m) + Λ_k(x, Aᵀh/‖A‖, m).

    Γ is pointwise in the measurements for groups other than C1: a turn of the picture permutes
    the rays, which only a pointwise map is known to follow.

    No convergence is claimed: the number of iterations is fixed.
    """

    def __init__(self, config: UnrolledConfig) -> None:
        super().__init__()
        self.config = config
        self.updates = self.make_updates()
        self.duals = nn.ModuleList()
        if config.scheme == "primal-dual":
            group, pictures, none = Group.named(config.group), config.channels, Group(1)
            dual_size = config.kernel_size if group.order == 1 else 1
            for _ in range(len(self.updates)):
                wide = scalars(none, config.width)
                self.duals.append(
                    Update(
                        scalars(none, 3 * pictures), wide, scalars(none, pictures), dual_size, None
                    )
                )
        elif config.steps == "learned":
            self.steps = nn.Parameter(torch.ones(config.depth))
        else:
            self.register_buffer("steps", torch.ones(config.depth))
        # Whether training recomputes each iteration instead of keeping its features.
        self.checkpointing = False

    def make_updates(self) -> nn.ModuleList:
        """The learned maps P or Λ, one an iteration or one for all."""
        config, group = self.config, Group.named(self.config.group)
        hidden = regulars_of_width(group, config.width)
        source = scalars(group, 2 * config.channels + config.memory)
        target = scalars(group, config.channels + config.memory)
        return nn.ModuleList(
            Update(source, hidden, target, config.kernel_size, config.filters)
            for _ in range(1 if config.shared else config.depth)
        )

    def forward(self, y: Tensor, A: LinearOperator) -> Tensor:
        """Measurements (B, *A.measurement_shape) to pictures (B, *A.image_shape).

        Raises:
            InputError: see `iterates`.
        """
        *_, x = self.iterates(y, A)
        return x

    def iterates(self, y: Tensor, A: LinearOperator) -> Iterator[Tensor]:
        """The start and the picture after each iteration, `depth` + 1 in all; as `forward`.

        Raises:
            InputError: the measurements are not the operator's; its pictures have other channels;
                it has no filtered adjoint where the configuration wants one; or the
                primal-dual scheme finds measurements that are no pictures with those channels.
        """
        self._check(y, A)
        x = self.start(y, A)
        yield x
        memory = x.new_zeros(x.shape[0], self.config.memory, *x.shape[2:])
        dual = torch.zeros_like(y)
        for k in range(self.config.depth):
            if self.checkpointing and torch.is_grad_enabled():
                x, memory, dual = checkpoint(
                    self._step, k, x, memory, dual, y, A, use_reentrant=False
                )
            else:
                x, memory, dual = self._step(k, x, memory, dual, y, A)
            yield x

    def _check(self, y: Tensor, A: LinearOperator) -> None:
        channels = self.config.channels
        if A.image_shape[0] != channels:
            raise InputError(
                f"the network is for pictures with {channels} channels; '{A.name}' has "
                f"{A.image_shape[0]}"
            )
        # Residuals of other shapes would be broadcast without a word.
        if tuple(y.shape[1:]) != A.measurement_shape:
            expected = ", ".join(("B", *map(str, A.measurement_shape)))
            raise InputError(
                f"the measurements have shape {tuple(y.shape)}; '{A.name}' gives ({expected})"
            )
        if self.config.scheme == "primal-dual" and (y.ndim != 4 or y.shape[1] != channels):
            raise InputError(
                f"the primal-dual scheme learns on measurements (B, {channels}, rows, columns); "
                f"'{A.name}' gives {tuple(y.shape)}; take scheme 'proximal-gradient'"
            )

    def start(self, y: Tensor, A: LinearOperator) -> Tensor:
        """The picture before the first iteration."""
        if self.config.start == "zero":
            return y.new_zeros(y.shape[0], *A.image_shape)
        with torch.no_grad():
            return A.initial_guess(y)

    def _step(
        self, k: int, x: Tensor, memory: Tensor, dual: Tensor, y: Tensor, A: LinearOperator
    ) -> tuple[Tensor, Tensor, Tensor]:
        index = 0 if self.config.shared else k
        if self.config.scheme == "primal-dual":
            scale = A.norm_bound
            dual = dual + self.duals[index](torch.cat([dual, A.A(x) / scale, y / scale], 1))
            direction = A.A_adjoint(dual) / scale
        else:
            direction = self.direction(x, y, A)
            x = x - self.steps[k] * direction
        change = self.updates[index](torch.cat([x, direction, memory], 1))
        pictures = self.config.channels
        return x + change[:, :pictures], memory + change[:, pictures:], dual

    def direction(self, x: Tensor, y: Tensor, A: LinearOperator) -> Tensor:
        """Where the data pull: the gradient of ½‖Ax − y‖² over ‖A‖², or its filtered form."""
        residual = A.A(x) - y
        if self.config.gradient == "adjoint":
            return A.A_adjoint(residual) / A.norm_bound**2
        filtered = getattr(A, "filtered_adjoint", None)
        if filtered is None:
            raise InputError(f"'{A.name}' has no filtered adjoint; take gradient 'adjoint'")
        return cast(Tensor, filtered(residual))

    def check_equivariance(
        self,
        angles: Sequence[float] | None = None,
        reflections: bool | None = None,
        **options: Any,
    ) -> EquivarianceReport:
        """`Equivariant.check_equivariance` of every learned proximal map, all rows in one report.

        It is about the maps alone: whether the whole network turns along depends on the operator.
        Maps that are zero commute with everything and have no row.
        """
        reports = [
            update.check_equivariance(angles, reflections, **options)
            for update in self.updates
            if isinstance(update, Update) and not update.is_zero
        ]
        return EquivarianceReport(tuple(row for report in reports for row in report.rows))

    def recipe(self) -> dict[str, object]:
        return {"class": "UnrolledNetwork", **asdict(self.config)}
