"""A denoiser's guarantee is about what it holds when it is asked, and dies or is proven anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pnp_recon import guarantees
from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet
from pnp_recon.priors.denoiser import Denoiser, wrap
from pnp_recon.priors.fingerprints import fingerprint

SMALL = EulerConfig(width=8, hidden=8, blocks=2, activation="ball4", lifting="haar")


def small() -> EulerNet:
    network = EulerNet(SMALL).eval().requires_grad_(False)
    network.certify()
    return network


def loaded() -> Denoiser:
    return Denoiser(small(), "small", channels=1)


def net(denoiser: Denoiser) -> EulerNet:
    return cast(EulerNet, denoiser.function)


def enlarge(denoiser: Denoiser) -> None:
    for block in net(denoiser).flow_blocks():
        block.weight.data.mul_(1.5)


def shrink_norm(denoiser: Denoiser) -> None:
    net(denoiser).flow_blocks()[0].norm.div_(1.5)


def swap_activation(denoiser: Denoiser) -> None:
    net(denoiser).flow_blocks()[0].activation = nn.SELU()  # type: ignore[assignment]


def append(denoiser: Denoiser) -> None:
    net(denoiser).blocks.append(nn.Identity())


def stretch_lifting(denoiser: Denoiser) -> None:
    for name, buffer in net(denoiser).lifting.named_buffers():
        assert name.endswith("matrix")
        buffer.mul_(2)


def hook(denoiser: Denoiser) -> None:
    net(denoiser).register_forward_hook(lambda module, given, out: 2 * out)


def replace_forward(denoiser: Denoiser) -> None:
    net(denoiser).forward = lambda x, sigma: 2 * x  # type: ignore[method-assign]


def hook_outside(denoiser: Denoiser) -> None:
    denoiser.register_forward_hook(lambda module, given, out: 2 * out)


def narrow(denoiser: Denoiser) -> None:
    denoiser.half()


BREAKING = [
    enlarge,
    shrink_norm,
    swap_activation,
    append,
    stretch_lifting,
    hook,
    replace_forward,
    hook_outside,
    narrow,
]


@pytest.mark.parametrize("spoil", BREAKING)
def test_a_change_that_breaks_the_proof_leaves_no_guarantee(
    spoil: Callable[[Denoiser], None],
) -> None:
    denoiser = loaded()
    assert denoiser.proven
    assert denoiser.guarantee.is_averaged
    spoil(denoiser)
    assert not denoiser.guarantee.is_averaged, denoiser.guarantee


def test_a_change_that_the_proof_survives_gives_another_constant() -> None:
    denoiser = loaded()
    before = denoiser.guarantee.averagedness
    for block in net(denoiser).flow_blocks():
        block.weight.data.mul_(0.9)
    after = denoiser.guarantee.averagedness
    assert before is not None
    assert after is not None
    assert after < before


def test_training_mode_leaves_a_certified_norm_alone() -> None:
    denoiser = loaded()
    before, norms = denoiser.guarantee, [block.norm.clone() for block in net(denoiser).blocks]
    denoiser.train()
    denoiser(torch.rand(1, 1, 8, 8), 0.1)
    assert denoiser.guarantee.averagedness == before.averagedness
    assert all(map(torch.equal, norms, [block.norm for block in net(denoiser).blocks]))
    fresh = Denoiser(EulerNet(SMALL), "untrained", channels=1)  # its norms are estimates
    assert "training mode" in str(fresh.guarantee)
    fresh(torch.rand(1, 1, 8, 8), 0.1)


def test_precision_and_device_that_hold_the_values_change_nothing() -> None:
    network = small()
    mark = fingerprint(network)
    assert fingerprint(network.double()) == mark
    assert fingerprint(network.float()) == mark
    assert fingerprint(network.train()) != mark


def test_what_a_fingerprint_sees() -> None:
    tensor = torch.zeros(3)
    mark = fingerprint(tensor)
    tensor.data[0] = 1  # not counted as a change by torch
    assert fingerprint(tensor) != mark
    assert fingerprint({"a": [1, tensor]}) != fingerprint({"a": [2, tensor]})
    assert fingerprint(torch.zeros(4)) != fingerprint(torch.zeros(2, 2))
    assert fingerprint(np.zeros(3)) != fingerprint(np.ones(3))
    assert fingerprint(nn.ReLU()) != fingerprint(nn.SELU())
    loop: list[object] = []
    loop.append(loop)
    assert fingerprint(loop)


def test_a_declared_constant_dies_with_the_function() -> None:
    layer = nn.Conv2d(1, 1, 1, bias=False).requires_grad_(False)
    layer.weight.fill_(0.5)

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor, sigma: float) -> Tensor:
            out: Tensor = self.layer(x)
            return out

    denoiser = wrap(Scaled(), "scaled", guarantees.lipschitz(0.5, "half"))
    assert denoiser.guarantee.is_contraction
    assert not denoiser.proven
    layer.weight.data.fill_(2.0)
    assert "changed after its constant was declared" in str(denoiser.guarantee)


@pytest.mark.parametrize("alpha", [0.3, 0.9])
def test_nobody_declares_more_than_the_weights_prove(alpha: float) -> None:
    network = small()
    proven = network.check()
    assert alpha < (proven.averagedness or 0)
    with pytest.raises(InputError, match="is proven"):
        Denoiser(network, "small", guarantees.averaged(alpha, "said"), channels=1)
    assert Denoiser(network, "small", proven, channels=1).proven


class Loud(EulerNet):
    """A user's network, whatever its parent proves."""

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        return 2 * super().forward(x, sigma)


def test_a_class_from_elsewhere_proves_nothing() -> None:
    denoiser = Denoiser(Loud(SMALL).eval(), "loud", channels=1)
    assert not denoiser.proven
    assert not denoiser.guarantee.holds


class Louder(Denoiser):
    def forward(self, x: Tensor, sigma: float | Tensor = 0.1) -> Tensor:
        return 2 * super().forward(x, sigma)


def test_a_denoiser_derived_elsewhere_is_declared() -> None:
    assert not Louder(small(), "louder", channels=1).proven


def test_autocast_of_the_caller_is_off_inside() -> None:
    denoiser, x = loaded(), torch.rand(1, 1, 16, 16)
    expected = denoiser(x, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(denoiser(x, 0.1), expected)
        assert not torch.equal(net(denoiser)(x, 0.1), expected)  # the network alone is not


class Steadied(nn.Module):
    """Halves a picture, with one part between."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor, sigma: float) -> Tensor:
        found: Tensor = self.part(x)
        return 0.5 * found


STEADY = (nn.Dropout(0.0), nn.Identity())


@pytest.mark.parametrize("part", [nn.Dropout(0.1), nn.BatchNorm2d(1, affine=False)])
@pytest.mark.parametrize("declared", [None, guarantees.averaged(0.5, "why")])
def test_what_goes_by_chance_has_no_guarantee(part: nn.Module, declared: Guarantee | None) -> None:
    denoiser = wrap(Steadied(part).train(), "one", declared)
    assert not denoiser.guarantee.holds
    assert f"its {type(part).__name__} is in training mode" in str(denoiser.guarantee)
    # The twins: what is switched off, or has no such part, is as it was declared.
    calm = (Steadied(part).eval(), *(Steadied(one).train() for one in STEADY))
    for module in calm:
        held = wrap(module, "one", declared).guarantee
        assert held.holds is (declared is not None)
        assert "training mode" not in str(held)
