"""The plain torch network that an equivariant one computes: for use, where nothing is learned."""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils import parametrize

from pnp_recon.networks.equivariant.convolution import GroupConv, TiedFilters, TiedVector
from pnp_recon.networks.equivariant.nonlinearities import Pointwise


def export(module: nn.Module) -> nn.Module:
    """A copy with the same outputs whose filters and biases are stored, not tied.

    Each `GroupConv` becomes a `torch.nn.Conv2d`, each `Pointwise` the module that it applies; a
    parameter of any other module that was tied (`tie`) becomes an ordinary one. Modules that are
    used twice stay one. Values, precision, device, mode and `requires_grad` are kept; gradients
    and the hooks of replaced layers are not. Trained further, the copy is no longer equivariant.
    """
    copied = copy.deepcopy(module)
    replaced: dict[nn.Module, nn.Module] = {}
    for layer in list(copied.modules()):
        replaced[layer] = _plain(layer)
    for layer in list(copied.modules()):
        for name, child in layer._modules.items():
            if child is not None:
                layer._modules[name] = replaced.get(child, child)
    return replaced[copied]


def _plain(layer: nn.Module) -> nn.Module:
    if isinstance(layer, GroupConv) and type(layer).forward is nn.Conv2d.forward:
        return layer.export()
    if isinstance(layer, Pointwise) and isinstance(layer.function, nn.Module):
        return layer.function
    if parametrize.is_parametrized(layer):
        for name, chain in list(layer.parametrizations.items()):  # type: ignore[union-attr, operator]
            if any(isinstance(part, TiedFilters | TiedVector) for part in chain):
                parametrize.remove_parametrizations(layer, name, leave_parametrized=True)
                getattr(layer, name).grad = None  # its shape was that of the weights
    return layer
