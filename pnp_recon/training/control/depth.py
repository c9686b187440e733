"""Weights as functions of depth: their H¹ norm on any grid, and deeper networks from shallow ones.

Layer k of K holds the weights θ(k/K) of the time t in [0, 1]:

    ‖θ⁰‖² + KΣ_{k<K−1}‖θ^{k+1} − θ^k‖²,

K − 1 differences over steps of 1/K. A refined network has a layer at each old time with the old
weights, and one between each two with their mean; after the last one weights stay as they are. The
norm is then the same number (docs/control.md). Sources: Haber & Ruthotto 2017; Thorpe & van Gennip
2018; Benning et al. 2021, section 3.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.fields import Field
from pnp_recon.networks.flows.flow import Flow


def depth_norm(fields: Sequence[nn.Module]) -> Tensor:
    """‖θ‖² in H¹ over depth, differentiable.

    Args:
        fields: one for each layer, all of one kind and size.

    Raises:
        InputError: there is none, or their weights do not match.
    """
    weights = [list(field.parameters()) for field in fields]
    if not weights:
        raise InputError("a norm over depth needs a layer at least")
    shapes = [[parameter.shape for parameter in layer] for layer in weights]
    if any(shape != shapes[0] for shape in shapes):
        raise InputError("the layers hold weights of different shapes; expected the same in all")
    flat = torch.stack([torch.cat([p.flatten() for p in layer]) for layer in weights])
    return flat[0].square().sum() + len(flat) * flat.diff(dim=0).square().sum()


def refined(flow: Flow) -> Flow:
    """The flow with twice as many layers of half the step: weights interpolated in depth."""
    fields = [field for field in flow.fields if isinstance(field, Field)]
    deeper: list[Field] = []
    for field, after in zip(fields, [*fields[1:], fields[-1]], strict=True):
        deeper += [copy.deepcopy(field), _mean(field, after)]
    sizes = [h / 2 for h in flow.sizes(torch.float64).tolist() for _ in range(2)]
    return Flow(deeper, flow.method, sizes)


@torch.no_grad()
def distance(one: Flow, other: Flow) -> float:
    """‖θ − θ'‖ in L²(0, 1) of weights that are constant in each layer, on grids of any depth."""
    a, b = ([_flat(field) for field in flow.fields] for flow in (one, other))
    count = len(a) * len(b)
    return (
        sum(float((a[i // len(b)] - b[i // len(a)]).square().sum()) / count for i in range(count))
        ** 0.5
    )


@torch.no_grad()
def _mean(field: Field, other: Field) -> Field:
    between = copy.deepcopy(field)
    pairs = zip(between.parameters(), other.parameters(), strict=True)
    for parameter, second in pairs:
        parameter.copy_((parameter + second) / 2)
    return between


def _flat(field: nn.Module) -> Tensor:
    return torch.cat([p.flatten() for p in field.parameters()])
