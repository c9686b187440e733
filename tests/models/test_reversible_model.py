"""A reversible network goes all the way: recipe, card, loaded model, reconstruction, check."""

from __future__ import annotations

from pathlib import Path

import torch

from pnp_recon import reconstruct
from pnp_recon.models.export import export
from pnp_recon.models.family import Options
from pnp_recon.models.load import load_unrolled
from pnp_recon.models.store import read_card
from pnp_recon.models.unrolled import FAMILY
from pnp_recon.networks.invertible.unrolled import ReversibleNetwork, unrolled_network
from support.unrolled import GREY, SCAN, TRAINED_ON, measured, small


def test_it_is_stored_loaded_checked_and_reconstructs(tmp_path: Path) -> None:
    from operators import RayTransform

    torch.manual_seed(0)
    network = unrolled_network(small(cell="reversible", depth=6))
    path = export(network, tmp_path, "deep", TRAINED_ON, {})
    card = read_card(path)
    assert card.family == "UnrolledNetwork"
    assert card.config["cell"] == "reversible"
    model = load_unrolled(str(path))
    assert isinstance(model.network, ReversibleNetwork)
    A = RayTransform(SCAN, GREY)
    y = measured(A)
    with torch.no_grad():
        expected = network(y, A)
    torch.testing.assert_close(reconstruct(y, A, model).image, expected, rtol=0, atol=1e-5)
    assert FAMILY.prior(card, Options()).parameters == sum(p.numel() for p in network.parameters())
    assert FAMILY.verify(card, 0).problems == []
    # The twin: a plain network does not fit these weights.
    plain = unrolled_network(small(depth=6))
    assert plain.state_dict().keys() != network.state_dict().keys()
