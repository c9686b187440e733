"""A method that somebody puts into a class of the package is seen, whatever it says it is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from laws.adversary.judge import Runner, ending
from operators import Convolution
from operators.knowledge import built_here
from pnp_recon.fidelity import LeastSquares
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet
from pnp_recon.priors.fingerprints import foreign
from pnp_recon.priors.proof import changed

RIG = Runner("pnp-hqs").rig


def wrapped(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def put(*given: Any, **named: Any) -> Any:
        return method(*given, **named)

    return put


def mocked(method: Callable[..., Any]) -> Any:
    return mock.create_autospec(method, side_effect=method)


def plain(method: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given, **named: method(*given, **named)


ways = pytest.mark.parametrize("way", [plain, wrapped, mocked, lambda method: mock.MagicMock()])


@ways
@pytest.mark.parametrize(("kind", "name"), [(LeastSquares, "gradient"), (EulerNet, "forward")])
def test_it_is_named(kind: type, name: str, way: Callable[..., Any]) -> None:
    assert foreign(kind) == []
    with mock.patch.object(kind, name, way(getattr(kind, name))):
        assert foreign(kind) == [name]


@ways
def test_an_operator_is_not_as_it_was_built(way: Callable[..., Any]) -> None:
    A = RIG().A
    assert isinstance(A, Convolution)
    assert built_here(A)
    with mock.patch.object(Convolution, "_forward_map", way(Convolution._forward_map)):
        assert not built_here(A)


def test_it_is_a_premise_of_the_run() -> None:
    words = "LeastSquares.prox, which is not this package's, is what the proof is about"
    for way, seen in ((wrapped, True), (lambda method: method, False)):
        with mock.patch.object(LeastSquares, "prox", way(LeastSquares.prox)):
            solution = ending(RIG()).solution
        assert solution is not None
        said = [premise.words for premise in solution.certificate.theorem.premises]
        assert (words in said) == seen


def test_a_hook_around_every_module_is_said_to_be_whose_it_is() -> None:
    network = EulerNet(EulerConfig())
    assert changed(network) is None
    with FlopCounterMode(display=False):
        assert "has torch." in str(changed(network))
    handle = register_module_forward_hook(lambda *given: None)
    said = str(changed(network))
    handle.remove()
    assert f"has {__name__}." in said
    assert "around every module" in said
