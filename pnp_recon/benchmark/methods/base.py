"""A method of the benchmark: a recipe for a prior. A class of three lines is enough:

class Mine(Method):
    def denoise(self, x, sigma): return x
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.classical.base import iterated
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.proximal import Regulariser


class Method(ABC):
    """A recipe for a prior: a denoiser, what it runs with, what is tuned. Only `denoise` must be
    written.

    Attributes:
        name: for tables; the class's name where none is given.
        channels: 1: made for one channel, and run on each channel of colour pictures by itself;
            3: colour pictures only; None: any.
        guarantee: what holds of x ↦ denoise(x, sigma, ...) at every sigma of the range and all
            parameters.
        proven: the guarantee is proven by this package; otherwise it is the method's word, and
            tables say "certified if".
        sigma_range: noise levels it may be called with, [0, 1] scale.
        sha256: the hash of its weights; "" where it has none.
        tuned_by: parameters of `denoise` that are tuned, with the values that are tried. Whole
            numbers are never interpolated between noise levels.
        defaults: their values where nothing was tuned.
        inexactness: proven bound on how far a result may lie from that of the map that the
            guarantee is about, root mean square over the picture, in units of sigma; rounding comes
            on top.
        solver: the solver of `reconstruct` that it brings, with all its settings; None: it runs in
            the suite's.
        energy: what `reconstruct` takes in place of the denoiser, with a solver of its own choice,
            where the denoiser is the map of an energy; None elsewhere.
        differentiable: autograd passes through `denoise`, so that an attack may follow gradients.
    """

    name: str = ""
    channels: int | None = None
    guarantee: Guarantee = guarantees.none("the denoiser declares no Lipschitz constant")
    proven: bool = False
    sigma_range: tuple[float, float] = (0.0, 1.0)
    sha256: str = ""
    tuned_by: Mapping[str, Sequence[float]] = {}
    defaults: Mapping[str, float] = {}
    inexactness: float = 0.0
    solver: str | None = None
    energy: Any = None
    differentiable: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__

    # *args is there for type checkers alone: with it a subclass may name its parameters.
    @abstractmethod
    def denoise(self, x: Tensor, sigma: float, *args: Any, **parameters: Any) -> Tensor:
        """The denoised pictures.

        Args:
            x: (B, C, H, W), pictures in [0, 1] with noise on top, each for itself.
            sigma: standard deviation of the noise, same scale.
            parameters: those of `tuned_by`, all of which have a default.

        Returns:
            (B, C, H, W), in the precision of x and where x is.
        """

    def fits(self, channels: int) -> bool:
        """Can it denoise pictures of so many channels?"""
        return self.channels in (None, 1, channels)

    def prior(
        self, parameters_at: Callable[[float], Mapping[str, float]] | None = None
    ) -> Denoiser:
        """The denoiser for plug-and-play iterations, with name, guarantee and SHA-256.

        An inexact one has no guarantee there: the theorems want errors whose sum is finite.

        Args:
            parameters_at: the parameters to run with at level sigma ([0, 1] scale); None: the
                defaults.
        """

        proven = self.proven and type(self).__module__.startswith("pnp_recon.")
        running = (_Proven if proven else _Running)(self, parameters_at)
        return Denoiser(
            running,
            self.name,
            None if proven else iterated(self),
            channels=self.channels,
            sigma_range=self.sigma_range,
            card={"name": self.name, "sha256": self.sha256},
        )

    def regulariser(self, weight: float, channels: int) -> Regulariser | None:
        """The functional that a variational method minimises when it reconstructs.

        Args:
            weight: the functional's, against ½‖A x − y‖².
            channels: how many the picture has.

        Returns:
            None for a method that is plugged into an iteration.
        """
        return None


@dataclass(frozen=True, eq=False)
class _Running:
    """The method with the parameters of each level."""

    method: Method
    parameters_at: Callable[[float], Mapping[str, float]] | None

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        method, at = self.method, self.parameters_at
        return method.denoise(x, sigma, **(method.defaults if at is None else at(sigma)))


class _Proven(_Running):
    """The same for a method of this package, which says what is proven of its map."""

    def prove(self) -> Guarantee:
        return iterated(self.method)


@dataclass(frozen=True)
class MethodInfo:
    """A line of the list of methods.

    Attributes:
        name: what `load_method` takes.
        what: in words.
        guarantee: in words.
        channels: as in `Method`.
        missing: why it cannot run here and what to do; "" where it can.
    """

    name: str
    what: str
    guarantee: str
    channels: int | None
    missing: str = ""

    @property
    def available(self) -> bool:
        return not self.missing

    def fits(self, channels: int) -> bool:
        """Can it denoise pictures of so many channels?"""
        return self.channels in (None, 1, channels)


class Checked(Method):
    """A method from outside: what it returns is looked at, and grey ones get single channels.

    Values that are not finite pass: that a denoiser diverges is a result. Another shape or kind of
    number is a mistake.
    """

    def __init__(self, method: Method) -> None:
        self._method = method
        self.name, self.channels = method.name, method.channels
        self.guarantee, self.sigma_range = method.guarantee, method.sigma_range
        self.proven = method.proven and type(method).__module__.startswith("pnp_recon.")
        self.sha256, self.differentiable = method.sha256, method.differentiable
        self.inexactness = method.inexactness
        self.tuned_by, self.defaults = method.tuned_by, method.defaults

    def denoise(self, x: Tensor, sigma: float, *args: Any, **parameters: Any) -> Tensor:
        """Denoises as the method within does.

        Raises:
            InputError: the method returned something else than pictures like x.
        """
        if self.channels == 1 and x.shape[1] != 1:
            grey = x.reshape(-1, 1, *x.shape[-2:])
            return self._run(grey, sigma, **parameters).reshape(x.shape)
        return self._run(x, sigma, **parameters)

    def _run(self, x: Tensor, sigma: float, **parameters: Any) -> Tensor:
        # A copy: a denoiser that works in place must not change what others are compared on.
        out = self._method.denoise(x.clone(), sigma, **parameters)
        if not isinstance(out, Tensor):
            found = f"a {type(out).__name__}"
        elif out.shape != x.shape:
            found = f"shape {tuple(out.shape)}"
        elif not out.is_floating_point():
            found = f"numbers of type {out.dtype}"
        else:
            return out.to(device=x.device, dtype=x.dtype)
        raise InputError(
            f"method {self.name} returned {found}; expected a tensor of floating-point numbers of "
            f"the shape it was given, {tuple(x.shape)}"
        )

    def regulariser(self, weight: float, channels: int) -> Regulariser | None:
        return self._method.regulariser(weight, channels)
