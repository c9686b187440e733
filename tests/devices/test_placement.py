"""Whatever is registered runs on a GPU, or its stand-in, and gives what the CPU gives.

A part that makes a tensor of its own on the CPU, or reads one through NumPy, raises here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import operators.registry
from laws.adversary.judge import tiny_energy
from laws.operators import OPERATORS, OperatorCase
from laws.solvers import SIZE, blur, invertible_kernel, measurements, tiny_denoiser
from operators import OperatorError, RayTransform, kernels, parallel_beam
from operators.masks import blocks, random_pixels, strokes
from pnp_recon import Solution, Stopping, load_denoiser, load_energy, reconstruct
from pnp_recon.errors import InputError
from pnp_recon.estimation.noise.brightness import brightness_noise
from pnp_recon.estimation.noise.estimate import estimate_noise
from pnp_recon.fidelity import Huber, LeastSquares
from pnp_recon.models.store import shipped_models
from pnp_recon.priors.catalogue import CLASSICAL
from pnp_recon.proximal import L1, REGULARISERS, Ridge
from pnp_recon.solvers import ACCELERATIONS, SOLVERS, iterate, total_variation_solver
from support import unrolled
from support.devices import installed

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("gpu")]
# Sums come in another order there, sparse products on the stand-in as well.
NEAR = {"rtol": 1e-4, "atol": 1e-4}


def assert_same(there: Tensor, here: Tensor) -> None:
    assert there.device.type == "cuda"
    torch.testing.assert_close(there.cpu(), here, **NEAR)


def one_of_each() -> list[OperatorCase]:
    """The first case of every class of operators."""
    found: dict[type, OperatorCase] = {}
    for case in OPERATORS:
        found.setdefault(type(case.build(torch.float32)), case)
    return list(found.values())


EACH = one_of_each()
# The library that a part takes, where a bare machine may lack it.
LIBRARY = {"dncnn": "deepinv", "wavelet": "pywt", "nlm": "skimage", "bilateral": "skimage"}


def takes_its_library(name: str) -> None:
    """Skips what needs a library that is not here."""
    for begin, library in LIBRARY.items():
        if name.startswith(begin) and not installed(library):
            pytest.skip(f"{library} is not installed")


@pytest.mark.parametrize("moved", [True, False], ids=["moved", "left on the CPU"])
@pytest.mark.parametrize("case", EACH, ids=lambda case: case.label)
def test_operators_go_with_their_pictures(case: OperatorCase, moved: bool) -> None:
    host, A = case.build(torch.float32), case.build(torch.float32)
    A = A.to("cuda") if moved else A
    draws = torch.Generator().manual_seed(0)
    x = torch.rand(2, *host.image_shape, generator=draws)
    y = torch.rand(2, *host.measurement_shape, generator=draws)
    assert_same(A.A(x.cuda()), host.A(x))
    assert_same(A.A_adjoint(y.cuda()), host.A_adjoint(y))
    assert_same(A.prox_l2(x.cuda(), y.cuda(), 0.5), host.prox_l2(x, y, 0.5))
    assert A.norm_bound == pytest.approx(host.norm_bound, rel=1e-5)
    if host.nonnegative:
        for found, expected in zip(A.enclosure(x.cuda()), host.enclosure(x), strict=True):
            assert_same(found, expected)


def test_every_operator_is_looked_at() -> None:
    seen = {type(case.build(torch.float32)).__name__ for case in EACH}
    classes = {
        entry.name
        for entry in operators.registry.OPERATORS.values()
        if isinstance(entry.load(), type)
    }
    assert classes <= seen


# ---- priors -------------------------------------------------------------------------------------


def drawn(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", shipped_models("denoiser"))
def test_denoisers_are_those_of_the_cpu(name: str) -> None:
    takes_its_library(name)
    here, there = load_denoiser(name), load_denoiser(name, device="cuda")
    x, level = drawn(2, 3 if "colour" in name else 1, 16, 18), torch.tensor([0.1])
    assert_same(there(x.cuda(), 0.1), here(x, 0.1))
    assert_same(there(x.cuda(), level.cuda()), here(x, level))


@pytest.mark.parametrize("name", shipped_models("energy"))
def test_energies_are_those_of_the_cpu(name: str) -> None:
    here, there = load_energy(name), load_energy(name, device="cuda")
    x = drawn(2, 3 if "colour" in name else 1, 16, 18)
    for found, expected in zip(
        there.value_and_gradient(x.cuda(), 0.1), here.value_and_gradient(x, 0.1), strict=True
    ):
        assert_same(found, expected)
    assert here.denoiser is not None
    assert there.denoiser is not None
    assert_same(there.denoiser(x.cuda(), 0.1), here.denoiser(x, 0.1))


@pytest.mark.parametrize("scheme", ["proximal-gradient", "primal-dual"])
def test_unrolled_networks_are_those_of_the_cpu(scheme: str) -> None:
    here = unrolled.network(scheme=scheme).eval()
    A = unrolled.OPERATORS["rays"](torch.float32)
    y = unrolled.measured(A)
    with torch.no_grad():
        expected = here(y, A)
        assert_same(here.cuda()(y.cuda(), A), expected)


@pytest.mark.parametrize("name", [n for n, entry in CLASSICAL.items() if not entry.missing()])
def test_classical_denoisers_give_their_pictures_back_there(name: str) -> None:
    takes_its_library(name)
    x = drawn(1, 1, 16, 18)
    assert_same(load_denoiser(name, device="cuda")(x.cuda(), 0.1), load_denoiser(name)(x, 0.1))


@pytest.mark.parametrize("name", REGULARISERS)
def test_proximal_maps_are_those_of_the_cpu(name: str) -> None:
    takes_its_library(name)
    made = REGULARISERS[name].load()
    functional = made(*{"box": (), "elastic-net": (0.5, 0.5)}.get(name, (0.5,)))
    x = drawn(2, 1, 8, 8).double()
    assert_same(functional.prox(x.cuda(), 0.3)[0], functional.prox(x, 0.3)[0])
    assert_same(functional.value(x.cuda()), functional.value(x))


def test_noise_is_estimated_there() -> None:
    y = torch.linspace(0.1, 0.9, 64).expand(1, 1, 64, 64)
    y = y + 0.1 * y * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    assert brightness_noise(y) is not None  # it grows with the brightness
    assert brightness_noise(y.cuda()) == pytest.approx(brightness_noise(y))
    assert estimate_noise(y.cuda()) == pytest.approx(estimate_noise(y))


# ---- runs ---------------------------------------------------------------------------------------

PRIORS: dict[str, Callable[[], Any]] = {
    "denoiser": tiny_denoiser,
    "functional": lambda: L1(0.01),
    "energy": tiny_energy,
    "none": lambda: "auto",
}


def run(
    device: str, name: str, fidelity: Any = None, operator: Any = None, **settings: Any
) -> Solution:
    kind = SOLVERS[name].prior_kinds[0]
    A, prior = operator or blur(invertible_kernel()), PRIORS[kind]()
    y = measurements(A, 1 if name == "joint-descent" else 2).to(device)
    A = A if operator else A.to(device)
    if name == "gradient-descent":
        prior = Ridge(0.1)
    usual: dict[str, Any] = {"acceleration": "none"}
    usual |= {"denoiser_level": 0.1} if kind == "denoiser" else {}
    if isinstance(prior, torch.nn.Module):
        prior = prior.to(device)
    return reconstruct(
        y,
        A,
        prior,
        solver=name,
        fidelity=None if fidelity is None else fidelity(A, y),
        noise_level=0.02,
        stopping=Stopping(tol=1e-300, max_iter=1 if kind == "energy" else 3),
        **usual | {"reference": torch.full((len(y), *SIZE), 0.5, device=device)} | settings,
    )


def assert_same_run(name: str, **settings: Any) -> None:
    here, there = run("cpu", name, **settings), run("cuda", name, **settings)
    assert_same(there.image, here.image)
    assert there.certificate.verdict == here.certificate.verdict
    assert there.certificate.holds == SOLVERS[name].proven


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_run_there(name: str) -> None:
    assert_same_run(name)


@pytest.mark.parametrize("name", [name for name in SOLVERS if name != "descent"])
def test_solvers_run_there_with_an_operator_of_the_cpu(name: str) -> None:
    assert_same_run(name, operator=blur(invertible_kernel()))


def test_uneven_steps_lie_where_their_scan_does() -> None:
    A = RayTransform(parallel_beam(9, SIZE[1:]), SIZE)
    y, start = A.A(drawn(1, *SIZE)), torch.zeros(1, *SIZE)
    here, there = (
        total_variation_solver(LeastSquares(A, y.to(d)), 0.02, start.to(d), step_rule="diagonal")
        for d in ("cpu", "cuda")
    )
    assert there.theorem().holds
    assert_same(
        iterate(there, Stopping(max_iter=2)).image, iterate(here, Stopping(max_iter=2)).image
    )


@pytest.mark.parametrize("name", ["sirt", "pdhg", "cgls", "pnp-hqs"])
def test_scans_are_reconstructed_there(name: str) -> None:
    """The operator has no tensors of its own that say where it lies."""
    assert_same_run(name, operator=RayTransform(parallel_beam(9, SIZE[1:]), SIZE))


ELSEWHERE: dict[str, tuple[Callable[[], object], str]] = {
    "reference": (lambda: run("cuda", "cgls", reference=torch.ones(2, *SIZE)), "reference is on"),
    "data of the fidelity": (
        lambda: run("cuda", "fista", lambda A, y: Huber(A.cpu(), y.cpu(), 0.1)),
        "about other data",
    ),
    "generator of a mask": (
        lambda: random_pixels((4, 4), 0.5, seeded()),
        "expected one on the CPU",
    ),
    "generator of blocks": (lambda: blocks((8, 8), 1, 2, seeded()), "expected one on the CPU"),
    "generator of strokes": (lambda: strokes((8, 8), 1, 2, seeded()), "expected one on the CPU"),
    "generator of a shake": (lambda: kernels.trajectory(9, seeded()), "expected one on the CPU"),
}


def seeded() -> torch.Generator:
    return torch.Generator("cuda").manual_seed(0)


@pytest.mark.parametrize("part", ELSEWHERE)
def test_a_part_that_lies_elsewhere_is_refused_in_words(part: str) -> None:
    broken, words = ELSEWHERE[part]
    with pytest.raises((InputError, OperatorError), match=words):
        broken()


@pytest.mark.parametrize("name", ACCELERATIONS)
def test_accelerations_run_there(name: str) -> None:
    assert_same_run("pnp-hqs", acceleration=name)
