"""The networks that are only tried: what is said to be averaged is, and every row can be built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from laws.networks import at_level, attacked, picture, random_tensor, reflected, slope_matrices
from pnp_recon.datasets.folders import TrainingData
from pnp_recon.networks.blocks import FlowBlock
from pnp_recon.networks.constraints import conv_norm_bound
from pnp_recon.networks.euler import EulerConfig, EulerNet
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.families import refreshed
from scripts.studies.research import report as research_report
from scripts.studies.research.activations import Balls, Overlapping
from scripts.studies.research.kernels import Dilated, Factored, every_second_dilated
from scripts.studies.research.normalisation import (
    Bjorck,
    Columns,
    Orthogonal,
    Rows,
    Tightened,
    singular_values,
    with_blocks,
    with_filters,
)
from scripts.studies.research.training import LOSSES, TrialTrainer
from scripts.studies.research.trials import TRIALS
from scripts.studies.research.variants import FreeBlock, Pyramid, Relaxed, Skip, Symmetrised, tied

Build = Callable[[EulerConfig], nn.Module]
TINY = EulerConfig(width=8, hidden=8, blocks=4, activation="clip")


# Rows that differ in their training alone have the same network.
DISTINCT = {(str(t.build), str(t.network), t.first, t.step): name for name, t in TRIALS.items()}


@pytest.mark.parametrize("name", DISTINCT.values())
def test_every_network_can_be_built_and_run(name: str) -> None:
    net, x = TRIALS[name].make(), picture(1, 1, 10, 13).float()
    out = net(x, TRIALS[name].settings().sigma_max)
    assert out.shape == x.shape
    assert float((out - x).detach().abs().max()) > 1e-3
    row = research_report.by_name(research_report.RESULTS / "research.csv").get(name)
    if row is not None:
        assert int(row["parameters"]) == sum(p.numel() for p in net.parameters())


def test_rows_are_compared_with_rows() -> None:
    assert {trial.against for trial in TRIALS.values()} <= set(TRIALS)
    assert {trial.of for trial in TRIALS.values()} <= {None, *TRIALS}


def made(build: Build, config: EulerConfig = TINY) -> nn.Module:
    """In float64, every parameter random, with the norms of the very weights."""
    torch.manual_seed(0)
    net = build(config).double()
    for parameter in net.parameters():
        parameter.data.mul_(1 + 0.3 * torch.randn_like(parameter))
    net = refreshed(net)
    for module in net.modules():
        if isinstance(module, FlowBlock):
            module.certify()
            module.step_logit.data.fill_(1e3)
    return net.requires_grad_(False)


def expanding(net: nn.Module) -> float:
    """The largest difference quotient that is found."""
    return attacked(at_level(net, 0.1), 1, (8, 8))


AVERAGED = {
    "skip": Skip,
    "pyramid": partial(Pyramid, outer=1, inner=2),
    "relaxed": partial(Relaxed, share=0.75),
    "tied": tied,
    "symmetrised": Symmetrised,
    "dilated": every_second_dilated,
    "factored": with_blocks(Factored),
    "columns": with_blocks(Columns),
    "rows": with_blocks(Rows),
    "bjorck": with_filters(Bjorck),
    "orthogonal": with_filters(Orthogonal),
}


@pytest.mark.parametrize("name", AVERAGED)
def test_what_is_said_to_be_averaged_does_not_expand(name: str) -> None:
    net = made(AVERAGED[name])
    assert expanding(net) <= 1 + 1e-6
    # The law can fail: divisors of the filters that are too small.
    for block in net.modules():
        if isinstance(block, FlowBlock):
            block.norm.mul_(0.3)
    assert expanding(net) > 1.05


def test_without_the_constraint_it_expands() -> None:
    net = with_blocks(FreeBlock)(TINY).double().eval().requires_grad_(False)
    for name, parameter in net.named_parameters():
        if name.endswith("second"):
            parameter.mul_(5)
    assert expanding(net) > 1.05


def test_half_the_identity_and_half_the_network_is_firmly_nonexpansive() -> None:
    x = picture(1, 1, 8, 8)
    firm = made(Relaxed)
    assert attacked(reflected(at_level(firm, 0.1), 0.5), 1, (8, 8)) <= 1 + 1e-6
    # The law can fail: with θ = 1 the network is averaged, and no more.
    whole = made(partial(Relaxed, share=1.0))
    assert attacked(reflected(at_level(whole, 0.1), 0.5), 1, (8, 8)) > 1.05
    assert torch.allclose(2 * firm(x, 0.1) - x, whole(x, 0.1), atol=1e-12)


def test_the_mean_over_the_eight_symmetries_commutes_with_them() -> None:
    net, x = made(Symmetrised), picture(1, 1, 10, 12)

    def turned(function: Callable[[Tensor], Tensor]) -> float:
        one = function(torch.rot90(x, 1, (2, 3)).flip(3))
        other = torch.rot90(function(x), 1, (2, 3)).flip(3)
        return float((one - other).abs().max())

    assert turned(at_level(net, 0.1)) < 1e-12
    assert turned(at_level(net.get_submodule("net"), 0.1)) > 1e-3


@pytest.mark.parametrize("kind", [Columns, Rows])
def test_diagonal_divisors_bound_the_norm_of_any_filters(kind: type[Columns]) -> None:
    torch.manual_seed(1)
    block = kind(5, 7, 3, "clip").double()
    block.weight.data = random_tensor(7, 5, 3, 3) * torch.logspace(-1, 1, 7)[:, None, None, None]
    if isinstance(block, Rows):
        block.balance.data = random_tensor(7, seed=3)
    block.certify()
    assert block.norm.shape in {(1, 5, 1, 1), (7, 1, 1, 1)}
    found = float(singular_values(block)[-1])
    assert 0.2 < found <= 1
    # One filter alone loses nothing; of several the divisors see the correlations.
    single = kind(1, 1, 3, "clip").double()
    single.weight.data = torch.ones_like(single.weight)
    single.certify()
    assert float(singular_values(single)[-1]) == pytest.approx(1, abs=1e-5)
    # The law can fail: the filters' own lengths as divisors.
    block.norm = block.weight.detach().square().sum((1, 2, 3), keepdim=True).sqrt()
    assert float(singular_values(block)[-1]) > 1.2


def test_orthogonal_convolutions_have_singular_values_of_one() -> None:
    torch.manual_seed(2)
    (block,) = with_filters(Orthogonal)(EulerConfig(width=8, hidden=8, blocks=1)).flow_blocks()
    block = block.double()
    block.norm.fill_(1.0)
    assert block.weight.shape == (8, 8, 3, 3)
    assert float((singular_values(block) - 1).abs().max()) < 1e-12
    assert float(block.weight.detach().abs().amax((0, 1)).min()) > 1e-2  # all nine taps are used
    # The law can fail: a matrix that is not skew underneath, in place of its Cayley transform.
    weight = block.weight.detach()
    block = FlowBlock(8, 8, 3, "clip").double()
    block.weight.data = weight + 0.1 * random_tensor(*weight.shape)
    block.norm.fill_(1.0)
    assert float((singular_values(block) - 1).abs().max()) > 0.1


def test_bjorck_makes_rows_orthonormal() -> None:
    weight = random_tensor(8, 4, 3, 3)
    for filters, low, high in ((Bjorck()(weight), 0.0, 1e-9), (weight, 1.0, 1e9)):
        rows = filters.flatten(1)
        assert low <= float((rows @ rows.T - torch.eye(8)).abs().max()) <= high


def test_dilation_is_that_of_the_filters() -> None:
    torch.manual_seed(0)
    block = Dilated(4, 4, 3, "clip").double().eval()
    apart = torch.zeros(4, 4, 5, 5, dtype=torch.float64)
    apart[..., ::2, ::2] = block.weight.detach()
    twin = FlowBlock(4, 4, 5, "clip").double().eval()
    twin.load_state_dict(block.state_dict() | {"weight": apart})
    x = random_tensor(2, 4, 6, 10)
    for level in (torch.tensor([0.1]).double(), torch.tensor([0.1, 0.02]).double()):
        assert torch.allclose(block(x, level), twin(x, level), atol=1e-12)
        assert not torch.allclose(FlowBlock.forward(block, x, level), twin(x, level), atol=1e-3)


def test_a_tightened_block_ends_where_the_others_are() -> None:
    net = made(with_blocks(Tightened))
    assert isinstance(net, EulerNet)
    assert expanding(net) > 1.05
    with pytest.raises(ValueError, match="not averaged"):
        net.check()
    for block in net.modules():
        if isinstance(block, Tightened):
            block.follow(0.5)
    assert expanding(net) <= 1 + 1e-6
    assert float(net.check().averagedness) < 1


class Neighbours(nn.Module):
    """Channels and 3×3 pixels in a row, so that the matrix holds them all."""

    def forward(self, z: Tensor) -> Tensor:
        return Overlapping(4, 4)(z.reshape(1, 4, 3, 3)).reshape(1, 36, 1, 1)


class Apart(nn.Module):
    """A broken twin: each channel of a group with a share of its own."""

    def forward(self, z: Tensor) -> Tensor:
        shares = torch.linspace(0, 1, 12, dtype=z.dtype)[:, None, None]
        return shares * made_balls()(z)


def made_balls() -> Balls:
    torch.manual_seed(4)
    balls = Balls(12, 4, 3).double()
    balls.share.data.normal_()
    return balls


@pytest.mark.parametrize(("activation", "channels"), [(Neighbours(), 36), (made_balls(), 12)])
def test_activations_are_gradients_with_slopes_in_the_unit_interval(
    activation: nn.Module, channels: int
) -> None:
    matrices = slope_matrices(activation, channels=channels)
    assert float((matrices - matrices.mT).abs().max()) < 1e-12
    values = torch.linalg.eigvalsh(matrices)
    assert float(values.min()) > -1e-9
    assert float(values.max()) < 1 + 1e-12


def test_shares_that_differ_inside_a_group_are_no_gradient() -> None:
    matrices = slope_matrices(Apart())
    assert float((matrices - matrices.mT).abs().max()) > 0.01


def test_losses_and_the_tightening_reach_the_training(tmp_path: Path) -> None:
    pictures = [(255 * picture(1, 24, 24, seed=i)).to(torch.uint8) for i in range(2)]
    data = TrainingData(pictures, pictures, {})
    recipe = DenoiserRecipe(steps=2, batch=2, patch=16, warmup=0, bf16=False)
    config = EulerConfig(width=4, hidden=4, blocks=1)
    found = {}
    for loss in LOSSES:
        torch.manual_seed(0)
        net = with_blocks(Tightened)(config)
        trainer = TrialTrainer(net, recipe, data, tmp_path / loss, loss)
        found[loss] = float(trainer.objective().detach())
        (block,) = net.blocks
        assert float(block.slack) == 4
        trainer.run(lambda progress: None, every=2)
        assert float(block.slack) == 1
        assert float(trainer.average.get_submodule("blocks.0").get_buffer("slack")) == 1
    assert len(set(found.values())) == len(LOSSES)


def test_the_norm_bound_holds_for_tried_blocks() -> None:
    for build in (with_blocks(Rows), tied, with_filters(Bjorck)):
        net = made(build)
        assert isinstance(net, EulerNet)
        assert float(net.check().averagedness) < 1
        for block in net.flow_blocks():
            assert conv_norm_bound(block.weight / block.norm) <= 1.01


@pytest.mark.parametrize("block", [Columns, Rows])
def test_divisors_of_averaged_weights_are_brought_up_to_them(block: type[FlowBlock]) -> None:
    net = with_blocks(block)(TINY)
    with torch.no_grad():
        for tried in net.blocks:
            tried.weight.mul_(3)
    for fresh, stale in zip(refreshed(net).blocks, net.blocks, strict=True):
        assert torch.equal(fresh.norm, fresh.roots(fresh.weight))
        assert not torch.equal(fresh.norm, stale.norm)


def test_the_page_is_what_the_rows_say() -> None:
    assert research_report.PAGE.read_text() == research_report.current()


def test_a_row_that_changes_changes_the_page() -> None:
    tables = research_report.Tables.read(research_report.RESULTS)
    template = research_report.TEMPLATE.read_text()
    assert research_report.page(template, tables) == research_report.PAGE.read_text()
    small = tables.rows["small"]
    better = dict(tables.rows, small=dict(small, psnr_25=str(float(small["psnr_25"]) + 1)))
    changed = research_report.page(template, replace(tables, rows=better))
    assert changed != research_report.PAGE.read_text()
    without = {name: row for name, row in tables.rows.items() if TRIALS[name].topic != "price"}
    with pytest.raises(ValueError, match="no row of the topic 'price'"):
        research_report.page(template, replace(tables, rows=without))


def test_every_row_stands_on_the_page() -> None:
    rows = research_report.by_name(research_report.RESULTS / "research.csv")
    page = research_report.PAGE.read_text()
    assert [name for name in rows if f"| `{name}` |" not in page] == []
    assert set(rows) <= set(TRIALS)
    for name, row in rows.items():
        assert row["topic"] == TRIALS[name].topic
        assert int(row["steps"]) == TRIALS[name].settings().steps
