"""Adaptive depth: pruning that changes nothing, shares that stay on their simplex."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from pnp_recon.datasets.folders import TrainingData
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet
from pnp_recon.training.families import matrices
from scripts.protocol import Rows
from scripts.studies.depth.measure import table
from scripts.studies.depth.networks import LARGEST, ShareNet, keep
from scripts.studies.depth.training import freed, on_simplex

CONFIG = EulerConfig(width=8, hidden=8, blocks=4, activation="ball4")


def network(method: str = "euler") -> EulerNet:
    torch.manual_seed(0)
    return EulerNet(
        EulerConfig(**{**CONFIG.__dict__, "integrator": method})  # type: ignore[arg-type]
    )


def proven(net: EulerNet) -> EulerNet:
    net = copy.deepcopy(net).double().eval().requires_grad_(False)
    for block in net.flow_blocks():
        block.settle(20)
    net.certify()
    return net


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_blocks_without_a_step_are_left_out_exactly(method: str) -> None:
    beginning = network(method)
    made = ShareNet(beginning)
    x = torch.rand(2, 1, 10, 12, generator=torch.Generator().manual_seed(1)).double()
    same = (proven(made)(x, 0.1) - proven(beginning)(x, 0.1)).abs().max()
    assert float(same) < 1e-6  # float32 steps
    with torch.no_grad():
        made.shares.copy_(torch.tensor([0.9, -0.8, 0.4, -0.1]))
    made.project(1.2)
    whole = proven(made)
    assert whole.kept() == [0, 2]
    left = whole.pruned().requires_grad_(False)
    torch.testing.assert_close(left(x, 0.1), whole(x, 0.1), rtol=0, atol=1e-6)
    assert len(left.blocks) == 2
    # Each block proves what it did, and the rest of the product is gone.
    held = [block.averagedness() for block in whole.flow_blocks()]
    assert [block.averagedness() for block in left.flow_blocks()] == pytest.approx(held[::2])
    assert left.check().is_averaged
    # The twin leaves out a block that has a step.
    wrong = keep(whole, [0]).requires_grad_(False)
    assert float((wrong(x, 0.1) - whole(x, 0.1)).abs().max()) > 1e-4


def test_copies_have_shares_of_their_own() -> None:
    made = ShareNet(network())
    copied = copy.deepcopy(made)
    with torch.no_grad():
        made.shares.fill_(0.1)
    assert float(copied.flow_blocks()[1].relative_step.detach()) > 0.5
    assert float(made.flow_blocks()[1].relative_step.detach()) == pytest.approx(0.1)
    assert len(matrices(made)) == 4  # Muon finds the filters


def test_training_keeps_the_sum_and_a_stopped_one_goes_on(tmp_path: Path) -> None:
    pictures = [torch.randint(256, (1, 64, 64), dtype=torch.uint8)]
    data = TrainingData(pictures, pictures, {})
    trainer = on_simplex(ShareNet(network()), 0.5, 4, data, tmp_path / "one")
    for shares in (trainer.network.shares.detach(), trainer.average.shares.detach()):
        assert float(shares.sum()) == pytest.approx(0.5, abs=1e-5)
        assert float(shares.min()) >= 0
        assert float(shares.max()) <= LARGEST
    again = on_simplex(ShareNet(network()), 0.5, 4, data, tmp_path / "one")
    assert torch.equal(again.network.shares, trainer.network.shares)
    left = freed(trainer.network.pruned(), 1, data, tmp_path / "two")
    assert left.step == 1
    # The gradient says where steps should go, not that all should grow.
    made = ShareNet(network())
    made.train()(torch.rand(1, 1, 16, 16), 0.1).square().sum().backward()
    slope = made.shares.grad
    assert slope is not None
    assert abs(float(slope.sum())) < 1e-4 * float(slope.abs().max())


def test_the_table_names_what_is_left(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "rows.jsonl")
    rows.add(
        name="a", stage="simplex", blocks=2, kept=[1, 3], total=1.5, parameters=10, alpha=0.9,
        steps=[0.9, 0.6], psnr={"5": 36.0, "15": 29.0, "25": 26.0}, pictures=68, seconds=0.1,
    )  # fmt: skip
    assert "| a | simplex | 1.5 | 2 (1 3) | 1.50 | 0.90000 | 36.00 / 29.00 / 26.00 | 0.100 |" in (
        table(rows)
    )
