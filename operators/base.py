"""The contract that every forward operator keeps: a matched transpose and a proven norm.

`LinearOperator` speaks the language of deepinv (`A`, `A_adjoint`, `A_dagger`, `prox_l2`, and a call
that adds noise) without importing it. A new operator writes two maps and says how large its norm
is; everything else is derived from them. Nothing here may import `pnp_recon`, deepinv or ODL.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from operators.conjugate_gradient import best_factor, conjugate_gradient, image_norms, per_image
from operators.errors import OperatorError
from operators.inputs import require_as_many, require_batch, steps_like
from operators.knowledge import Known, built_here
from operators.norms import NormBound, collatz_wielandt, require_size, widened
from operators.shifted import residual_error, shifted_solve
from operators.values import kept_precision, values_like

if TYPE_CHECKING:
    from deepinv.physics import LinearPhysics


class Extensions:
    """What modules above this one give to every operator; each sets its own when it is imported.

    The package imports them all, so whoever imports an operator finds them here.
    """

    compose: Callable[[LinearOperator, LinearOperator], LinearOperator]
    scale: Callable[[float, LinearOperator], LinearOperator]
    add: Callable[[Sequence[LinearOperator]], LinearOperator]
    to_deepinv: Callable[[LinearOperator], LinearPhysics]


extensions = Extensions()


class LinearOperator(Known, ABC):
    """A linear map from images (B, C, H, W) to measurements (B, *measurement_shape).

    A subclass implements `_forward_map` and `_transpose_map` on checked tensors, and either sets
    `nonnegative` (then the norm is bounded by Collatz–Wielandt) or overrides `_prove_norm`.

    Attributes:
        name: what a report calls the operator.
        image_shape: (C, H, W).
        measurement_shape: shape of one measurement, without the batch.
        nonnegative: every entry of the matrix of A is >= 0.
        noise_model: applied to A(x) by `forward`, or None.
        adjoint_matched: `A_adjoint` is the transpose of `A`, see `Known`.
        transpose_by, sign_by, norm_by: how these facts are known, see `Known`.
        prox_closed_form: `prox_l2` is a formula, exact up to rounding. May be set to False.
        certificate_dtype: the precision that bounds are computed in.
    """

    certificate_dtype: torch.dtype = torch.float64

    def __init__(
        self,
        name: str,
        image_shape: Sequence[int],
        measurement_shape: Sequence[int],
        *,
        nonnegative: bool = False,
        noise_model: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(nonnegative=nonnegative)
        if len(image_shape) != 3 or min(image_shape) < 1:
            raise OperatorError(
                f"image_shape is {tuple(image_shape)}; expected three positive numbers (C, H, W)"
            )
        channels, height, width = (int(n) for n in image_shape)
        self.name = name
        self.image_shape: tuple[int, int, int] = (channels, height, width)
        self.measurement_shape: tuple[int, ...] = tuple(int(n) for n in measurement_shape)
        self.noise_model = noise_model

    # ---- the maps -------------------------------------------------------------------------

    @abstractmethod
    def _forward_map(self, x: Tensor) -> Tensor:
        """A x for a checked x."""

    @abstractmethod
    def _transpose_map(self, y: Tensor) -> Tensor:
        """Aᵀ y for a checked y: the Euclidean transpose of `_forward_map`, nothing less."""

    def A(self, x: Tensor) -> Tensor:
        """The noiseless measurement A x of an image (B, C, H, W); differentiable."""
        self._check(x, self.image_shape, "image")
        with kept_precision(x):
            return self._forward_map(x)

    def A_adjoint(self, y: Tensor) -> Tensor:
        """The Euclidean transpose: <A x, y> = <x, A_adjoint(y)> for all x and y."""
        self._check(y, self.measurement_shape, "measurement")
        with kept_precision(y):
            return self._transpose_map(y)

    def normal(self, x: Tensor) -> Tensor:
        """Aᵀ A x."""
        return self.A_adjoint(self.A(x))

    def forward(self, x: Tensor) -> Tensor:
        """A x with the noise model applied: what a camera would record."""
        y = self.A(x)
        return y if self.noise_model is None else self.noise_model(y)

    def __matmul__(self, inner: LinearOperator) -> LinearOperator:
        """A @ B: A after B; see `operators.algebra` for this and the two below."""
        return extensions.compose(self, inner)

    def __rmul__(self, factor: float) -> LinearOperator:
        """c * A."""
        return extensions.scale(factor, self)

    def __add__(self, other: LinearOperator) -> LinearOperator:
        """A + B."""
        return extensions.add([self, other])

    # ---- least squares --------------------------------------------------------------------

    def A_dagger(self, y: Tensor, tol: float = 1e-6, max_iter: int = 200) -> Tensor:
        """The least-squares solution of smallest norm, by conjugate gradients from zero.

        Stops where ‖Aᵀ(y − A x)‖ <= tol ‖Aᵀ y‖ for every image of the batch, or at `max_iter`.
        For an ill-conditioned A an early stop is a regularisation, not the pseudo-inverse.
        """
        b = self.A_adjoint(y)
        # Far into small singular values the solution grows while residuals are below rounding.
        return conjugate_gradient(
            self.normal,
            b,
            torch.zeros_like(b),
            tol=tol * image_norms(b),
            max_iter=max_iter,
            eps=0.0,
        )

    def prox_l2(
        self,
        z: Tensor,
        y: Tensor,
        gamma: float | Tensor,
        *,
        x0: Tensor | None = None,
        tol: float | Tensor = 1e-4,
        max_iter: int = 200,
    ) -> Tensor:
        """argmin_x γ/2 ‖A x − y‖² + ½ ‖x − z‖² (deepinv's convention for γ).

        See `prox_l2_with_error` for the arguments and for how exact the result is.
        """
        return self.prox_l2_with_error(z, y, gamma, x0=x0, tol=tol, max_iter=max_iter)[0]

    def prox_l2_with_error(
        self,
        z: Tensor,
        y: Tensor,
        gamma: float | Tensor,
        x0: Tensor | None = None,
        *,
        tol: float | Tensor = 1e-4,
        max_iter: int = 200,
    ) -> tuple[Tensor, Tensor]:
        """`prox_l2` together with a proven bound on its distance from the exact answer.

        The prox solves (I + γAᵀA) x = z + γAᵀy. Since I + γAᵀA ⪰ I, its inverse has norm at most
        one, so any x̂ satisfies ‖x̂ − prox‖ <= ‖z − x̂ + γAᵀ(y − A x̂)‖. This holds for a closed form
        too, and is what is returned. The solve runs in float64 wherever the operator can, since in
        float32 that residual cannot fall below about γ‖x‖ roundings; it is computed afresh from
        the final x̂, rounding x̂ is added, and that of the residual itself as it was measured.

        Args:
            z: image (B, C, H, W).
            y: measurement (B, *measurement_shape).
            gamma: > 0; a number, or one per image (B,).
            x0: where conjugate gradients start; default z. The last iterate of an outer loop
                saves most of the work.
            tol: wanted residual of each image, absolute, Euclidean; a number or (B,).
            max_iter: limit for conjugate gradients. It is no error to reach it, or to miss `tol`
                for lack of precision: the second result says how good the first one is.

        Returns:
            The prox (B, C, H, W) and the bound (B,); inf where numbers overflowed.
        """
        self._checked_gamma(gamma, z)
        self._check(y, self.measurement_shape, "measurement")
        start = z if x0 is None else x0
        self._check(start, self.image_shape, "starting image")
        require_as_many(z, {"measurement": y, "starting image": start})
        wide = torch.promote_types(z.dtype, self.certificate_dtype)
        step_ = per_image(values_like(gamma, z.new_empty(0, dtype=wide)), z)
        if self.prox_closed_form:
            x_ = self._closed_prox(z.to(wide), y.to(wide), step_)
        else:
            # No other wide copy is held while it runs: large pictures need most memory here.
            right = z.to(wide) + step_ * self.A_adjoint(y.to(wide))
            start_ = start.to(wide).expand(len(z), *self.image_shape)
            x_ = self._iterated_prox(right, start_, step_, tol, max_iter)
        x, z_, y_ = x_.to(z.dtype), z.to(wide), y.to(wide)
        with torch.no_grad():
            seen = self.A(x_)
            misfit = y_ - seen
            eps = torch.finfo(self.certificate_dtype).eps
            pull = self.A_adjoint(misfit)
            error = residual_error(z_, x_, y_, seen, misfit, pull, step_, eps)
            error = error + image_norms(x_ - x.to(wide))
            return x, error.nan_to_num(torch.inf, torch.inf)

    def _iterated_prox(
        self, right: Tensor, start: Tensor, step: Tensor, tol: float | Tensor, max_iter: int
    ) -> Tensor:
        """About (I + γAᵀA)⁻¹ right, for `prox_l2_with_error`, which finds out how exact it is."""
        return shifted_solve(self, right, start, step, tol, max_iter)

    def _preconditioner(self, step: Tensor) -> Callable[[Tensor], Tensor] | None:
        """A positive definite map close to (I + γAᵀA)⁻¹, or None; `step` is γ (B, 1, 1, 1)."""
        return None

    def initial_guess(self, y: Tensor) -> Tensor:
        """A rough picture (B, C, H, W) of the right brightness, where an iteration may start.

        Aᵀy/AᵀA1 where AᵀA1 is well above zero and mid-grey elsewhere, for non-negative operators:
        exact for a picture of one colour. Aᵀy for others, of the size that explains y best where
        nothing is known of the norm: Aᵀy may then be of any.
        """
        back = self.A_adjoint(y)
        if not self.nonnegative:
            known = self.has_norm_bound
            return back if known else back * per_image(best_factor(self.A(back), y), back)
        weight = self.normal(torch.ones(1, *self.image_shape, dtype=y.dtype, device=y.device))
        least = 1e-3 * weight.max()
        return torch.where(weight > least, back / weight.clamp_min(least), 0.5)

    # ---- the norm -------------------------------------------------------------------------

    @property
    def norm_certificate(self) -> NormBound:
        """The proven bracket of ‖A‖, computed when first asked for and then kept.

        It is about the operator in exact arithmetic, with its stored coefficients.
        Raises OperatorError if no proven bound is known.
        """
        bound: NormBound = self._keep("norm", lambda: require_size(self, self._prove_norm()))
        return bound

    @property
    def norm_bound(self) -> float:
        """A proven upper bound of ‖A‖ (largest singular value). Never an estimate."""
        return self.norm_certificate.value

    @property
    def has_norm_bound(self) -> bool:
        """Whether `norm_bound` can be proven."""
        proof = type(self)._prove_norm is not LinearOperator._prove_norm
        return (self.nonnegative or proof) and self.adjoint_matched

    def _prove_norm(self) -> NormBound:
        if not self.has_norm_bound:
            raise OperatorError(
                f"no proven bound of the norm of '{self.name}' is known; override _prove_norm, or "
                "state that all its entries are >= 0 (nonnegative=True)"
            )
        return collatz_wielandt(self)

    def enclosure(self, v: Tensor, *, transpose: bool = False) -> tuple[Tensor, Tensor]:
        """Entrywise bounds lower <= A v <= upper, or of Aᵀ v, for v >= 0 that allow for rounding.

        This holds where A and its transpose are evaluated as sums of products of non-negative
        numbers: n such terms are off by a factor of at most 1 ± n ε / (1 − n ε), in any order
        (Higham 2002, Accuracy and Stability of Numerical Algorithms, §3.1). An operator that
        computes in another way (FFT) must override it, and `normal_enclosure`.
        """
        terms = math.prod(self.measurement_shape if transpose else self.image_shape)
        return self._widened(self.A_adjoint(v) if transpose else self.A(v), terms)

    def normal_enclosure(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Entrywise bounds lower <= AᵀA v <= upper for v > 0, under the terms of `enclosure`."""
        terms = math.prod(self.image_shape) + math.prod(self.measurement_shape)
        return self._widened(self.normal(v), terms)

    def _widened(self, product: Tensor, terms: int) -> tuple[Tensor, Tensor]:
        return widened(product, terms, self.name)

    def certificate_start(self) -> Tensor:
        """The all-ones image (1, C, H, W) on which a certificate starts its iteration."""
        tensors = (*self.parameters(), *self.buffers())
        device = tensors[0].device if tensors else torch.device("cpu")
        return torch.ones(1, *self.image_shape, dtype=self.certificate_dtype, device=device)

    # ---- from below -----------------------------------------------------------------------

    @property
    def gram_lower_bound(self) -> float:
        """A proven m >= 0 with ‖A x‖² >= m ‖x‖² for all x; 0 where nothing better is known.

        The square of the smallest singular value, rounded down. Only what this package constructs
        has one: for another class, or replaced maps, it is 0.
        """
        found: float = self._keep("gram", self._prove_gram) if built_here(self) else 0.0
        return found

    def _prove_gram(self) -> float:
        return 0.0

    # ---- conversion and checks --------------------------------------------------------------

    def to_deepinv(self) -> LinearPhysics:
        """This operator as a `deepinv.physics.LinearPhysics` (imports deepinv)."""
        return extensions.to_deepinv(self)

    def extra_repr(self) -> str:
        return f"{self.name}: {self.image_shape} -> {self.measurement_shape}"

    def _check(self, t: Tensor, shape: tuple[int, ...], what: str) -> None:
        require_batch(t, shape, what, self.name)

    def _checked_gamma(self, gamma: float | Tensor, like: Tensor) -> Tensor:
        """γ as a tensor that multiplies images: one number, or one per image."""
        self._check(like, self.image_shape, "image")
        return steps_like(gamma, like)
