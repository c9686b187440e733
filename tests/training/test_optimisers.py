"""Muon: what it is for, tied filters, exact resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.optimisers import Optimiser
from support.training import RECIPE, differing, ignore, trainer


def test_muon_is_refused_where_it_has_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="take adam"):
        Optimiser(torch.nn.Conv2d(1, 1, 3), DenoiserRecipe(optimiser="muon"))
    Optimiser(torch.nn.Conv2d(1, 1, 3), DenoiserRecipe(optimiser="adam"))


def test_muon_moves_tied_filters_as_it_would_move_free_ones() -> None:
    """One step on the numbers is the step on the whole filters, which stay tied."""
    config = EulerConfig(width=16, hidden=16, blocks=1, lifting="unshuffle", group="C4")
    torch.manual_seed(0)
    tied = EulerNet(config)
    free = tied.plain()
    recipe = DenoiserRecipe(optimiser="muon", batch=4)
    x = torch.rand(4, 1, 16, 16)
    # All four turns, so that the free filters' gradient is that of the tied ones.
    turned = torch.cat([torch.rot90(x, turn, (2, 3)) for turn in range(4)])
    for net in (tied, free):
        net.train(False)
        optimiser = Optimiser(net, recipe)
        before = net.flow_blocks()[0].weight.detach().clone()
        (net(turned, 0.1) - 0.5).square().mean().backward()
        optimiser.step(1.0)
        moved = (net.flow_blocks()[0].weight.detach() - before).norm()
        assert float(moved / before.norm()) > 1e-3
    ours, theirs = (net.flow_blocks()[0].weight.detach() for net in (tied, free))
    # Muon orthogonalises in bfloat16: equal to its rounding of a step.
    assert float((ours - theirs).norm()) < 0.02 * float(moved)
    # Without its tie the step goes elsewhere: the gradients of the numbers are no matrix of theirs.
    (found,) = Optimiser(EulerNet(config), recipe).filters
    assert found.matrix.shape == (16, 16 * 9)
    assert found.numbers.numel() * 4 == found.matrix.numel()


def test_muon_resumes_exactly_and_keeps_the_size_of_the_filters(tmp_path: Path) -> None:
    recipe = replace(RECIPE, optimiser="muon")
    whole = trainer(tmp_path / "whole", recipe)
    assert whole.run(ignore)
    first = trainer(tmp_path / "parts", recipe)
    assert not first.run(ignore, stop=lambda: first.step == 5)
    rest = trainer(tmp_path / "parts", recipe)
    assert rest.run(ignore)
    assert not differing(whole, rest)
    for block in rest.network.flow_blocks():
        size = float(block.weight.detach().norm()) / block.weight.shape[0] ** 0.5
        assert size == pytest.approx(1.0, abs=1e-5)
    # The comparison can fail: momentum forgotten at the break.
    again = trainer(tmp_path / "again", recipe)
    again.run(ignore, stop=lambda: again.step == 5)
    forgetful = trainer(tmp_path / "again", recipe)
    forgetful.optimiser.parts["muon"].state.clear()
    forgetful.run(ignore)
    assert differing(whole, forgetful)
