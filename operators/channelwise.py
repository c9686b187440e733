"""One operator per channel: a lens whose red is blurrier than its green."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.combined import Combined, require_operators, require_same
from operators.errors import OperatorError
from operators.norms import NormBound


class Channelwise(Combined):
    """Each channel of a picture seen by an operator of its own; their channels in a row.

    A block-diagonal matrix, so that its norm is the largest and its least singular value the
    smallest of those of the parts, and its proximal map is theirs, block by block.

    Args:
        operators: one per channel, of the same shapes, each of one channel: (1, H, W).
        noise_model: applied by `forward`.

    Raises:
        OperatorError: where there is none, or the shapes are others.
    """

    def __init__(
        self,
        operators: Sequence[LinearOperator],
        *,
        noise_model: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        require_operators(operators)
        require_same("image_shape", operators)
        require_same("measurement_shape", operators)
        image, measurement = operators[0].image_shape, operators[0].measurement_shape
        if image[0] != 1 or len(measurement) != 3 or measurement[0] != 1:
            raise OperatorError(
                f"the operators map {image} to {measurement}; expected one channel each, (1, H, W)"
            )
        super().__init__(
            f"by channel: {', '.join(part.name for part in operators)}",
            operators,
            (len(operators), *image[1:]),
            (len(operators), *measurement[1:]),
            noise_model=noise_model,
        )

    def _each(self, how: Callable[[LinearOperator, Tensor], Tensor], t: Tensor) -> Tensor:
        """`how` of every part and its channel of t (B, C, H, W)."""
        pairs = zip(self.parts, t.split(1, dim=1), strict=True)
        return torch.cat([how(part, channel) for part, channel in pairs], dim=1)

    def _forward_map(self, x: Tensor) -> Tensor:
        return self._each(lambda part, channel: part.A(channel), x)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self._each(lambda part, channel: part.A_adjoint(channel), y)

    def A_dagger(self, y: Tensor, tol: float = 1e-6, max_iter: int = 200) -> Tensor:
        """The least-squares solutions of the parts."""
        self._check(y, self.measurement_shape, "measurement")
        return self._each(lambda part, channel: part.A_dagger(channel, tol, max_iter), y)

    def initial_guess(self, y: Tensor) -> Tensor:
        """The guesses of the parts."""
        self._check(y, self.measurement_shape, "measurement")
        return self._each(lambda part, channel: part.initial_guess(channel), y)

    def enclosure(self, v: Tensor, *, transpose: bool = False) -> tuple[Tensor, Tensor]:
        """The enclosures of the parts."""
        bounds = [
            part.enclosure(channel, transpose=transpose)
            for part, channel in zip(self.parts, v.split(1, dim=1), strict=True)
        ]
        below, above = zip(*bounds, strict=True)
        return torch.cat(below, dim=1), torch.cat(above, dim=1)

    def _has_closed_form(self) -> bool:
        return all(part.prox_closed_form for part in self.parts)

    def _closed_prox(self, z: Tensor, y: Tensor, step: Tensor) -> Tensor:
        channels = zip(self.parts, z.split(1, dim=1), y.split(1, dim=1), strict=True)
        return torch.cat([part._closed_prox(a, b, step) for part, a, b in channels], dim=1)

    def _preconditioner(self, step: Tensor) -> Callable[[Tensor], Tensor] | None:
        inverses = [part._preconditioner(step) for part in self.parts]
        found = [inverse for inverse in inverses if inverse is not None]
        if len(found) < len(inverses):
            return None

        def solve(r: Tensor) -> Tensor:
            pairs = zip(found, r.split(1, dim=1), strict=True)
            return torch.cat([inverse(channel) for inverse, channel in pairs], dim=1)

        return solve

    def _prove_norm(self) -> NormBound:
        if not self.has_norm_bound:
            return super()._prove_norm()  # says what is missing
        bounds = [part.norm_certificate for part in self.parts]
        worst = max(bounds, key=lambda bound: bound.value)
        lower = max(bound.lower for bound in bounds)
        return NormBound(
            worst.value, lower, f"largest of the channels': {worst.method}", worst.source
        )

    def _prove_gram(self) -> float:
        return min(part.gram_lower_bound for part in self.parts)

    def _bound_from_parts(self) -> tuple[float, str]:
        return max(part.norm_bound for part in self.parts), "largest of the parts' bounds"
