"""An energy with a bond across slices: its gradient, its constants, and what it keeps apart."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.networks.energies.gradient_step import GradientStepNet
from pnp_recon.priors.energies.base import LearnedEnergy, believed, energy_from
from pnp_recon.priors.energies.stack import BOND, EDGE, StackEnergy, across_slices
from support.energies import STEP

F64, SIGMA = torch.float64, 0.1


@pytest.fixture
def grey() -> LearnedEnergy:
    torch.manual_seed(0)
    return LearnedEnergy(GradientStepNet(STEP).double(), "small", channels=1)


def volumes(slices: int = 3) -> Tensor:
    return torch.rand(2, slices, 8, 6, generator=torch.Generator().manual_seed(1), dtype=F64)


def test_its_value_is_that_of_the_slices_and_of_their_differences(grey: LearnedEnergy) -> None:
    x = volumes()
    tied, alone = across_slices(grey, 2.0), across_slices(grey, 0.0)
    apart = torch.stack([grey.value(x[:, k : k + 1], SIGMA) for k in range(3)]).sum(0)
    torch.testing.assert_close(alone.value(x, SIGMA), apart)
    edge = EDGE * SIGMA
    t = (x[:, 1:] - x[:, :-1]).abs()
    huber = torch.where(t <= edge, t.square() / (2 * edge), t - edge / 2).flatten(1).sum(1)
    torch.testing.assert_close(tied.value(x, SIGMA), apart + 2 * BOND * SIGMA * huber)


class Forgetful(StackEnergy):
    """Its gradient leaves out what the later of two slices gets."""

    def _huber(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor | None]:
        value, pull = super()._huber(x, sigma)
        return value, None if pull is None else 0.5 * pull


@pytest.mark.parametrize(("kind", "right"), [(StackEnergy, True), (Forgetful, False)])
def test_the_gradient_is_that_of_the_value(
    grey: LearnedEnergy, kind: type[StackEnergy], right: bool
) -> None:
    network = kind(grey.network, 3.0)
    x = volumes().requires_grad_()
    (expected,) = torch.autograd.grad(network.value(x, SIGMA).sum(), x)
    value, found = network.value_and_gradient(x.detach(), SIGMA)
    torch.testing.assert_close(value, network.value(x.detach(), SIGMA))
    assert torch.allclose(found, expected, atol=1e-10) is right


def test_the_bond_bends_no_more_than_its_constant() -> None:
    class Nothing(torch.nn.Module):
        sound = True

        def value(self, x: Tensor, sigma: float) -> Tensor:
            return x.new_zeros(len(x))

        def value_and_gradient(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
            return self.value(x, sigma), torch.zeros_like(x)

        def lipschitz(self, sigma: float) -> float:
            return 0.0

    bond = StackEnergy(Nothing(), 3.0)
    limit = bond.lipschitz(SIGMA)
    assert limit is not None
    # The steepest pair: neighbours against each other, small enough for the quadratic part.
    step = 1e-3 * (-1.0) ** torch.arange(40, dtype=F64).view(1, -1, 1, 1)
    zero = torch.zeros_like(step)
    change = bond.value_and_gradient(step, SIGMA)[1] - bond.value_and_gradient(zero, SIGMA)[1]
    ratio = float(change.norm() / step.norm())
    assert 0.98 * limit < ratio <= limit
    assert ratio > 0.5 * limit  # half of it is none


def test_it_is_believed_as_long_as_it_is_what_the_package_wrote(grey: LearnedEnergy) -> None:
    assert believed(across_slices(grey))
    assert across_slices(grey).split is grey.split
    own = energy_from(lambda x: x.square().flatten(1).sum(1))
    own.channels = 1
    assert not believed(across_slices(own))
    changed = across_slices(grey)
    changed.network._huber = lambda x, sigma: (x.new_zeros(len(x)), None)
    assert not believed(changed)


def test_what_has_no_slices_is_refused(grey: LearnedEnergy) -> None:
    colour = LearnedEnergy(grey.network, "colour", channels=3)
    with pytest.raises(InputError, match="is for colour"):
        across_slices(colour)
    with pytest.raises(InputError, match="expected a finite number >= 0"):
        across_slices(grey, -1.0)
