"""Kullback–Leibler divergence: the negative log-likelihood of photon counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from operators.conjugate_gradient import conjugate_gradient, image_dots, image_norms, per_image
from operators.deadlines import expired
from operators.norms import round_up
from pnp_recon.errors import InputError
from pnp_recon.fidelity.base import Fidelity

# Of the proximal map: Newton steps, inner steps of each, and halvings of one, at most.
NEWTON_STEPS, INNER_STEPS, HALVINGS = 40, 100, 20


@dataclass(frozen=True)
class KullbackLeibler(Fidelity):
    """Σ tᵢ − yᵢ + yᵢ log(yᵢ/tᵢ), t = A x + b: counts y ~ Poisson(t), less what is free of x.

    Without background (b = 0) the domain is A x > 0, A x ≥ 0 where y = 0. The gradient is not
    Lipschitz there, so that the fidelity can be had through `loss_prox` alone.

    With b > 0 everywhere the loss is continued below A x = 0 by its quadratic Taylor polynomial
    (Chambolle, Ehrhardt, Richtárik & Schönlieb 2018, section 6.1). It keeps its values wherever
    A x ≥ 0, thus for every x ≥ 0 under an operator with entries ≥ 0, and becomes convex and smooth
    on the whole space with second derivatives ≤ y/b², as the theorems of gradient methods ask.

    Attributes:
        background: b ≥ 0, expected counts without an object; a number, or a tensor that
            broadcasts to y.
    """

    background: float | Tensor = 0.0
    name: ClassVar[str] = "kullback-leibler"

    def check(self) -> None:
        """Refuse counts or a background that are negative, not finite, or do not fit each other.

        Raises:
            InputError: what was found.
        """
        super().check()
        try:
            fits = torch.broadcast_shapes(self._b.shape, self.y.shape) == self.y.shape
        except RuntimeError:
            fits = False
        if not fits:
            raise InputError(
                f"the background has the shape {tuple(self._b.shape)}; expected a number, or one "
                f"that broadcasts to the measurement, {tuple(self.y.shape)}"
            )
        for what, values in (("counts", self.y), ("background", self._b)):
            if not bool((torch.isfinite(values) & (values >= 0)).all()):
                raise InputError(
                    f"the {what} of a Kullback–Leibler fidelity must be finite and >= 0, found "
                    f"values from {float(values.min()):g} to {float(values.max()):g}"
                )

    @cached_property
    def _b(self) -> Tensor:
        return torch.as_tensor(self.background, dtype=self.y.dtype, device=self.y.device)

    @cached_property
    def smooth(self) -> bool:
        """b > 0 everywhere."""
        return bool((self._b > 0).all())

    @property
    def has_prox(self) -> bool:
        return self.smooth

    def loss(self, v: Tensor) -> Tensor:
        y, b = self.y, self._b
        if self.smooth:
            inside, below = v.clamp_min(0), v.clamp_max(0)
            tail = below * (1 - y / b + 0.5 * y / b.square() * below)
        else:
            inside, tail = v, torch.where(v + b < 0, math.inf, 0.0)
        t = (inside + b).clamp_min(0)
        # xlogy(0, ·) = 0, and −y log t = inf where t = 0 < y.
        terms = t - y + torch.xlogy(y, y) - torch.xlogy(y, t) + tail
        return terms.flatten(1).sum(1)

    def loss_gradient(self, v: Tensor) -> Tensor:
        """∇φ(v) = 1 − y/(v + b), continued linearly below v = 0 where b > 0."""
        y, b = self.y, self._b
        if not self.smooth:
            return 1 - torch.where(y > 0, y / (v + b), 0.0)
        return 1 - y / (v.clamp_min(0) + b) + y / b.square() * v.clamp_max(0)

    def loss_prox(self, v: Tensor, step: float | Tensor) -> Tensor:
        """The positive root of t² − (v + b − step) t − step·y = 0, less b.

        Source: Combettes & Pesquet 2011, Table 10.2 (x). Where the root lies below b > 0, the
        minimiser is that of the quadratic continuation.
        """
        y, b = self.y, self._b
        shifted = v + b - step
        reach = (shifted.square() + 4 * step * y).sqrt()
        # The sum that does not cancel; for shifted < 0 by the product of the roots, −step·y.
        safe = (reach - shifted).clamp_min(torch.finfo(v.dtype).tiny)
        t = torch.where(shifted > 0, 0.5 * (shifted + reach), 2 * step * y / safe)
        if not self.smooth:
            return t - b
        below = (v - step * (1 - y / b)) / (1 + step * y / b.square())
        return torch.where(t >= b, t - b, below)

    def prox(
        self, z: Tensor, gamma: float, start: Tensor | None = None, tol: float | Tensor = 0.0
    ) -> tuple[Tensor, Tensor]:
        """argmin γ f(x) + ½‖x − z‖², and a proven bound (B,) on the error; see `Fidelity`.

        By Newton steps, each solved for by conjugate gradients as exactly as the slope is small,
        and shortened until the objective falls (Dembo, Eisenstat & Steihaug 1982): gradient steps
        would be as short as darkness asks for. The bound is that of `Fidelity.prox`.
        """
        if not self.has_prox or not 0 < gamma < math.inf:
            return super().prox(z, gamma, start, tol)
        wide = torch.promote_types(z.dtype, self.A.certificate_dtype)
        center = z.to(wide)
        x = center if start is None else start.to(wide)
        held = replace(self, y=self.y.to(wide))
        with torch.no_grad():
            for _ in range(NEWTON_STEPS):
                image = self.A.A(x)
                slope = x - center + gamma * self.A.A_adjoint(held.loss_gradient(image))
                size = image_norms(slope)
                if bool((size <= tol).all()) or expired():
                    break
                moved = held._newton_step(x - center, image, slope, gamma)
                if not bool(moved.any()):
                    break
                x = x + moved
            slope = x - center + gamma * self.A.A_adjoint(held.loss_gradient(self.A.A(x)))
            found = x.to(z.dtype)
            return found, image_norms(slope) + image_norms(x - found.to(wide))

    def _newton_step(self, off: Tensor, image: Tensor, slope: Tensor, gamma: float) -> Tensor:
        """A step from x = z + off that lowers the objective of `prox`, zero where none was found.

        Args:
            image, slope: A x, and the objective's gradient at x.
        """
        bend = self.y / (image.clamp_min(0) + self._b).square()

        def curvature(p: Tensor) -> Tensor:
            return p + gamma * self.A.A_adjoint(bend * self.A.A(p))

        size = image_norms(slope)
        share = (size / image_norms(off + slope).clamp_min(1e-30)).clamp(0.01, 0.3)
        step = conjugate_gradient(
            curvature, -slope, torch.zeros_like(slope), tol=share * size, max_iter=INNER_STEPS
        )
        ahead = self.A.A(step)

        def objective(t: Tensor) -> Tensor:
            moved = off + per_image(t, off) * step
            return gamma * self.loss(image + per_image(t, image) * ahead) + 0.5 * image_dots(
                moved, moved
            )

        length = torch.ones_like(size)
        now, fall = objective(0 * length), image_dots(slope, step)
        noise = 8 * torch.finfo(slope.dtype).eps * now.abs()
        for _ in range(HALVINGS):
            high = objective(length) > now + 1e-4 * length * fall + noise
            if not bool(high.any()):
                break
            length = torch.where(high, 0.5 * length, length)
        else:
            length = torch.where(high, 0.0, length)
        return per_image(length, step) * step

    @property
    def whitening(self) -> Tensor:
        """The root of the inverse variance, which of counts is their mean (Pearson 1900)."""
        return self.y.clamp_min(1).rsqrt()

    def misfit(self, v: Tensor) -> Tensor:
        return self.whitening * (v + self._b - self.y)

    @property
    def loss_lipschitz(self) -> float:
        if not self.smooth:
            return math.inf
        ratio = self.y.double() / self._b.double().square()
        return round_up(float(ratio.max()))

    @property
    def usual_lipschitz(self) -> float:
        """‖A‖² over the mean count. The second derivative is 1/y where A x + b = y; the bound y/b²
        at A x = 0 is thousands of times as much where there is little background."""
        bound = self.A.norm_bound
        return bound * bound / float(self.y.double().clamp_min(1).mean())

    @property
    def finite(self) -> bool:
        return self.smooth

    def inside(self, low: Tensor) -> Tensor:
        """See `Fidelity`: t > 0 where y > 0, and t ≥ 0 elsewhere, where the term is linear."""
        if self.smooth:
            return super().inside(low)
        t = low + self._b.to(low)
        return torch.where(self.y.to(low) > 0, t > 0, t >= 0)

    def outside(self, high: Tensor) -> Tensor:
        """See `Fidelity`."""
        if self.smooth:
            return super().outside(high)
        t = high + self._b.to(high)
        return torch.where(self.y.to(high) > 0, t <= 0, t < 0)

    @cached_property
    def least(self) -> Tensor | float:
        """Zero without continuation; with it, −inf where y = 0: the tangent falls for ever.

        For 0 < y < b the quadratic that continues the loss has its minimum at v = b − b²/y, where
        it lies ½b(1 − r)²/r below the value at v = 0, r = y/b.
        """
        if not self.smooth:
            return 0.0
        b = self._b.double()
        r = self.y.double() / b
        at_zero = b * (1 - r + torch.xlogy(r, r))
        lowest = torch.where(r < 1, at_zero - 0.5 * b * (1 - r).square() / r, 0.0)
        # Sums of n terms are off by n roundings of their sizes.
        slack = 1e-9 * (at_zero.abs() + lowest.abs()).flatten(1).sum(1)
        return torch.where(slack < math.inf, lowest.flatten(1).sum(1) - slack, -math.inf).to(self.y)
