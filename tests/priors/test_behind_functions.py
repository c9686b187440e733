"""A network behind a function is judged as the network is: its mode, its precision, its weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from laws.adversary.judge import Runner, ending
from laws.adversary.priors import TRUE, Smoother, declared
from laws.adversary.weights import later
from pnp_recon import guarantees
from pnp_recon.priors.denoiser import wrap
from pnp_recon.priors.energies.base import energy_from
from pnp_recon.solvers.core.premises import UNSEARCHED
from pnp_recon.solvers.pnp.examining import LAW, REMEDY

HQS = Runner("pnp-hqs")
SAID = guarantees.averaged(0.4, "said")


class Small(nn.Module):
    """0.9 x + 0.05 and what `part` makes of very little."""

    def __init__(self, part: nn.Module | None = None) -> None:
        super().__init__()
        self.part = nn.Identity() if part is None else part
        self.gain = nn.Parameter(torch.tensor(0.9, dtype=torch.float64))

    def forward(self, x: Tensor, sigma: float = 0.0) -> Tensor:
        return self.gain * x + 0.05 + 1e-3 * self.part(x)


def plainly(net: nn.Module) -> Any:
    return net


def in_a_lambda(net: nn.Module) -> Callable[[Tensor, float], Tensor]:
    return lambda x, sigma: net(x)


def in_partial(net: nn.Module) -> Callable[[Tensor, float], Tensor]:
    return functools.partial(lambda held, x, sigma: held["net"](x), {"net": net})


ways = pytest.mark.parametrize("way", [plainly, in_a_lambda, in_partial])
UNSTEADY = [nn.Dropout(0.5), nn.BatchNorm2d(1).double()]


@ways
@pytest.mark.parametrize("part", UNSTEADY, ids=lambda part: type(part).__name__)
def test_training_mode_is_seen(part: nn.Module, way: Callable[[nn.Module], Any]) -> None:
    net = Small(part)
    prior = wrap(way(net.eval()), "own", SAID)
    assert prior.guarantee == SAID
    net.train()
    assert f"{type(part).__name__} is in training mode" in prior.guarantee.source
    assert not wrap(way(net), "own", SAID).guarantee.holds


@ways
def test_half_precision_is_seen(way: Callable[[nn.Module], Any]) -> None:
    net = Small()
    assert wrap(way(net), "own", SAID).guarantee == SAID
    assert "torch.float16" in wrap(way(net.half()), "own", SAID).guarantee.source


@ways
def test_a_declaration_dies_with_the_weights(way: Callable[[nn.Module], Any]) -> None:
    net = Small()
    prior = wrap(way(net), "own", SAID)
    assert prior.guarantee == SAID
    net.gain.data.sub_(1e-3)
    assert "changed after its constant was declared" in prior.guarantee.source


@ways
@pytest.mark.parametrize("change", [True, False])
def test_weights_that_change_while_it_runs(change: bool, way: Callable[[nn.Module], Any]) -> None:
    rig, net = HQS.rig(), Small()
    rig.prior = wrap(way(net), "own", SAID)
    if change:
        later(rig, lambda: net.gain.data.sub_(1e-6))
    solution = ending(rig).solution
    assert solution is not None
    assert solution.certificate.holds != change, solution.certificate.lines()


@pytest.mark.parametrize("change", [True, False])
def test_a_number_that_changes_while_it_runs(change: bool) -> None:
    """Of what is no weight only the answers tell."""
    rig, held = HQS.rig(), [0.9]
    declared(lambda x, sigma: held[0] * x + 0.05, TRUE + 0.02)(rig)
    if change:
        later(rig, lambda: held.__setitem__(0, 0.9 + 1e-5))
    solution = ending(rig).solution
    assert solution is not None
    assert solution.certificate.holds != change, solution.certificate.lines()
    law = LAW.format(1e-9)
    assert (law in solution.certificate.verdict) == change
    assert any(REMEDY in line for line in solution.certificate.lines()) == change


@pytest.mark.parametrize("training", [True, False])
def test_an_energy_in_training_mode_has_no_theorem(training: bool) -> None:
    rig, part = Runner("descent").rig(), nn.Dropout(0.5).train(training)

    def function(x: Tensor) -> Tensor:
        return (x - 0.5 + 1e-3 * part(x)).square().flatten(1).sum(1)

    rig.prior = energy_from(function, "own")
    solution = ending(rig).solution
    assert solution is not None
    words = "Dropout is in training mode" in solution.certificate.verdict
    assert words == training, solution.certificate.lines()
    assert solution.certificate.holds != training, solution.certificate.lines()


@pytest.mark.parametrize("training", [True, False])
def test_nor_has_a_fidelity(training: bool) -> None:
    """Whatever holds it: the whole solver is looked through."""
    rig = HQS.rig()

    class Own(Smoother):
        part = None

        def loss_gradient(self, v: Tensor) -> Tensor:
            return super().loss_gradient(v) + 0 * self.part(v)  # type: ignore[misc]

    fidelity = Own(rig.A, rig.y)
    object.__setattr__(fidelity, "part", nn.BatchNorm2d(1).double().train(training))
    rig.settings |= {"fidelity": fidelity}
    solution = ending(rig).solution
    assert solution is not None
    assert ("training mode" in solution.certificate.verdict) == training


@pytest.mark.parametrize("many", [True, False])
def test_a_search_that_is_cut_is_a_condition(many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that holds more than is looked at: then it is said."""
    monkeypatch.setattr("operators.reach.MOST", 2000)
    rig, held = HQS.rig(), [[Small] for _ in range(2000 if many else 1)]
    declared(lambda x, sigma: 0.9 * x + 0.05 + 0 * len(held), TRUE + 0.02)(rig)
    solution = ending(rig).solution
    assert solution is not None
    said = [premise.words for premise in solution.certificate.theorem.premises]
    assert (UNSEARCHED in said) == many
