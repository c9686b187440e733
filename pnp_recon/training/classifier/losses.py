"""What classifiers with proven radii are trained on: leads of the true class up to a margin."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


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
