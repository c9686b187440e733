"""An energy R_σ(x) ≥ 0 as a prior: value, gradient, and what is known of them.

Learned energies of the package and functions of a caller are one class. Which iteration descends on
it, and with which data, is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from pnp_recon import guarantees
from pnp_recon.contracts import PriorKind, PriorRecord
from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.energies.smooth import rough_operations
from pnp_recon.priors.fingerprints import fingerprint, public
from pnp_recon.priors.placement import check_placement
from pnp_recon.priors.proof import altered, changed, is_ours

GUARANTEE = (
    "of the map of an energy nothing is proven; what a run converges to are critical points of the "
    "energy with the data, which `descent` proves and checks"
)
# Side of the picture on which the operations of a caller's energy are looked at.
SIDE = 16


@runtime_checkable
class SmoothEnergy(Protocol):
    """A function that is C^{1,1} on bounded sets and definable by construction, with R ≥ 0.

    `smoothness` says why; only classes of this package are believed.

    Attributes:
        sound: its fixed numbers are such as the reason rests on.
    """

    smoothness: ClassVar[str]

    @property
    def sound(self) -> bool: ...

    def value(self, x: Tensor, sigma: Tensor | float) -> Tensor: ...

    def value_and_gradient(self, x: Tensor, sigma: Tensor | float) -> tuple[Tensor, Tensor]: ...


class LearnedEnergy(nn.Module):
    """R_σ as a prior.

    Attributes:
        network: module with value(x, σ) -> (B,) and value_and_gradient(x, σ); in evaluation mode.
        name: for reports.
        denoiser: the denoiser that belongs to it, or None.
        channels: channels of its pictures; None: any. An energy of one channel acts on each channel
            of a colour picture, and the values are added.
        sigma_range: levels at which it may be used, [0, 1] scale.
        card: where it comes from.
    """

    kind: ClassVar[PriorKind] = "energy"

    def __init__(
        self,
        network: nn.Module,
        name: str,
        denoiser: Denoiser | None = None,
        channels: int | None = None,
        sigma_range: tuple[float, float] = (0.0, 1.0),
        card: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        for method in ("value", "value_and_gradient"):
            if not callable(getattr(network, method, None)):
                raise InputError(
                    f"an energy has value(x, sigma) and value_and_gradient(x, sigma); "
                    f"{type(network).__name__} has no {method}; `energy_from(function)` makes one "
                    "of a function of pictures"
                )
        self.network = network.eval()
        self.name, self.denoiser, self.channels = name, denoiser, channels
        self.sigma_range, self.card = sigma_range, dict(card or {})
        # Of what the card is about: weights that were changed since are others.
        self._mark = fingerprint(self.network) if "sha256" in self.card else None

    @property
    def guarantee(self) -> Guarantee:
        """What is proven of its denoiser's map: nothing."""
        return guarantees.none(GUARANTEE) if self.denoiser is None else self.denoiser.guarantee

    @property
    def ours(self) -> bool:
        """Is it a class of this package, as it was written there?"""
        held = self.network
        if not (is_ours(type(held)) and isinstance(held, SmoothEnergy)):
            return False
        if is_ours(type(self)) and changed(self) is not None:
            return False
        return altered(held) is None and held.sound and not _strange(held)

    def record(self) -> PriorRecord:
        """The energy as reports describe it."""
        held = self._mark is not None and self._mark == fingerprint(self.network)
        sha256 = self.card.get("sha256") if held else None
        return PriorRecord(self.kind, self.name, self.guarantee, {}, sha256)

    def in_double(self) -> LearnedEnergy:
        """The same energy with weights in float64, in which descent is checked."""
        network: Any = deepcopy(self.network).double()
        if hasattr(network, "compute_dtype"):
            network.compute_dtype = None  # inner layers may be coarser where nothing is checked
        # Without the hash of its card, which says nothing of what was changed since.
        card = {key: value for key, value in self.card.items() if key != "sha256"}
        return LearnedEnergy(network, self.name, None, self.channels, self.sigma_range, card)

    def value(self, x: Tensor, sigma: float) -> Tensor:
        """R_σ(x) of every picture (B, C, H, W): (B,)."""
        network: Any = self.network
        found: Tensor = network.value(self._as_channels(x), sigma)
        return self._values(found, x)

    def value_and_gradient(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """R_σ(x), (B,), and ∇R_σ(x), (B, C, H, W)."""
        network: Any = self.network
        value, gradient = network.value_and_gradient(self._as_channels(x), sigma)
        if not isinstance(gradient, Tensor) or gradient.numel() != x.numel():
            raise InputError(
                f"the gradient of energy {self.name} is {_shaped(gradient)}; expected the shape of "
                f"the pictures, {tuple(x.shape)}"
            )
        return self._values(value, x), gradient.view(x.shape)

    def gradient(self, x: Tensor, sigma: float) -> Tensor:
        return self.value_and_gradient(x, sigma)[1]

    def check_fits(self, picture: Tensor) -> None:
        """Refuses pictures of other channels, or in another precision or place than the weights.

        Raises:
            InputError: naming both.
        """
        count = picture.shape[1]
        if self.channels not in (None, 1, count):
            raise InputError(
                f"energy {self.name} is for {self.channels} channels, found pictures of {count}; "
                "use a grey one"
            )
        check_placement(f"energy {self.name}", self.network, picture, "load_energy")

    def rough(self, sigma: float, shape: tuple[int, ...] | None = None) -> tuple[str, ...]:
        """What refutes that its gradient is smooth; () where nothing does.

        A caller's function is evaluated on three pictures, a flat one too, where roots of squares
        have a kink, and each of its operations is looked at. That proves nothing of other pictures.

        Args:
            shape: (C, H, W) of its pictures; None: small ones, of one channel if it takes any.
        """
        if believed(self):
            return ()
        weights = next(self.network.parameters(), None)
        like = torch.zeros((), dtype=torch.float64) if weights is None else weights
        generator = torch.Generator().manual_seed(0)
        shape = shape or (self.channels or 1, SIDE, SIDE)
        x = torch.rand((1, *shape), generator=generator, dtype=torch.float64).to(like)
        found: dict[str, None] = {}
        for picture in (x, torch.full_like(x, 0.5), torch.zeros_like(x)):
            found |= dict.fromkeys(rough_operations(lambda z: self.value(z, sigma), picture))
        return tuple(found)

    @property
    def split(self) -> bool:
        """Is its denoiser the gradient step x − ∇R_σ(x)? Then the picture of a descent is that of
        half-quadratic splitting, see `solvers.descent.solver`."""
        return bool(getattr(self.network, "denoises_by_gradient_step", False))

    def lipschitz(self, sigma: float) -> float | None:
        """A proven Lipschitz constant of ∇R_σ, or None."""
        return self._constant("lipschitz", sigma)

    def weak_convexity(self, sigma: float) -> float | None:
        """A proven ρ with R_σ + ρ/2‖·‖² convex, or None."""
        return self._constant("weak_convexity", sigma)

    def _constant(self, name: str, sigma: float) -> float | None:
        found = getattr(self.network, name, None)
        if not self.ours or found is None:
            return None
        value = found(sigma)
        return None if value is None else float(value)

    def _values(self, found: Tensor, x: Tensor) -> Tensor:
        """One value for each picture.

        Raises:
            InputError: there are others.
        """
        count = x.shape[1] if self.channels == 1 else 1
        if not isinstance(found, Tensor) or found.numel() != len(x) * count:
            raise InputError(
                f"energy {self.name} gives {_shaped(found)}; expected one value for each of "
                f"{len(x) * count} pictures; sum over all but the first axis, as in "
                "x.square().flatten(1).sum(1)"
            )
        return found.view(len(x), -1).sum(1)

    def _as_channels(self, x: Tensor) -> Tensor:
        return x.reshape(-1, 1, *x.shape[-2:]) if self.channels == 1 else x


def believed(prior: LearnedEnergy) -> bool:
    """Is it of this package, network and prior alike? What a subclass says is no proof."""
    return is_ours(type(prior)) and prior.ours


def _shaped(found: object) -> str:
    if isinstance(found, Tensor):
        return f"a tensor of shape {tuple(found.shape)}"
    return f"{found!r:.40}"


def _strange(network: nn.Module) -> list[str]:
    """Functions that were set at a network and are not of this package, by name."""
    return [
        name
        for part in network.modules()
        for name, value in public(part)
        if callable(value) and not str(getattr(value, "__module__", "")).startswith("pnp_recon.")
    ]


class _Given(nn.Module):
    """A caller's function of pictures, with its gradient by autograd or as given."""

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        gradient: Callable[[Tensor], Tensor] | None,
    ) -> None:
        super().__init__()
        self.function, self.by_hand = function, gradient

    def value(self, x: Tensor, sigma: float) -> Tensor:
        return self.function(x)

    def value_and_gradient(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        if self.by_hand is not None:
            return self.value(x, sigma), self.by_hand(x)
        # Runs are in inference mode, in which nothing can be differentiated.
        with torch.inference_mode(False), torch.enable_grad():
            leaf = x.clone().requires_grad_()
            value = self.function(leaf)
            if not (isinstance(value, Tensor) and value.requires_grad):
                raise InputError(
                    f"{getattr(self.function, '__name__', 'the energy')} gives {value!r:.40}, "
                    "which torch cannot differentiate with respect to the picture; make it of "
                    "torch operations, without detach(), or give `gradient`"
                )
            (gradient,) = torch.autograd.grad(value.sum(), leaf)
        return value.detach(), gradient


def energy_from(
    function: Callable[[Tensor], Tensor],
    name: str = "energy",
    gradient: Callable[[Tensor], Tensor] | None = None,
) -> LearnedEnergy:
    """An energy prior made of a function of pictures.

    Args:
        function: R, of (B, C, H, W), to (B,) values ≥ 0, differentiable, made of torch operations.
        name: for reports.
        gradient: ∇R; by autograd where it is left out.
    """
    return LearnedEnergy(_Given(function, gradient), name)
