"""The networks that are only tried: what is said to be averaged is, and every row can be built."""

from __future__ import annotations

import pytest
import torch
from research.trials import TRIALS
from research.activations import Overlapping
from research.variants import Pyramid, Skip

from net_laws import at_level, attacked, picture, slope_matrices
from pnp_recon.networks.euler import EulerConfig, EulerNet
from pnp_recon.training_validation import refreshed

TINY = {"width": 8, "hidden": 8, "blocks": 10, "activation": "clip"}


@pytest.mark.parametrize("name", TRIALS)
def test_every_trial_can_be_built_and_run(name: str) -> None:
    net, x = TRIALS[name].make(), picture(1, 1, 10, 13).float()
    out = net(x, TRIALS[name].settings().sigma_max)
    assert out.shape == x.shape
    assert float((out - x).detach().abs().max()) > 1e-3


def expanding(net: EulerNet | Pyramid) -> float:
    """The largest difference quotient that is found, with the norms of the very weights."""
    return attacked(at_level(refreshed(net).double(), 0.1), 1, (8, 8))


@pytest.mark.parametrize("build", [Skip, Pyramid])
def test_skips_and_pyramids_do_not_expand(build: type[EulerNet] | type[Pyramid]) -> None:
    torch.manual_seed(0)
    net = build(EulerConfig(**TINY))  # type: ignore[arg-type]
    assert expanding(net) <= 1 + 1e-6
    for name, parameter in net.named_parameters():
        if name.endswith("step_logit"):
            parameter.data.fill_(1e3)
    # The law can fail: steps beyond their range.
    for block in net.modules():
        if hasattr(block, "margin"):
            block.margin.fill_(0.6)
    assert expanding(net) > 1.05


def test_overlapping_groups_are_a_gradient_with_slopes_in_the_unit_interval() -> None:
    class Neighbours(torch.nn.Module):
        """Channels and 3×3 pixels in a row, so that the matrix holds them all."""

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return Overlapping(4, 4)(z.reshape(1, 4, 3, 3)).reshape(1, 36, 1, 1)

    matrices = slope_matrices(Neighbours(), channels=36)
    assert float((matrices - matrices.mT).abs().max()) < 1e-12
    values = torch.linalg.eigvalsh(matrices)
    assert float(values.min()) > -1e-12
    assert float(values.max()) < 1 + 1e-12
