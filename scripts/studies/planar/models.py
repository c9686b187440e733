"""The compared networks: one field σ(Ky + b), by different maps of a layer."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.flows.fields import LayerField
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.networks.flows.steps import FixedSteps, LearnedSteps, SimplexSteps

LAYERS = 15
# Length of time that the flows with given steps run for, and the sum of those on the simplex.
TIME = 15.0
METHODS = ("euler", "improved_euler", "kutta3", "rk4")


class Net(nn.Module):
    """y ↦ σ(Ky + b) in each layer, without the identity: no discretised flow."""

    def __init__(self, dimension: int, layers: int) -> None:
        super().__init__()
        self.fields = nn.ModuleList(LayerField(dimension) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        return self.trajectory(x)[-1]

    def trajectory(self, x: Tensor) -> list[Tensor]:
        points = [x]
        for field in self.fields:
            points.append(field(points[-1]))
        return points


def _flow(steps: Callable[[int], nn.Module], method: str = "euler") -> Callable[[int, int], Flow]:
    def build(dimension: int, layers: int) -> Flow:
        return Flow([LayerField(dimension) for _ in range(layers)], method, steps(layers))  # type: ignore[arg-type]

    return build


def _given(layers: int) -> nn.Module:
    return FixedSteps([TIME / LAYERS] * layers)


MODELS: dict[str, Callable[[int, int], nn.Module]] = {
    "Net": Net,
    "ResNet (Euler)": _flow(_given),
    "ODENet": _flow(lambda layers: LearnedSteps(layers, TIME / LAYERS)),
    "ODENet + simplex": _flow(lambda layers: SimplexSteps(layers, TIME)),
    "improved Euler": _flow(_given, "improved_euler"),
    "Kutta (3)": _flow(_given, "kutta3"),
    "Kutta (4)": _flow(_given, "rk4"),
}


class Classifier(nn.Module):
    """Points of the plane → a probability, by a flow in `dimension` dimensions and a linear map.

    Further dimensions start at zero (Dupont, Doucet & Teh 2019): in three, a plane parts what no
    line parts after any homeomorphism of the plane. In one, only the first coordinate is seen.
    """

    def __init__(self, name: str, dimension: int = 2, layers: int = LAYERS) -> None:
        super().__init__()
        self.flow = MODELS[name](dimension, layers)
        self.out = nn.Linear(dimension, 1)
        self.dimension = dimension

    def forward(self, points: Tensor) -> Tensor:
        return torch.sigmoid(self.out(self.flow(self.lift(points))))[..., 0]

    def lift(self, points: Tensor) -> Tensor:
        return F.pad(points, (0, self.dimension - points.shape[-1]))  # a negative pad is a cut

    def settle(self) -> None:
        if isinstance(self.flow, Flow):
            self.flow.settle()
