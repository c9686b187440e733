"""A declared constant that is false is found, a true one never accused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from laws.networks import picture
from laws.solvers import SIZE, TINY, blur, declared, measurements, random_kernel
from pnp_recon import guarantees, load_denoiser
from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.classical.variational import Wavelet
from pnp_recon.priors.denoiser import Denoiser, wrap
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import TotalVariation
from pnp_recon.reconstruction import reconstruct
from pnp_recon.solvers import Solution, Stopping
from pnp_recon.solvers.core.laws import ROUNDING_UNITS
from pnp_recon.solvers.pnp import challenge as module
from pnp_recon.solvers.pnp.challenge import Challenge
from pnp_recon.solvers.pnp.directions import SEEDS
from pnp_recon.solvers.pnp.examining import BEGINNING, ENDING, SHARE

CERTIFIED = ("euler_grey", "euler_colour", "euler_grey_eq", "euler_ct")
WORDS = "searched for"
HALF = guarantees.averaged(0.5, "declared in a test")


def searched(
    denoise: Callable[[Tensor], Tensor], z: Tensor, held: Guarantee, calls: int = 32
) -> Challenge:
    """What is known after a short and a long search around z."""
    with torch.inference_mode():
        known = Challenge.begin(held).confront(denoise, z, 8)[1]
        return known.confront(denoise, z, calls, far=True)[1]


def worst(known: Challenge) -> float:
    assert known.worst is not None
    return float(known.worst.max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", CERTIFIED)
def test_what_is_proven_is_never_accused(name: str, dtype: torch.dtype) -> None:
    """With the certified α, which is nearly attained: there is no room for an excuse."""
    network = load_denoiser(name).to(dtype)
    channels, nearest = network.channels or 1, 0.0
    for level in network.sigma_range:
        for side in ((8, 8), (24, 31)):
            for z in (
                picture(2, channels, *side, seed=1).to(dtype),
                random_picture(channels, side),
            ):
                known = searched(lambda x: network(x, level), z.to(dtype), network.guarantee)  # noqa: B023
                assert worst(known) <= 1
                assert known.differentiable
                nearest = max(nearest, worst(known))
    assert nearest > 0.995


def test_large_pictures_are_not_accused() -> None:
    network = load_denoiser("euler_grey")
    z = picture(1, 1, 500, 64, seed=2).float()
    assert 0.99 < worst(searched(lambda x: network(x, 0.01), z, network.guarantee, 16)) <= 1


def random_picture(channels: int, side: tuple[int, int]) -> Tensor:
    return torch.rand(1, channels, *side, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_proximal_maps_are_not_accused(dtype: torch.dtype) -> None:
    wavelet, variation = Wavelet(), TotalVariation(1.0)
    for z in (picture(1, 1, 24, 31, seed=1).to(dtype), random_picture(1, (24, 31)).to(dtype)):
        assert worst(searched(lambda x: wavelet(x, 0.1), z, Wavelet.guarantee)) <= 1
        tight = searched(lambda x: variation.prox(x, 0.02, tol=1e-5)[0], z, HALF, 20)
        assert worst(tight) <= 1
        assert not tight.differentiable  # no gradients, and no harm


def expanding(size: float, u: Tensor) -> Callable[[Tensor], Tensor]:
    """Half of the picture about grey, but 1 + size along u."""

    def function(x: Tensor) -> Tensor:
        d = x - 0.5
        along = u * (u * d).sum((1, 2, 3), keepdim=True)
        return 0.5 + 0.5 * (d - along) + (1 + size) * along

    return function


def direction(*shape: int) -> Tensor:
    u = torch.randn(1, *shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return u / u.norm()


@pytest.mark.parametrize("size", [0.01, 0.05])
def test_one_direction_among_many_is_found(size: float) -> None:
    z, u = picture(1, 1, 24, 31, seed=1), direction(1, 24, 31)
    held = guarantees.averaged(0.99, "declared in a test")
    assert worst(searched(expanding(size, u), z, held)) > 1 + size / 2
    assert worst(searched(expanding(0.0, u), z, held)) <= 1


def test_each_picture_of_a_batch_is_judged_by_itself() -> None:
    z, u = picture(3, 1, 12, 13, seed=1), direction(1, 12, 13)
    held = guarantees.averaged(0.99, "declared in a test")
    true, false = expanding(0.0, u), expanding(0.1, u)
    known = searched(lambda x: torch.cat([true(x[:1]), false(x[1:2]), true(x[2:])]), z, held)
    assert known.worst is not None
    assert (known.worst > 1).tolist() == [False, True, False]
    alone = searched(false, z[1:2], held)
    assert float(known.worst[1]) == pytest.approx(worst(alone), rel=1e-6)


def test_only_derivatives_see_what_is_turned_away() -> None:
    """What lies along v is written along u, 1.1-fold: images of images show nothing of it."""
    u = direction(1, 24, 31)
    v = u.flip(-1)
    v = v - u * (u * v).sum()
    v = v / v.norm()
    z, held = picture(1, 1, 24, 31, seed=1), guarantees.lipschitz(1.0, "declared in a test")

    def turned(x: Tensor) -> Tensor:
        along = (v * x).sum((1, 2, 3), keepdim=True)
        rest = 0.98 * (x - along * v).roll((1, 3), (-2, -1))
        return rest - u * (u * rest).sum((1, 2, 3), keepdim=True) + 1.1 * along * u

    assert worst(searched(turned, z, held)) > 1.05
    assert worst(searched(lambda x: turned(x.detach()), z, held)) < 1


def test_pictures_far_apart_see_a_jump_and_a_kink() -> None:
    """White and black are moved apart by 1.2, what lies between stays."""
    z = picture(1, 1, 12, 13, seed=1)

    def kinked(x: Tensor) -> Tensor:
        return x + 0.4 * ((x - 0.99).clamp_min(0) * 100 - (0.01 - x).clamp_min(0) * 100) * 0.5

    held = guarantees.lipschitz(1.0, "declared in a test")
    with torch.inference_mode():
        near = Challenge.begin(held).confront(kinked, z.clamp(0.2, 0.8), 20)[1]
        far = Challenge.begin(held).confront(kinked, z.clamp(0.2, 0.8), 20, far=True)[1]
    assert worst(near) <= 1 < worst(far)


def test_lipschitz_constants_and_contractions_are_tried_as_they_are_declared() -> None:
    z = picture(1, 1, 12, 13, seed=1)
    for constant in (0.3, 1.0, 2.5):
        held = guarantees.lipschitz(constant, "declared in a test")
        assert worst(searched(lambda x: constant * x, z, held)) <= 1  # noqa: B023
        assert worst(searched(lambda x: 1.02 * constant * x, z, held)) > 1.01  # noqa: B023
    # −I is 1-Lipschitz, averaged with no α < 1.
    assert worst(searched(lambda x: -x, z, guarantees.averaged(0.9, "declared"))) > 1.2
    with pytest.raises(ValueError, match="no constant to challenge"):
        Challenge.begin(guarantees.none("nothing is declared"))


def test_the_allowance_is_small_and_rounding_is_not_accused() -> None:
    """The identity attains 1 exactly; what the allowance takes is below a third of a per cent."""
    z = torch.ones(1, 1, 48, 48)
    allowance = 2 * ROUNDING_UNITS * torch.finfo(torch.float32).eps / module.SMALL
    assert allowance < 3e-3
    assert 1 - 1.1 * allowance < worst(searched(lambda x: x, z, guarantees.averaged(0.5, "I"))) <= 1


def test_values_that_are_not_finite_contradict() -> None:
    z = picture(1, 1, 12, 13, seed=1)
    held = guarantees.lipschitz(1.0, "declared in a test")
    assert worst(searched(lambda x: torch.where(x > 1, torch.nan, x), 0 * z + 0.999, held)) > 1


def test_a_search_leaves_the_random_numbers_alone_and_repeats() -> None:
    z = picture(1, 1, 12, 13, seed=1)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second = (searched(lambda x: 0.5 * x, z, HALF) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert worst(first) == worst(second)
    assert len(SEEDS) < first.pairs < first.calls


# ---- in runs -----------------------------------------------------------------------------------


def ran(
    denoiser: Denoiser, solver: str, acceleration: str = "none", iterations: int = 40
) -> Solution:
    A = blur(random_kernel(0))
    problem = Problem(A, measurements(A), 0.02)
    return reconstruct(
        problem.y,
        A,
        denoiser,
        noise_level=0.02,
        strength=1.0,
        solver=solver,
        acceleration=acceleration,
        denoiser_level=0.1,
        stopping=Stopping(1e-300, iterations),
    )


def examined(solution: Solution) -> list[bool]:
    """Whether what the challenge observed passed; empty where there was none."""
    return [item.passed for item in solution.certificate.observed if WORDS in item.law]


@pytest.mark.parametrize("acceleration", ["none", "anderson", "nesterov", "km", "halpern"])
@pytest.mark.parametrize("solver", ["pnp-pgd", "pnp-hqs", "pnp-drs", "red"])
def test_a_false_declaration_is_contradicted_and_a_true_one_is_not(
    solver: str, acceleration: str
) -> None:
    u = direction(*SIZE)
    false = ran(declared(expanding(0.05, u), 0.99), solver, acceleration)
    assert examined(false) == [False]
    assert false.certificate.contradicted
    assert "R = (N − (1−α)I)/α, α = 0.99" in false.certificate.verdict
    true = ran(declared(expanding(0.0, u), 0.99), solver, acceleration)
    assert examined(true) == [True]
    assert true.certificate.holds


def test_so_is_one_with_momentum() -> None:
    assert examined(ran(declared(expanding(0.05, direction(*SIZE)), 0.99), "pnp-fista")) == [False]


class Counting:
    """A map that counts how often it is called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.calls += 1
        return 0.5 + 0.5 * (x - 0.5)


def test_what_is_proven_is_not_called_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    counted, network = 0, load_denoiser("euler_grey").double()
    plain = network.forward

    def forward(x: Tensor, sigma: float) -> Tensor:
        nonlocal counted
        counted += 1
        return plain(x, sigma)

    monkeypatch.setattr(network, "forward", forward)
    solution = ran(network, "pnp-hqs", iterations=30)
    assert counted == solution.iterations == 30
    assert examined(solution) == []


@pytest.mark.parametrize("iterations", [5, 30, 200])
def test_a_declared_one_costs_what_is_said(iterations: int) -> None:
    counting = Counting()
    solution = ran(declared(counting, 0.75), "pnp-hqs", iterations=iterations)
    extra = counting.calls - solution.iterations
    # Derivatives count as calls, and are none of the function.
    assert 0 < extra <= BEGINNING + ENDING + SHARE * iterations


def test_nothing_is_tried_where_nothing_is_declared() -> None:
    counting = Counting()
    solution = ran(declared(counting, None), "pnp-hqs", iterations=10)
    assert counting.calls == 10
    assert not solution.certificate.proven


def test_pictures_and_residuals_do_not_depend_on_the_challenge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    map_ = declared(expanding(0.0, direction(*SIZE)), 0.99)
    searched_for = ran(map_, "pnp-drs", "anderson")
    monkeypatch.setattr("pnp_recon.solvers.pnp.base.PnP.examination", lambda self: None)
    quiet = ran(map_, "pnp-drs", "anderson")
    assert torch.equal(searched_for.image, quiet.image)
    assert searched_for.history.residuals == quiet.history.residuals
    assert (examined(searched_for), examined(quiet)) == ([True], [])


def test_an_interrupted_run_is_not_held_up() -> None:
    counting = Counting()

    class Stop(Counting):
        def __call__(self, x: Tensor) -> Tensor:
            counting(x)
            if counting.calls == 4:
                raise KeyboardInterrupt
            return 0.5 * x

    ran(declared(Stop(), 0.75), "pnp-hqs")
    assert counting.calls == 4


def test_a_true_declaration_about_a_network_passes() -> None:
    told = wrap(lambda x, sigma: TINY(x, sigma), "told", TINY.guarantee)
    assert examined(ran(told, "pnp-hqs")) == [True]
    assert examined(ran(TINY, "pnp-hqs")) == []  # it is proven
