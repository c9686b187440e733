"""To and from deepinv. deepinv is imported inside the functions: it costs seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from operators.base import LinearOperator, extensions
from operators.checks.measures import ADJOINT_TOLERANCE, adjoint_mismatch
from operators.errors import OperatorError
from operators.norms import NormBound, collatz_wielandt, power_iteration_estimate

if TYPE_CHECKING:
    from deepinv.physics import LinearPhysics


class DeepinvOperator(LinearOperator):
    """A deepinv physics seen as a `LinearOperator`; made by `from_deepinv`.

    Attributes:
        physics: the wrapped physics; its noise and sensor models are applied by `forward`.
        adjoint_mismatch: what the dot-product test measured, relative.
    """

    def __init__(
        self,
        physics: LinearPhysics,
        image_shape: Sequence[int],
        measurement_shape: Sequence[int],
        *,
        nonnegative: bool,
        dtype: torch.dtype,
    ) -> None:
        super().__init__(
            f"deepinv {type(physics).__name__}",
            image_shape,
            measurement_shape,
            nonnegative=nonnegative,
        )
        self.physics = physics
        self.certificate_dtype = dtype
        self.noise_model = lambda y: physics.sensor(physics.noise(y))
        self.declared_norm_bound: float | None = None
        self.adjoint_mismatch = math.nan

    def _forward_map(self, x: Tensor) -> Tensor:
        return self.physics.A(x)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self.physics.A_adjoint(y)

    @property
    def has_norm_bound(self) -> bool:
        """Only with a matched transpose, and declared non-negative or with a declared norm."""
        return self.adjoint_matched and (self.nonnegative or self.declared_norm_bound is not None)

    def _prove_norm(self) -> NormBound:
        if not self.has_norm_bound:
            why = (
                "pass norm_bound=... (an upper bound of ‖A‖, not ‖A‖²) or, if its matrix has no "
                "negative entry, nonnegative=True to from_deepinv"
                if self.adjoint_matched
                else f"its A_adjoint is not the transpose of A ({self.adjoint_mismatch:.1e})"
            )
            raise OperatorError(f"no proven bound of the norm of '{self.name}' is known: {why}")
        if self.declared_norm_bound is not None:
            lower = power_iteration_estimate(self, torch.Generator().manual_seed(0), iterations=10)
            bound = self.declared_norm_bound
            return NormBound(bound, min(lower, bound), "declared by the user", "the user")
        return collatz_wielandt(self)


def to_deepinv(A: LinearOperator) -> LinearPhysics:
    """A `deepinv.physics.LinearPhysics` whose maps, prox and noise are those of A.

    A `GaussianNoise` becomes deepinv's, with the same generator; other noise models are wrapped.
    """
    from operators._deepinv import OperatorPhysics

    if isinstance(A, DeepinvOperator):
        return A.physics
    return OperatorPhysics(A)


extensions.to_deepinv = to_deepinv


def from_deepinv(
    physics: LinearPhysics,
    image_shape: Sequence[int],
    *,
    norm_bound: float | None = None,
    nonnegative: bool = False,
    allow_unmatched: bool = False,
) -> LinearOperator:
    """Any linear deepinv physics as an operator, with what can honestly be said about it.

    The transpose is put to the dot-product test. Nothing is known about the norm unless the caller
    declares it, and a declaration that a quick measurement contradicts is refused.

    Args:
        physics: a `LinearPhysics` with plain tensors (B, ...) as measurements.
        image_shape: (C, H, W).
        norm_bound: an upper bound of ‖A‖ (not of ‖A‖²) that the caller can prove.
        nonnegative: the matrix has no negative entry, and A and its transpose are evaluated as sums
            of products (not by FFT); the norm is then bounded by Collatz–Wielandt.
        allow_unmatched: take an A_adjoint that is not the transpose all the same. Then
            `adjoint_matched` is False, `adjoint_mismatch` the measured value, and no norm bound
            exists, so no solver can give a guarantee.

    Raises:
        OperatorError: not linear, unmatched transpose, wrong shapes, or a refuted declaration.
    """
    from deepinv.physics import LinearPhysics

    from operators._deepinv import OperatorPhysics

    if not isinstance(physics, LinearPhysics):
        raise OperatorError(
            f"{type(physics).__name__} is no deepinv LinearPhysics; only linear operators are taken"
        )
    if (
        isinstance(physics, OperatorPhysics)
        and physics.operator.image_shape == tuple(image_shape)
        and norm_bound is None
    ):
        return physics.operator  # it came from here, and knows more than can be measured
    if norm_bound is not None and not (math.isfinite(norm_bound) and norm_bound > 0):
        raise OperatorError(f"norm_bound is {norm_bound}; expected a finite number > 0")
    dtype, device = _home(physics)
    kind = type(physics).__name__
    try:
        with torch.no_grad():
            probe = physics.A(torch.zeros(1, *image_shape, dtype=dtype, device=device))
    except Exception as error:  # whatever a physics of another size or type runs into
        raise OperatorError(
            f"{kind} cannot measure an image of shape {(1, *image_shape)}, {dtype}: "
            f"{' '.join(str(error).split())[:160]}; pass the image_shape (C, H, W) that it is for"
        ) from error
    if not isinstance(probe, Tensor) or not probe.is_floating_point():
        remedy = (
            "give real and imaginary part a channel each"
            if isinstance(probe, Tensor)
            else "convert its parts and combine them by operators.Stacked"
        )
        raise OperatorError(
            f"{kind} measures a {type(probe).__name__} {getattr(probe, 'dtype', '')}; only real "
            f"tensors (B, ...) are taken: {remedy}"
        )
    operator = DeepinvOperator(
        physics, image_shape, probe.shape[1:], nonnegative=nonnegative, dtype=dtype
    )
    generator = torch.Generator().manual_seed(0)
    operator.adjoint_mismatch = adjoint_mismatch(operator, generator)
    operator.adjoint_matched = operator.adjoint_mismatch <= ADJOINT_TOLERANCE[dtype]
    if not operator.adjoint_matched and not allow_unmatched:
        raise OperatorError(
            f"A_adjoint of {type(physics).__name__} is not the transpose of A: relative mismatch "
            f"{operator.adjoint_mismatch:.1e}, allowed {ADJOINT_TOLERANCE[dtype]:.0e}; "
            "repair it, or pass allow_unmatched=True and do without guarantees"
        )
    if nonnegative:
        _refute_negative_entries(operator, generator)
    if norm_bound is not None:
        attained = power_iteration_estimate(operator, generator, iterations=10)
        if attained > norm_bound:
            raise OperatorError(
                f"norm_bound is declared as {norm_bound}, but {attained:.6g} is attained"
            )
        operator.declared_norm_bound = float(norm_bound)
    return operator


def _home(physics: torch.nn.Module) -> tuple[torch.dtype, torch.device]:
    """Precision and device of the coefficients; deepinv's default is float32."""
    for t in (*physics.buffers(), *physics.parameters()):
        if t.dtype == torch.float64:
            return torch.float64, t.device
    for t in (*physics.buffers(), *physics.parameters()):
        return torch.float32, t.device
    return torch.float32, torch.device("cpu")


def _refute_negative_entries(operator: DeepinvOperator, generator: torch.Generator) -> None:
    start = operator.certificate_start()
    for density in (0.5, 0.05, 0.005):
        draw = torch.rand(start.shape, generator=generator, dtype=start.dtype)
        with torch.no_grad():
            y = operator.A((draw < density).to(start))
        if bool((y < -ADJOINT_TOLERANCE[start.dtype] * y.abs().max()).any()):
            raise OperatorError(
                f"'{operator.name}' was declared non-negative, but maps a non-negative image to "
                f"{float(y.min()):.3g}; declare norm_bound instead"
            )
