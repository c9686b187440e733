"""What an operator may be given: batches of its shapes in float32 or float64, steps above zero.

Everything else raises OperatorError with what was found and what is expected. Knows no operator.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from operators.conjugate_gradient import per_image
from operators.errors import OperatorError
from operators.values import are_positive, values_like


def require_batch(t: Tensor, shape: tuple[int, ...], what: str, name: str) -> None:
    """Raise OperatorError unless t is (B, *shape), B >= 1; `what` it is for the operator `name`."""
    if not isinstance(t, Tensor):
        raise OperatorError(f"the {what} is a {type(t).__name__}; expected a torch tensor")
    if t.dtype not in (torch.float32, torch.float64):
        raise OperatorError(f"the {what} has dtype {t.dtype}; convert to float32 or float64")
    if t.ndim > 0 and len(t) == 0:
        raise OperatorError(f"the {what} is an empty batch, {tuple(t.shape)}; give one or more")
    if t.ndim != len(shape) + 1 or tuple(t.shape[1:]) != shape:
        expected = ", ".join(("B", *map(str, shape)))
        raise OperatorError(f"the {what} has shape {tuple(t.shape)}; '{name}' expects ({expected})")


def require_as_many(images: Tensor, others: Mapping[str, Tensor]) -> None:
    """Raise OperatorError unless each of the others is one, or as many as there are images."""
    for what, t in others.items():
        if len(t) not in (1, len(images)):
            found = f"the {what} is a batch of {len(t)}, the image one of {len(images)}"
            raise OperatorError(f"{found}; give as many")


def steps_like(gamma: float | Tensor, like: Tensor) -> Tensor:
    """γ > 0 as a tensor that multiplies images (B, C, H, W): one number, or one per image.

    Raises:
        OperatorError: it is another number of numbers, or one of them is not above zero.
    """
    step = values_like(gamma, like)
    if step.numel() not in (1, like.shape[0]):
        raise OperatorError(
            f"gamma has {step.numel()} values; expected one, or one per image ({like.shape[0]})"
        )
    if not are_positive(gamma, like):
        raise OperatorError(f"gamma is {gamma}; expected finite numbers > 0")
    return per_image(step, like)
