"""A level of the caller's own: the coupling that follows it, and where a continuation begins."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from operators import Inpainting
from pnp_recon import load_denoiser, load_energy
from pnp_recon.errors import InputError
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.catalogue import SOLVERS
from pnp_recon.solvers.choice import configured
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.solvers.tuning import coupling

NOISE, LEVEL = 0.02, 0.03


def problem() -> Problem:
    seeded = torch.Generator().manual_seed(0)
    A = Inpainting(torch.rand((16, 16), generator=seeded) < 0.5)
    return Problem(A, A.A(torch.rand((1, 1, 16, 16), generator=seeded)), NOISE)


def gamma(name: str, **set_: Any) -> float:
    found: Any = configured(load_denoiser("euler_grey"), SOLVERS[name], problem(), Knobs(**set_))
    return float(found.gamma)


@pytest.mark.parametrize("name", ["pnp-hqs", "pnp-drs"])
def test_the_coupling_follows_the_level_and_the_strength(name: str) -> None:
    wanted = coupling(3.0, LEVEL, NOISE, 1.0)
    assert gamma(name, coupling=3.0, denoiser_level=LEVEL) == pytest.approx(wanted)
    assert gamma(name, coupling=3.0, denoiser_level=LEVEL, strength=2.0) == pytest.approx(
        wanted / 2
    )
    assert gamma(name, coupling=3.0, denoiser_level=LEVEL, gamma=7.0) == 7.0
    # Without it a level of one's own leaves the tuned coupling, as before.
    assert gamma(name, denoiser_level=LEVEL) == gamma(name) != pytest.approx(wanted)
    with pytest.raises(InputError, match="coupling"):
        gamma(name, coupling=0.0)


def levels(**set_: Any) -> list[float]:
    energy = load_energy("energy_grey")
    found: Any = configured(energy, SOLVERS["descent"], problem(), Knobs(**set_))
    return [level for level, _ in found.continued]


def test_a_continuation_begins_where_it_is_told() -> None:
    assert levels()[0] > 0.15
    told = levels(continuation=4 * LEVEL, denoiser_level=LEVEL)
    assert told[0] == pytest.approx(4 * LEVEL)
    assert told[-1] == pytest.approx(LEVEL)
    assert levels(continuation=0.0, denoiser_level=LEVEL) == []  # the start as it is
    with pytest.raises(InputError, match="continuation belongs to descent"):
        configured(
            load_denoiser("euler_grey"), SOLVERS["pnp-hqs"], problem(), Knobs(continuation=0.1)
        )
    with pytest.raises(InputError, match="continuation"):
        levels(continuation=-1.0)
