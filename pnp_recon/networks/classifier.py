"""A classifier whose decision provably does not change within a radius of each picture.

Features: an isometric lift and a nonexpansive flow, Λ-Lipschitz with Λ proven. Logits: one unit
functional wⱼ of the features for each class. If class ℓ leads class j by mⱼ = Nℓ − Nⱼ > 0, then
moving the input by less than mⱼ/(‖wℓ − wⱼ‖Λ) leaves it ahead; so the decision holds within

    r(x) = min over j ≠ ℓ of (Nℓ(x) − Nⱼ(x)) / (‖wℓ − wⱼ‖ Λ),

which is never below the margin over √2·‖W‖Λ (Tsuzuku, Sato & Sugiyama 2018), as
‖wℓ − wⱼ‖ ≤ √2‖W‖. Radii are of float64 arithmetic: its rounding moves no logit by more than
E(‖x‖) = a + b‖x‖ (`flows.rounding`), so 4E(‖x‖) is taken off the lead and 2b added to the constant;
then what is computed within r(x) decides as what is computed at x (docs/theory.md, "Rounding of a
decision").
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.guarantees import Guarantee, averaged, compose
from pnp_recon.networks.blocks import FlowBlock
from pnp_recon.networks.configs import ClassifierConfig
from pnp_recon.networks.constraints import conv_norm_bound
from pnp_recon.networks.decisions import ROUNDING, Decisions, Rounding, decisions, sizes
from pnp_recon.networks.flows.fields import OrthogonalField
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.networks.flows.integrators import RungeKutta
from pnp_recon.networks.flows.matrices import matrix_norm_bound
from pnp_recon.networks.flows.rounding import (
    EVALUATION,
    FieldRounding,
    gamma,
    step_at_zero,
    step_rounding,
)
from pnp_recon.networks.flows.steps import ShareSteps

# Rounding units that an activation may be off; it is not said of others.
ACTIVATION_UNITS = {"relu": 0, "clip": 0, "identity": 0, "leaky_relu": 1}
# Steps of a dense flow at the start, and the largest ones, as shares of the proven range: near one
# a block is nearly a reflection, and no gradient is lost on the way.
FIRST_SHARE, LARGEST_SHARE = 0.995, 0.999
# Channels of a convolutional network where none are given.
WIDTH = 16


class Classifier(nn.Module, ABC):
    """Pictures (B, C, H, W) in [0, 1] → logits (B, classes). See the module."""

    head: nn.Linear

    def __init__(self, config: ClassifierConfig, features: int) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Linear(features, config.classes)

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Pictures to features (B, m)."""

    @abstractmethod
    def check(self) -> Guarantee:
        """What is proven of the features for the weights held now.

        Raises:
            ValueError: a constant is only estimated so far.
        """

    @abstractmethod
    def features_rounding(self, size: float) -> tuple[float, float]:
        """For pictures with ‖x‖ ≤ size: how far computed features may be off; their own norm.

        Affine in `size`. Raises:
            ValueError: nothing is proven of them.
        """

    def certify(self) -> None:
        """Replaces what training estimates of the weights by what is proven of them."""
        return

    def calibrate(self) -> None:
        """Ties what is estimated of the weights to what is proven of them, and goes on."""
        return

    def forward(self, x: Tensor) -> Tensor:
        rows = F.normalize(self.head.weight, dim=1)
        return F.linear(self.features(x), rows, self.head.bias)

    @torch.no_grad()
    def pair_constants(self) -> Tensor:
        """‖wℓ − wⱼ‖·Λ for each pair of classes (C, C), float64, rounded up; 0 on the diagonal.

        Raises:
            ValueError: nothing is proven of the features.
        """
        held = self.check()
        if held.lipschitz is None:
            raise ValueError(held.source)
        # As the forward pass in float64 has them.
        rows = F.normalize(self.head.weight.detach().double(), dim=1)
        distances = (rows[:, None] - rows[None]).norm(dim=2)
        return distances * held.lipschitz * (1 + ROUNDING)

    @torch.no_grad()
    def rounding(self) -> Rounding:
        """How far float64 may move a logit, proven by the norms of the weights held now.

        Raises:
            ValueError: nothing is proven of the features, or of the rounding of their activation
                or integrator.
        """
        bias = float(self.head.bias.detach().abs().max())
        length = self.head.in_features + 1

        def logits(size: float) -> float:
            off, features = self.features_rounding(size)
            return (off + gamma(length) * (features + off + bias)) * (1 + ROUNDING)

        start = logits(0.0)
        return Rounding(start * EVALUATION, (logits(1.0) - start) * EVALUATION)

    @torch.no_grad()
    def decide(self, x: Tensor) -> Decisions:
        """Classes and proven radii of pictures (B, …), computed in float64.

        Raises:
            ValueError: nothing is proven of the features, or the weights are not float64: radii
                are of the very arithmetic that decides.
        """
        if self.head.weight.dtype != torch.float64:
            raise ValueError("radii are stated for float64; call double() first")
        x = x.double()
        return decisions(self(x), self.pair_constants(), self.rounding(), sizes(x))

    def recipe(self) -> dict[str, object]:
        """What a card says of the network."""
        return {"class": "Classifier", **asdict(self.config)}


class DenseClassifier(Classifier):
    """Vectors with zeros behind them, Euler blocks with orthogonal weights, unit functionals."""

    def __init__(self, config: ClassifierConfig) -> None:
        self.width = config.width or config.inputs
        super().__init__(config, self.width)
        fields = [OrthogonalField(self.width, config.activation) for _ in range(config.blocks)]
        steps = ShareSteps(config.blocks, FIRST_SHARE, LARGEST_SHARE)
        self.flow = Flow(fields, config.integrator, steps)

    def features(self, x: Tensor) -> Tensor:
        return self.flow(self.lift(x))

    def lift(self, x: Tensor) -> Tensor:
        """Numbers of a picture with zeros behind them: an isometry."""
        flat = x.flatten(1)
        return F.pad(flat, (0, self.width - flat.shape[1]))

    def check(self) -> Guarantee:
        return self.flow.check()

    def features_rounding(self, size: float) -> tuple[float, float]:
        off, method = 0.0, self.flow.method
        if not isinstance(method, RungeKutta) or not method.tableau.is_explicit:
            raise ValueError(f"the rounding of {method.name} is not bounded; take an explicit one")
        steps = self.flow.sizes(torch.float64).tolist()
        for layer, field, h in zip(self.flow.layers(), self.flow.fields, steps, strict=True):
            if layer.lipschitz is None:
                raise ValueError(layer.source)
            weight = cast(OrthogonalField, field).weight.detach().double()
            numbers = FieldRounding(
                matrix_norm_bound(weight),
                float(torch.linalg.matrix_norm(weight)) * (1 + ROUNDING),
                float(cast(OrthogonalField, field).bias.detach().double().norm()) * (1 + ROUNDING),
                max(weight.shape),
                activation_units(self.config.activation),
            )
            local = step_rounding(method.tableau, h, numbers, size + off)
            off = layer.lipschitz * off + local
            size = layer.lipschitz * size + step_at_zero(method.tableau, h, numbers)
        return off, size


class ConvClassifier(Classifier):
    """Zero channels are added, then stages of Euler blocks with the side halved in between.

    Lift and unshuffling are isometries; the mean over four disjoint pixels times two is
    1-Lipschitz, its matrix having orthonormal rows. `FlowBlock` takes a noise level, here 1.
    """

    level: Tensor

    def __init__(self, config: ClassifierConfig) -> None:
        growth = 4 if config.halving == "unshuffle" else 2
        first = config.width or max(WIDTH, config.channels)
        self.widths = [first * growth**stage for stage in range(config.stages)]
        last = config.side // 2 ** (config.stages - 1)
        super().__init__(config, self.widths[-1] * last**2)
        size, kind, method = config.kernel_size, config.activation, config.integrator
        self.stages = nn.ModuleList(
            nn.ModuleList(
                FlowBlock(width, width, size, kind, method=method) for _ in range(config.blocks)
            )
            for width in self.widths
        )
        self.register_buffer("level", torch.ones(1))

    def features(self, x: Tensor) -> Tensor:
        for index, (stage, width) in enumerate(zip(self.stages, self.widths, strict=True)):
            if index:
                x = self.halved(x)
            x = F.pad(x, (0, 0, 0, 0, 0, width - x.shape[1]))
            for block in cast(nn.ModuleList, stage):
                x = block(x, self.level)
        return x.flatten(1)

    def halved(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to half the side, with no distance made larger."""
        if self.config.halving == "unshuffle":
            return F.pixel_unshuffle(x, 2)
        return 2 * F.avg_pool2d(x, 2)

    def blocks(self) -> list[FlowBlock]:
        return [block for block in self.stages.modules() if isinstance(block, FlowBlock)]

    def certify(self) -> None:
        for block in self.blocks():
            block.certify()

    def calibrate(self) -> None:
        for block in self.blocks():
            block.calibrate()

    def features_rounding(self, size: float) -> tuple[float, float]:
        off, pixels = 0.0, self.config.side**2
        units = activation_units(self.config.activation)
        for index, stage in enumerate(self.stages):
            if index:
                pixels //= 4
                if self.config.halving == "pool":  # a sum of four, and factors of two
                    off += gamma(4) * (size + off)
            for block in cast(list[FlowBlock], list(cast(nn.ModuleList, stage))):
                block.averagedness()  # nonexpansive, or else refused
                tableau, numbers = block.integrator.tableau, block_rounding(block, pixels, units)
                h = 2 * tableau.radius * float(block.relative_step.detach())
                off += step_rounding(tableau, h, numbers, size + off)
                size += step_at_zero(tableau, h, numbers)
        return off, size

    def check(self) -> Guarantee:
        between = "between isometries or means"
        return compose(
            *(
                averaged(block.averagedness(), f"{block.source} {between}")
                for block in self.blocks()
            )
        )


def activation_units(name: str) -> int:
    """Rounding units that an activation may be off.

    Raises:
        ValueError: nothing is proven of it.
    """
    if name not in ACTIVATION_UNITS:
        raise ValueError(
            f"the rounding of {name} is not bounded; take {', '.join(ACTIVATION_UNITS)}"
        )
    return ACTIVATION_UNITS[name]


def block_rounding(block: FlowBlock, pixels: int, units: int) -> FieldRounding:
    """The numbers of a block at noise level 1, on feature maps of `pixels` pixels.

    Its filters have seen two roundings, of W/n and of the threshold t, which multiplies the bias.
    """
    weight, norm = block.weight.detach().double(), float(block.norm.double())
    thresholds = block.scale(torch.ones(1, dtype=torch.float64))[0].detach()
    bias = float((thresholds * block.bias.detach().double()).norm()) * math.sqrt(pixels)
    return FieldRounding(
        conv_norm_bound(weight) / norm * (1 + ROUNDING),
        conv_norm_bound(weight.abs()) / norm * (1 + ROUNDING),
        bias * (1 + ROUNDING),
        max(weight[0].numel(), weight[:, 0].numel()) + 2,
        units,
    )


def build_classifier(config: ClassifierConfig) -> Classifier:
    """The network that a configuration describes, its weights drawn."""
    kinds: dict[str, type[DenseClassifier] | type[ConvClassifier]] = {
        "dense": DenseClassifier,
        "conv": ConvClassifier,
    }
    return kinds[config.architecture](config)
