"""Classical denoisers: what is proven of each holds, and what is not is found to fail."""

from __future__ import annotations

import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.models.load import load
from pnp_recon.priors import catalogue
from pnp_recon.priors.catalogue import CLASSICAL
from pnp_recon.priors.classical.base import ClassicalMap
from pnp_recon.priors.classical.variational import TV, Wavelet
from support.samples import noise, sample

SIGMA = 25 / 255
BM3D = pytest.mark.skipif(find_spec("bm3d") is None, reason="the package bm3d is not installed")


def denoising(name: str) -> ClassicalMap:
    """The map of that name, with its defaults."""
    made: ClassicalMap = CLASSICAL[name].load()()
    return made


# ---- the catalogue ------------------------------------------------------------------------------


def test_the_catalogue_loads_nothing() -> None:
    code = "import sys, pnp_recon.priors.catalogue; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("name", list(CLASSICAL))
def test_every_entry_is_a_denoiser_with_its_reason(name: str) -> None:
    entry = CLASSICAL[name]
    made = entry.load()
    assert issubclass(made, ClassicalMap)
    assert made.name == name
    assert made.__doc__.partition("\n")[0].rstrip(".") == entry.words
    prior = made().denoiser()
    assert prior.kind == entry.kind
    assert prior.guarantee.holds == (made.guarantee.holds and not made.inexactness)
    assert prior.guarantee.source


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CLASSICAL["nlm"].missing() == ""
    monkeypatch.setattr(catalogue, "find_spec", lambda name: None)
    assert CLASSICAL["nlm"].missing() == ""
    with pytest.raises(InputError, match=r"denoiser bm3d: .*pip install 'pnp-recon\[bench\]'"):
        load("bm3d")


def test_parameters_are_the_map_s_and_change_it() -> None:
    x = sample(1, 16)
    median = CLASSICAL["median"].load()
    wide = median(size=5).denoiser()
    assert wide.record().parameters == {"size": 5}
    assert not torch.equal(wide(x, SIGMA), median().denoiser()(x, SIGMA))
    assert torch.equal(median(size=1).denoiser()(x, SIGMA), x)


# ---- guarantees ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nlm", "bilateral", pytest.param("bm3d", marks=BM3D)])
def test_the_attack_finds_methods_that_stretch(name: str) -> None:
    method = denoising(name)
    assert not method.guarantee.holds
    # A step whose height is what the weights can just tell from noise.
    x = torch.zeros(1, 1, 32, 32, dtype=torch.float64)
    x[..., 16:] = {"nlm": 2.0, "bilateral": 4.0, "bm3d": 2.7}[name] * SIGMA
    higher = x * 1.05
    ratio = (method(higher, SIGMA) - method(x, SIGMA)).norm() / (higher - x).norm()
    assert float(ratio) > 1


def test_a_median_filter_stretches() -> None:
    method = denoising("median")
    # Every window of a tiling holds each cell of the tile once: four zeros, four ones, the middle.
    x = torch.tensor([[0.5, 0, 1], [1, 0, 0], [1, 1, 0]], dtype=torch.float64).tile(5, 5)[
        None, None
    ]
    x[..., ::3, ::3] = 0.0
    x[..., 6, 6] = 0.5
    y = x.clone()
    y[..., 6, 6] = 0.6
    ratio = (method(y, SIGMA) - method(x, SIGMA)).norm() / (y - x).norm()
    assert float(ratio) == pytest.approx(3)


@pytest.mark.parametrize("name", ["tv", "wavelet"])
def test_proximal_methods_are_firm_in_colour(name: str) -> None:
    method = denoising(name)
    assert method.guarantee.is_firm
    x = sample(3, 24)
    y = x.flip(-1) + 0.2 * noise(x)
    apart = method(x, SIGMA) - method(y, SIGMA)
    error = 4 * TV.inexactness * SIGMA * math.sqrt(x.numel()) * float((x - y).norm())
    slack = error if name == "tv" else 1e-9
    assert float(apart.square().sum()) <= float((apart * (x - y)).sum()) + slack


def test_total_variation_keeps_to_its_error() -> None:
    # The regulariser knows the range [0, 1] as well: away from its ends it changes nothing.
    x = 0.25 + 0.5 * sample(1, 32)
    x = x + SIGMA * noise(x)
    found = TV()(x, SIGMA)
    exact, bound = TV().regulariser(1.0, 1).prox(x, 0.8 * SIGMA, tol=1e-7)
    assert 0.01 < float(exact.min()) < float(exact.max()) < 0.99
    limit = TV.inexactness * SIGMA * math.sqrt(x.numel())
    assert float((found - exact).norm()) <= limit + float(bound)


def test_total_variation_says_when_it_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="finite"):
        TV()(torch.full((1, 1, 8, 8), math.nan), SIGMA)
    monkeypatch.setattr(TV, "MAX_ITER", 3)
    x = sample(1, 32)
    with pytest.raises(InputError, match="error of"):
        TV()(x + SIGMA * noise(x), SIGMA)


def test_wavelets_are_those_of_the_functional_without_shifts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Wavelet, "SHIFTS", ((0, 0),))
    x = sample(1, 33)
    expected, _ = Wavelet().regulariser(1.2, 1).prox(x, SIGMA)
    assert float((Wavelet()(x, SIGMA) - expected).abs().max()) < 1e-12
