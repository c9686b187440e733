"""Are the weights numbers? Of others nothing is proven, whatever the constants say.

A bias enters no constant, so that a NaN there would pass where only constants are looked at.
"""

from __future__ import annotations

import torch
from torch import nn

NOT_FINITE = "weights are not finite, and nothing is proven of them"


def all_finite(part: nn.Module) -> bool:
    """Are all parameters and buffers finite, biases among them?"""
    tensors = (*part.parameters(), *part.buffers())
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
