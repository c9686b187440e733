"""Every class of priors keeps to the contract, and describes itself for reports."""

from __future__ import annotations

from types import SimpleNamespace
from typing import get_args

import pytest
import torch

from pnp_recon import guarantees
from pnp_recon.contracts import Prior, PriorKind, PriorRecord
from pnp_recon.priors.catalogue import CLASSICAL
from pnp_recon.priors.denoiser import Denoiser, wrap
from pnp_recon.priors.unrolled import LearnedReconstruction
from pnp_recon.priors.unrolled_domain import TrainedOn
from pnp_recon.proximal import REGULARISERS, Regulariser
from support.unrolled import random_network


def regularisers() -> list[Regulariser]:
    numbers = {"ElasticNet": (0.1, 0.2), "Box": (), "L2Ball": (2.0,)}
    kinds = [entry.load() for entry in REGULARISERS.values()]
    return [kind(*numbers.get(kind.__name__, (0.3,))) for kind in kinds]


def priors() -> list[Prior]:
    trained = TrainedOn("Convolution", (1, 12, 12))
    return [
        Denoiser(lambda x, s: x, "given", guarantees.firm("identity"), card={"sha256": "ab"}),
        wrap(lambda x, sigma: x, "identity"),
        *(entry.load()().denoiser() for entry in CLASSICAL.values()),
        LearnedReconstruction(random_network(dtype=torch.float32), "net", trained, {"sha256": "c"}),
        *regularisers(),
    ]


@pytest.mark.parametrize("prior", priors(), ids=lambda prior: prior.name)
def test_every_prior_keeps_to_the_contract(prior: Prior) -> None:
    assert isinstance(prior, Prior)
    assert prior.kind in get_args(PriorKind)
    found = prior.record()
    assert isinstance(found, PriorRecord)
    assert (found.kind, found.name, found.guarantee) == (prior.kind, prior.name, prior.guarantee)
    assert all(isinstance(number, int | float) for number in found.parameters.values())


def test_what_lacks_a_record_is_no_prior() -> None:
    known = {"kind": "denoiser", "name": "x", "guarantee": guarantees.none("for a test")}
    assert not isinstance(SimpleNamespace(**known), Prior)
    assert isinstance(SimpleNamespace(**known, record=lambda: None), Prior)


def test_records_hold_hashes_and_numbers() -> None:
    found = {prior.name: prior.record() for prior in priors()}
    assert found["given"].sha256 == "ab"
    assert found["nlm"].sha256 is None
    assert found["nlm"].parameters == {"h": 0.7, "patch": 5, "distance": 7}
    assert (found["net"].kind, found["net"].sha256) == ("network", "c")
    assert found["net"].parameters["depth"] == 3
    assert found["total-variation"].kind == "functional"
    assert found["total-variation"].parameters["weight"] == 0.3
