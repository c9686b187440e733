"""Kullback–Leibler divergence: the negative log-likelihood of photon counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from operators.checks.probing import norm_or_attained
from operators.conjugate_gradient import conjugate_gradient, image_dots, image_norms, per_image
from operators.deadlines import expired
from operators.norms import round_up
from pnp_recon.errors import InputError
from pnp_recon.fidelity.base import Fidelity

# Of the proximal map: Newton steps, inner steps of each, and halvings of one, at most.
NEWTON_STEPS, INNER_STEPS, HALVINGS = 40, 100, 20
# Units of rounding that a count is raised further than it will be moved.
ROOM = 16


@dataclass(frozen=True)
class KullbackLeibler(Fidelity):
    """Σ g (t − c + c log(c/t)), c = y + r/g, t = A x + b + r/g: counts g·y of mean g (A x + b).

    With g = 1 and r = 0 the data are counts themselves. It is the negative log-likelihood of
    Poisson counts, less what is free of x. Noise of the readout with variance r counts² is taken
    for Poisson noise of as much variance, by adding r to the counts and to their mean (Snyder,
    Helstrom, Lanterman, Faisal & White 1995): the first two moments are right then.

    Without background and readout (b = r = 0) the domain is A x > 0, A x ≥ 0 where y = 0. The
    gradient is not Lipschitz there, so that the fidelity can be had through `loss_prox` alone.

    With b + r/g > 0 everywhere the loss is continued below A x = 0 by its quadratic Taylor
    polynomial (Chambolle, Ehrhardt, Richtárik & Schönlieb 2018, section 6.1). It keeps its values
    wherever A x ≥ 0, thus for every x ≥ 0 under an operator with entries ≥ 0, and becomes convex
    and smooth on the whole space, as the theorems of gradient methods ask.

    Attributes:
        background: b ≥ 0, what is expected without an object, in the units of y; a number, or a
            tensor that broadcasts to y.
        photons: g ≥ 0, counts for each unit of y, such as the peak of a picture in [0, 1]; a
            number, or a tensor that broadcasts to y, zero where nothing is known.
        readout: r ≥ 0, variance of the readout noise in counts².
    """

    background: float | Tensor = 0.0
    photons: float | Tensor = 1.0
    readout: float = 0.0
    name: ClassVar[str] = "kullback-leibler"

    def check(self) -> None:
        """Refuse counts, background, photons or readout that are negative, not finite, or of
        shapes that do not fit.

        Raises:
            InputError: what was found.
        """
        super().check()
        for what, given in (("background", self.background), ("photons", self.photons)):
            shape = torch.as_tensor(given).shape
            try:
                fits = torch.broadcast_shapes(shape, self.y.shape) == self.y.shape
            except RuntimeError:
                fits = False
            if not fits:
                raise InputError(
                    f"the {what} has the shape {tuple(shape)}; expected a number, or one "
                    f"that broadcasts to the measurement, {tuple(self.y.shape)}"
                )
        held = (
            ("background", torch.as_tensor(self.background)),
            ("photons", self._gain),
            ("readout variance", torch.tensor(float(self.readout))),
            ("counts", self._y),
        )
        for what, values in held:
            if not bool((torch.isfinite(values) & (values >= 0)).all()):
                raise InputError(
                    f"the {what} of a Kullback–Leibler fidelity must be finite and >= 0, found "
                    f"values from {float(values.min()):g} to {float(values.max()):g}"
                )

    @cached_property
    def _gain(self) -> Tensor:
        return torch.as_tensor(self.photons, dtype=self.y.dtype, device=self.y.device)

    @cached_property
    def _y(self) -> Tensor:
        """c; 1 where nothing is known."""
        return self._shifted(self.y)

    @cached_property
    def _b(self) -> Tensor:
        """b + r/g; 1 where nothing is known."""
        b = torch.as_tensor(self.background, dtype=self.y.dtype, device=self.y.device)
        return self._shifted(b)

    def _shifted(self, values: Tensor) -> Tensor:
        # To the last bit what it was where there is nothing to add.
        if not isinstance(self.photons, Tensor):
            return values + self.readout / self.photons if self.readout else values
        safe = torch.where(self._gain > 0, self._gain, 1.0)
        return torch.where(self._gain > 0, values + self.readout / safe, 1.0)

    @cached_property
    def smooth(self) -> bool:
        """b + r/g > 0 everywhere."""
        return bool((self._b > 0).all())

    @property
    def has_prox(self) -> bool:
        return self.smooth

    def loss(self, v: Tensor) -> Tensor:
        y, b = self._y, self._b
        if self.smooth:
            inside, below = v.clamp_min(0), v.clamp_max(0)
            tail = below * (1 - y / b + 0.5 * y / b.square() * below)
        else:
            inside, tail = v, torch.where(v + b < 0, math.inf, 0.0)
        t = (inside + b).clamp_min(0)
        # xlogy(0, ·) = 0, and −y log t = inf where t = 0 < y.
        terms = t - y + torch.xlogy(y, y) - torch.xlogy(y, t) + tail
        return self._weighed(terms).flatten(1).sum(1)

    def _weighed(self, terms: Tensor) -> Tensor:
        """Times g; 0·∞ is 0."""
        if not isinstance(self.photons, Tensor):
            return self.photons * terms
        return torch.where(self._gain > 0, self._gain * terms, 0.0)

    def loss_gradient(self, v: Tensor) -> Tensor:
        """g (1 − c/(v + b)), continued linearly below v = 0 where b > 0."""
        y, b = self._y, self._b
        if not self.smooth:
            return self._weighed(1 - torch.where(y > 0, y / (v + b), 0.0))
        return self._weighed(1 - y / (v.clamp_min(0) + b) + y / b.square() * v.clamp_max(0))

    def loss_prox(self, v: Tensor, step: float | Tensor) -> Tensor:
        """The positive root of t² − (v + b − step·g) t − step·g·c = 0, less b.

        Source: Combettes & Pesquet 2011, Table 10.2 (x). Where the root lies below b > 0, the
        minimiser is that of the quadratic continuation.
        """
        y, b = self._y, self._b
        step = step * self._gain if isinstance(self.photons, Tensor) else step * self.photons
        shifted = v + b - step
        reach = (shifted.square() + 4 * step * y).sqrt()
        # The sum that does not cancel; for shifted < 0 by the product of the roots, −step·y.
        safe = (reach - shifted).clamp_min(torch.finfo(v.dtype).tiny)
        t = torch.where(shifted > 0, 0.5 * (shifted + reach), 2 * step * y / safe)
        if not self.smooth:
            found = t - b
            return torch.where(self._gain > 0, found, v)
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
        bend = self._weighed(self._y / (image.clamp_min(0) + self._b).square())

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

    @cached_property
    def whitening(self) -> Tensor:
        """The root of the inverse variance, which of counts is their mean (Pearson 1900)."""
        return self._gain * (self._gain * self._y).clamp_min(1).rsqrt()

    def movable(self, reach: Tensor) -> Tensor:
        """See `Fidelity`: no count falls below zero, so that few are raised a little.

        By a few units more than `reach`: the sum and the difference are rounded.
        """
        reach = reach * (1 + ROOM * torch.finfo(self.y.dtype).eps)
        return self.y + (reach - self._y).clamp_min(0) * (self._gain > 0)

    def misfit(self, v: Tensor) -> Tensor:
        return self.whitening * (v + self._b - self._y)

    @property
    def loss_lipschitz(self) -> float:
        if not self.smooth:
            return math.inf
        ratio = self._gain.double() * self._y.double() / self._b.double().square()
        return round_up(float(ratio.max()))

    @property
    def usual_lipschitz(self) -> float:
        """‖A‖² g² over the mean count. The second derivative is g/c where A x + b = c; the bound
        at A x = 0 is thousands of times as much where there is little background."""
        gain = self._gain.double().expand(self.y.shape)
        seen = gain > 0
        if not bool(seen.any()):
            return 0.0
        counts = (gain * self._y.double())[seen].clamp_min(1)
        bound = norm_or_attained(self.A) * float(gain[seen].mean())
        return bound * bound / float(counts.mean())

    @property
    def finite(self) -> bool:
        return self.smooth

    def inside(self, low: Tensor) -> Tensor:
        """See `Fidelity`: t > 0 where y > 0, and t ≥ 0 elsewhere, where the term is linear."""
        if self.smooth:
            return super().inside(low)
        t = low + self._b.to(low)
        return torch.where(self._y.to(low) > 0, t > 0, t >= 0) | (self._gain == 0)

    def outside(self, high: Tensor) -> Tensor:
        """See `Fidelity`."""
        if self.smooth:
            return super().outside(high)
        t = high + self._b.to(high)
        return torch.where(self._y.to(high) > 0, t <= 0, t < 0) & (self._gain > 0)

    @cached_property
    def least(self) -> Tensor | float:
        """Zero without continuation; with it, −inf where y = 0: the tangent falls for ever.

        For 0 < y < b the quadratic that continues the loss has its minimum at v = b − b²/y, where
        it lies ½b(1 − r)²/r below the value at v = 0, r = y/b.
        """
        if not self.smooth:
            return 0.0
        b = self._b.double()
        r = self._y.double() / b
        at_zero = b * (1 - r + torch.xlogy(r, r))
        lowest = torch.where(r < 1, at_zero - 0.5 * b * (1 - r).square() / r, 0.0)
        # Sums of n terms are off by n roundings of their sizes; a term by a few of the parts whose
        # difference it is, which are more than itself where r is about 1.
        size = b * (1 + r + torch.xlogy(r, r).abs() + (1 - r).square() / r.clamp_min(1e-300))
        at_zero, lowest, size = (self._weighed(part) for part in (at_zero, lowest, size))
        slack = (1e-9 * (at_zero.abs() + lowest.abs()) + 2e-15 * size).flatten(1).sum(1)
        found = torch.where(slack < math.inf, lowest.flatten(1).sum(1) - slack, -math.inf)
        held = found.to(self.y)
        below = torch.nextafter(held, torch.full_like(held, -math.inf))
        return torch.where(held.double() > found, below, held)
