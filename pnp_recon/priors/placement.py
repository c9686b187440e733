"""Whether a prior's weights are where the pictures are, and in their precision."""

from __future__ import annotations

from torch import Tensor, nn

from pnp_recon.errors import InputError


def check_placement(what: str, prior: nn.Module, picture: Tensor, loader: str) -> None:
    """Refuses pictures in another precision or place than the weights.

    Args:
        what: the prior in words; `loader`: the function that loads it elsewhere.

    Raises:
        InputError: naming both.
    """
    weights = next((p for p in prior.parameters() if p.is_floating_point()), None)
    if weights is None:
        return
    held, given = (weights.dtype, weights.device), (picture.dtype, picture.device)
    if held != given:
        raise InputError(
            f"{what} is in {held[0]} on {held[1]}, the pictures are in {given[0]} on {given[1]}; "
            f'load it with dtype={given[0]} and device="{given[1]}" ({loader}), or convert y'
        )
