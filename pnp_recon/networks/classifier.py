"""A classifier whose decision provably does not change within a radius of each picture.

Features: an isometric lift and a nonexpansive flow, Λ-Lipschitz with Λ proven. Logits: one unit
functional wⱼ of the features for each class. If class ℓ leads class j by mⱼ = Nℓ − Nⱼ > 0, then
moving the input by less than mⱼ/(‖wℓ − wⱼ‖Λ) leaves it ahead; so the decision holds within

    r(x) = min over j ≠ ℓ of (Nℓ(x) − Nⱼ(x)) / (‖wℓ − wⱼ‖ Λ),

which is never below the margin over √2·‖W‖Λ (Tsuzuku, Sato & Sugiyama 2018), as
‖wℓ − wⱼ‖ ≤ √2‖W‖.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.guarantees import Guarantee
from pnp_recon.networks.flows.fields import GradientField
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.networks.flows.steps import ShareSteps

# Relative allowance for the rounding of logits and radii in float64.
ROUNDING = 1e-9


@dataclass(frozen=True)
class ClassifierConfig:
    """What builds a `FlowClassifier`.

    Attributes:
        inputs: numbers of a picture (8·8 for scikit-learn's digits).
        classes: number of classes.
        width: numbers of a feature vector, at least `inputs`.
        blocks: steps of the flow.
        integrator: an explicit method with a radius (`flows.tableaux`).
        activation: a name of `flows.fields.SLOPES`.
    """

    inputs: int = 64
    classes: int = 10
    width: int = 64
    blocks: int = 6
    integrator: str = "euler"
    activation: str = "relu"


@dataclass(frozen=True)
class Decisions:
    """Classes and the radii within which they are proven not to change.

    Attributes:
        classes: (B,), the largest logit each.
        radii: (B,), Euclidean, in the units of the input; 0 where two logits tie.
    """

    classes: Tensor
    radii: Tensor


class FlowClassifier(nn.Module):
    """Pictures (B, …) of `inputs` numbers → logits (B, classes). See the module.

    Raises:
        ValueError: a width below the inputs, which no isometry lifts to.
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        if config.width < config.inputs:
            raise ValueError(
                f"width is {config.width}; expected at least the {config.inputs} numbers of an "
                "input, which are lifted by an isometry"
            )
        self.config = config
        fields = [
            GradientField(config.width, config.width, config.activation)
            for _ in range(config.blocks)
        ]
        for field in fields:
            nn.init.orthogonal_(field.weight)
        self.flow = Flow(fields, config.integrator, ShareSteps(config.blocks, 0.95))
        self.head = nn.Linear(config.width, config.classes)

    def forward(self, x: Tensor) -> Tensor:
        z = self.flow(self.lift(x))
        rows = F.normalize(self.head.weight, dim=1)
        return F.linear(z, rows, self.head.bias)

    def lift(self, x: Tensor) -> Tensor:
        """Numbers of a picture with zeros behind them: an isometry."""
        flat = x.flatten(1)
        return F.pad(flat, (0, self.config.width - flat.shape[1]))

    def check(self) -> Guarantee:
        """What is proven of the features."""
        return self.flow.check()

    @torch.no_grad()
    def pair_constants(self) -> Tensor:
        """‖wℓ − wⱼ‖·Λ for each pair of classes (C, C), float64, rounded up; 0 on the diagonal.

        Raises:
            ValueError: nothing is proven of the features.
        """
        held = self.check()
        if held.lipschitz is None:
            raise ValueError(held.source)
        rows = self._rows()
        distances = (rows[:, None] - rows[None]).norm(dim=2)
        return distances * held.lipschitz * (1 + ROUNDING)

    def _rows(self) -> Tensor:
        """The functionals in float64, as the forward pass in float64 has them."""
        return F.normalize(self.head.weight.detach().double(), dim=1)

    @torch.no_grad()
    def decide(self, x: Tensor) -> Decisions:
        """Classes and proven radii of pictures (B, …), computed in float64.

        Raises:
            ValueError: nothing is proven of the features, or the weights are not float64: radii
                are of the very arithmetic that decides.
        """
        if self.head.weight.dtype != torch.float64:
            raise ValueError("radii are stated for float64; call double() first")
        logits = self(x.double())
        classes = logits.argmax(1)
        leads = logits.gather(1, classes[:, None]) - logits
        constants = self.pair_constants()[classes]
        leads = (leads - ROUNDING * logits.abs().amax(1, keepdim=True)).clamp_min(0)
        radii = torch.where(constants > 0, leads / constants.clamp_min(1e-300), math.inf)
        return Decisions(classes, radii.amin(1))


def margin_loss(logits: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean of Σ_{j ≠ ℓ} max(0, margin − (Nℓ − Nⱼ)): the multi-class hinge, logits (B, C).

    Source: Weston & Watkins 1999.
    """
    leads = logits.gather(1, labels[:, None]) - logits
    lacks = (margin - leads).clamp_min(0)
    return (lacks.sum(1) - margin).mean()


def tempered_loss(logits: Tensor, labels: Tensor, margin: float, temperature: float) -> Tensor:
    """Cross-entropy of logits whose true class is handicapped by `margin`, over a temperature.

    Source: Prach & Lampert 2022.
    """
    handicap = margin * F.one_hot(labels, logits.shape[1])
    return temperature * F.cross_entropy((logits - handicap) / temperature, labels)
