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
    layers = list(copied.modules())
    replaced = {layer: _plain(layer) for layer in layers}
    for layer in layers:
        # `named_children` would pass over the second name of a module that is used twice.
        for name, child in layer._modules.items():
            if child in replaced:
                layer._modules[name] = replaced[child]
    return replaced[copied]


def _plain(layer: nn.Module) -> nn.Module:
    if isinstance(layer, GroupConv) and type(layer).forward is nn.Conv2d.forward:
        return layer.export()
    if type(layer) is Pointwise and isinstance(layer.function, nn.Module):
        return layer.function
    if parametrize.is_parametrized(layer):
        # The class that holds the tied properties is made for one module, but a deep copy shares
        # it, and taking a property off the copy would take it off the original.
        kind = type(layer)
        layer.__class__ = type(kind.__name__, kind.__bases__, dict(vars(kind)))
        for name, chain in list(layer.parametrizations.items()):  # type: ignore[union-attr, operator]
            if any(isinstance(part, TiedFilters | TiedVector) for part in chain):
                parametrize.remove_parametrizations(layer, name, leave_parametrized=True)
                getattr(layer, name).grad = None  # its shape was that of the weights
    return layer
