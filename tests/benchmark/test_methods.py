"""The methods of the benchmark: shapes, guarantees under attack, tuned parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.benchmark import Method, tuned
from pnp_recon.benchmark.methods import expand, known_methods, load_method
from pnp_recon.benchmark.methods.classical import TRIED
from pnp_recon.errors import InputError
from pnp_recon.models.load import load
from pnp_recon.models.store import shipped_models
from pnp_recon.pictures.metrics import psnr
from pnp_recon.priors.attack import attained_ratio
from pnp_recon.priors.catalogue import CLASSICAL
from pnp_recon.priors.classical.variational import TV
from support.samples import noise, sample

ROOT = Path(__file__).resolve().parents[2]
SIGMA = 25 / 255
NAMES = [*CLASSICAL, *shipped_models("denoiser")]
CERTIFIED = ["tv", "wavelet", "euler_grey", "euler_colour"]
BM3D = pytest.mark.skipif(find_spec("bm3d") is None, reason="the package bm3d is not installed")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, *args: object, **options: object) -> None:
        raise AssertionError(f"tried to download {url}")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)


def fitting() -> list[Any]:
    return [
        pytest.param(info.name, channels, marks=BM3D if info.name == "bm3d" else ())
        for info in known_methods()
        for channels in (1, 3)
        if info.name in NAMES and info.fits(channels)
    ]


@pytest.mark.parametrize(("name", "channels"), fitting())
def test_denoises_and_keeps_the_picture_s_form(name: str, channels: int) -> None:
    clean = sample(channels, 41)[..., :35]
    noisy = (clean + SIGMA * noise(clean)).float()
    before = noisy.clone()
    method = load_method(name, channels)
    out = method.denoise(noisy, SIGMA)
    assert (out.shape, out.dtype) == (noisy.shape, torch.float32)
    assert torch.equal(noisy, before)
    assert torch.equal(out, method.denoise(noisy, SIGMA))  # again the same
    gain = float(psnr(out, clean.float()) - psnr(noisy, clean.float()))
    assert gain > (1.5 if name == "euler_ct" else 3)
    double = method.denoise(noisy.double(), SIGMA)
    assert double.dtype == torch.float64
    assert float((double - out).abs().max()) < 1e-4


@pytest.mark.parametrize("name", ["tv", "wavelet", "nlm", "bilateral", "median"])
def test_pictures_of_a_batch_do_not_meet(name: str) -> None:
    x = torch.cat((sample(3, 32), sample(3, 64)[..., 32:, 32:]))
    method = load_method(name, 3)
    both = method.denoise(x, SIGMA)
    each = torch.cat([method.denoise(one[None], SIGMA) for one in x])
    assert float((both - each).abs().max()) < 2 * load_method(
        "tv", 1
    ).inexactness * SIGMA * math.sqrt(x[0].numel())


def test_at_level_zero_classical_methods_change_nothing() -> None:
    x = sample(1, 16)
    for name in ("tv", "wavelet", "nlm", "bilateral"):
        assert torch.equal(load_method(name, 1).denoise(x, 0.0), x)


# Guarantees.


def stretch(function: Callable[[Tensor], Tensor], x: Tensor, slack: float = 0.0) -> float:
    """Largest (‖f(y) − f(x)‖ − slack)/‖y − x‖ over noise, shifts, edges and contrasts."""
    moved = [x + scale * noise(x, 1) for scale in (1e-3, 0.05, 0.5)]
    moved += [x.roll(1, -1), x + 0.1, 1.5 * x, x.flip(-1), x + 0.3 * (noise(x, 2) > 2)]
    at_x = function(x)
    return max(float(((function(y) - at_x).norm() - slack) / (y - x).norm()) for y in moved)


@pytest.mark.parametrize("name", CERTIFIED)
def test_certified_methods_do_not_stretch(name: str) -> None:
    channels = 3 if name == "euler_colour" else 1
    method = load_method(name, channels)
    assert method.guarantee.lipschitz == 1
    x = sample(channels, 24)
    x = x + SIGMA * noise(x)
    slack = 2 * TV.inexactness * SIGMA * math.sqrt(x.numel()) if name == "tv" else 0.0
    assert stretch(lambda z: method.denoise(z, SIGMA), x, slack) <= 1 + 1e-6
    if method.differentiable:
        assert attained_ratio(lambda z: method.denoise(z, SIGMA), x, steps=5) <= 1 + 1e-6


# What a method says of itself.


@pytest.mark.parametrize("name", list(CLASSICAL))
def test_defaults_are_those_of_the_map_and_on_the_grid(name: str) -> None:
    if CLASSICAL[name].missing():
        pytest.skip(CLASSICAL[name].missing())
    method = load_method(name, 1)
    numbers = CLASSICAL[name].load()().denoiser().record().parameters
    assert dict(method.defaults) == dict(numbers)
    assert set(method.tuned_by) == set(method.defaults)
    for key, value in method.defaults.items():
        assert min(method.tuned_by[key]) <= value <= max(method.tuned_by[key])


def test_a_method_is_a_recipe_for_the_prior_of_that_name() -> None:
    x = sample(1, 16)
    for name in ("median", "wavelet"):
        method, prior = load_method(name, 1), load(name)
        assert torch.equal(method.denoise(x, SIGMA), prior(x, SIGMA))
        assert torch.equal(method.prior()(x, SIGMA), prior(x, SIGMA))
        assert method.prior().guarantee == prior.guarantee
    assert set(TRIED) <= set(CLASSICAL)


def test_plugged_in_it_runs_with_the_parameters_of_the_level() -> None:
    method = load_method("median", 1)
    asked = []

    def parameters_at(sigma: float) -> dict[str, float]:
        asked.append(sigma)
        return {"size": 5}

    x = sample(1, 16)
    plugged = method.prior(parameters_at)
    assert torch.equal(plugged(x, 0.1), method.denoise(x, 0.1, size=5))
    assert asked == [0.1]
    assert (plugged.name, plugged.guarantee) == ("median", method.guarantee)
    assert torch.equal(method.prior()(x, 0.1), method.denoise(x, 0.1, **method.defaults))


def test_a_shipped_model_brings_its_certificate_and_hash() -> None:
    method = load_method("euler_grey", 3)
    plugged = method.prior()
    assert plugged.guarantee.is_averaged
    assert len(method.sha256) == 64
    assert plugged.card["sha256"] == method.sha256
    assert plugged.channels == 1
    assert method.regulariser(1.0, 1) is None
    with pytest.raises(InputError, match="from 1 to 50"):
        plugged(sample(1, 16), 0.5)
    path = str(ROOT / "trained_models" / "euler_grey.json")
    assert load_method(path, 1).sha256 == method.sha256
    assert load_method("euler_grey", 3) is method  # once in a process


def test_known_methods_say_what_they_are() -> None:
    found = {info.name: info for info in known_methods()}
    assert set(NAMES) <= set(found)
    assert found["tv"].guarantee.startswith("firmly nonexpansive")
    assert found["nlm"].guarantee.startswith("no guarantee: ")
    for name in shipped_models("denoiser"):
        assert found[name].guarantee == str(load_method(name, 3).guarantee)
    assert all(info.what and "\n" not in info.what for info in found.values())


def test_groups_hold_what_is_made_for_the_channels() -> None:
    assert expand(["shipped"], 3) == ["dncnn_colour", "euler_colour"]
    assert {"euler_grey", "euler_grey_eq"} <= set(expand(["shipped"], 1))
    assert set(expand(["classical"], 1)) >= {"tv", "wavelet", "nlm", "bilateral", "median"}
    both = expand(["tv", "all", "tv", "euler_grey"], 3)
    assert both[0] == "tv"
    assert len(both) == len(set(both))
    energies = {"energy_colour", "ridge_colour"}
    assert not energies & set(expand(["shipped"], 3))
    named = {*expand(["classical"], 3), *expand(["shipped"], 3), "euler_grey"}
    assert set(both) == named | energies


# Tuned parameters.


class Tuned(Method):
    name = "tuned"
    tuned_by = {"weight": (0.5, 1.0), "size": (3, 5)}  # noqa: RUF012
    defaults = {"weight": 0.8, "size": 3}  # noqa: RUF012

    def denoise(self, x: Tensor, sigma: float, *args: Any, **parameters: Any) -> Tensor:
        return x


LEVELS = [
    {"noise": 40, "parameters": {"weight": 1.0, "size": 7}, "psnr": 26.0},
    {"noise": 10, "parameters": {"weight": 0.5, "size": 3}, "psnr": 33.0},
]
TABLE = {"denoise": {"tuned": {"1": LEVELS}}}


@pytest.mark.parametrize(
    ("level", "weight", "size"),
    [(1, 0.5, 3), (10, 0.5, 3), (19, 0.5 + math.log(1.9) / math.log(16), 3),
     (21, 0.5 + math.log(2.1) / math.log(16), 7), (40, 1.0, 7), (99, 1.0, 7), (0, 0.5, 3)],
)  # fmt: skip
def test_parameters_lie_between_their_neighbours(level: float, weight: float, size: int) -> None:
    found = tuned.parameters("denoise", Tuned(), 1, level, TABLE)
    assert found["weight"] == pytest.approx(weight)
    assert found["size"] == size
    assert isinstance(found["size"], int)


def test_untuned_methods_run_with_their_defaults() -> None:
    assert tuned.parameters("denoise", Tuned(), 3, 25, TABLE) == Tuned.defaults
    assert tuned.parameters("deblur", Tuned(), 1, 25, TABLE) == {}
    assert tuned.parameters("denoise", load_method("euler_grey", 1), 1, 25, TABLE) == {}


def test_candidates_are_all_combinations() -> None:
    found = tuned.candidates(Tuned())
    assert len(found) == 4
    assert {"weight": 1.0, "size": 3} in found
    assert tuned.candidates(load_method("euler_grey", 1)) == [{}]


@pytest.mark.parametrize("text", ["[]", "{"])
def test_a_damaged_file_of_parameters_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tuned.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"tuned\.json"):
        tuned.read(path)


@pytest.mark.parametrize("entry", [[{"noise": 5}], [{"noise": "a", "parameters": {}}], 3])
def test_a_damaged_table_of_parameters_says_where(entry: object) -> None:
    with pytest.raises(InputError, match="damaged: denoise, tuned, 1 channels"):
        tuned.parameters("denoise", Tuned(), 1, 5, {"denoise": {"tuned": {"1": entry}}})


def test_the_shipped_parameters_are_those_of_the_methods() -> None:
    table = tuned.read()
    for name in CLASSICAL:
        for channels in (1, 3):
            for _, parameters in tuned.tuned_levels("denoise", name, channels, table):
                assert set(parameters) <= set(TRIED[name])


def test_no_guarantee_is_the_default() -> None:
    assert Tuned().guarantee == guarantees.none("the denoiser declares no Lipschitz constant")
