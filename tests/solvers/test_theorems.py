"""Theorems say what they are about, what they rest on and which laws follow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from laws.adversary.judge import tiny_energy
from laws.solvers import SIZE, TINY, blur, declared, lossy_kernel, make, measurements, random_kernel
from operators import Convolution, RayTransform, parallel_beam
from pnp_recon import guarantees, load_denoiser, reconstruct
from pnp_recon.errors import CertificateError, InputError
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.proximal import L1, ElasticNet, TotalVariation
from pnp_recon.solvers import (
    ACCELERATIONS,
    SOLVERS,
    AveragedMap,
    Basis,
    Certificate,
    Contraction,
    Observation,
    Premise,
    Stopping,
)
from pnp_recon.solvers.core.laws import averaged_laws
from pnp_recon.solvers.core.premises import transposed
from pnp_recon.solvers.core.theorem import map_theorem, unproven

FEW = Stopping(tol=1e-300, max_iter=4)
# Kind of theorem of each solver, with a prior that suits it.
KINDS = {
    "pnp-pgd": "averaged map",
    "pnp-hqs": "averaged map",
    "pnp-drs": "averaged map",
    "red": "averaged map",
    "pnp-fista": "averaged map with summable deviations",
    "dpir": "none",
    "descent": "critical point",
    "joint-descent": "critical point",
    "gradient-descent": "averaged map",
    "proximal-gradient": "averaged map",
    "ista": "averaged map",
    "fista": "accelerated descent",
    "hqs": "averaged map",
    "drs": "averaged map",
    "admm": "averaged map",
    "pdhg": "saddle point",
    "landweber": "averaged map",
    "sirt": "averaged map",
    "cgls": "Krylov",
}


def certificate(name: str, prior: object = None, **settings: object) -> Certificate:
    A = blur(lossy_kernel())
    kind = SOLVERS[name].prior_kinds[0]
    usual = {"denoiser": TINY, "functional": L1(0.01), "none": "auto", "energy": tiny_energy()}[
        kind
    ]
    if prior is None and name == "gradient-descent":
        usual = "auto"
    chosen = usual if prior is None else prior
    level = {"denoiser_level": 0.1} if chosen is TINY else {}
    if name == "gradient-descent":
        from pnp_recon.proximal import Ridge

        chosen = Ridge(0.0)
    y = measurements(A)
    found = reconstruct(
        y[:1] if name == "joint-descent" else y,  # it takes a single picture
        A,
        chosen,  # type: ignore[arg-type]
        solver=name,
        acceleration="none",
        noise_level=0.02,
        stopping=FEW,
        **{**level, **settings},  # type: ignore[arg-type]
    )
    return found.certificate


def test_every_solver_names_a_theorem() -> None:
    assert set(KINDS) == set(SOLVERS), "add the kind of the new solver's theorem"


def test_what_the_catalogue_says_of_a_theorem_is_what_there_is() -> None:
    for name, entry in SOLVERS.items():
        assert entry.proven == (KINDS[name] != "none"), name


@pytest.mark.parametrize("name", [name for name, entry in SOLVERS.items() if entry.proven])
def test_a_theorem_says_what_it_rests_on(name: str) -> None:
    found = certificate(name)
    theorem = found.theorem
    assert found.holds, found.lines()
    assert theorem.kind == KINDS[name]
    assert found.verdict == f"certified: {theorem.statement}"
    assert theorem.premises
    assert all(premise.words and isinstance(premise.basis, Basis) for premise in theorem.premises)
    # Whatever is said to be checked on the run was: a law was observed.
    checked = any(premise.basis is Basis.CHECKED for premise in theorem.premises)
    assert checked == bool(found.observed)
    assert all(math.isfinite(value) for value in theorem.numbers().values())


def test_a_strongly_convex_term_makes_a_contraction() -> None:
    plain, strong = certificate("hqs", L1(0.05)), certificate("hqs", ElasticNet(0.05, 0.5))
    assert type(plain.theorem) is AveragedMap
    assert type(strong.theorem) is Contraction
    assert strong.theorem.numbers()["lipschitz"] < 1
    assert strong.theorem.laws().rate_words == "linear"
    assert plain.theorem.laws().rate_words == "O(1/√k)"


def test_the_laws_are_those_of_the_constants() -> None:
    held = guarantees.averaged(0.7, "test")
    laws, expected = map_theorem("T converges", held, ()).laws(), averaged_laws(0.7)
    assert laws.rate is not None
    assert expected.rate is not None
    assert [laws.rate(k) for k in range(9)] == [expected.rate(k) for k in range(9)]
    contracting = map_theorem("T converges", guarantees.lipschitz(0.5, "test"), ()).laws()
    assert contracting.rate is not None
    assert contracting.rate(30) < 1e-8 < averaged_laws(0.75).rate(30)  # type: ignore[misc]


def test_what_has_no_theorem_says_why() -> None:
    none = Certificate(unproven("nobody has proven it"))
    assert not none.proven
    assert none.verdict == "no guarantee: nobody has proven it"
    only = Certificate(AveragedMap("T converges", guarantees.averaged(1.0, "test")))
    assert not only.proven
    assert only.verdict == "no guarantee: the iterated map is only 1-Lipschitz (test)"


def test_a_broken_law_contradicts_whatever_theorem() -> None:
    theorem = AveragedMap("T converges", guarantees.averaged(0.5, "test"))
    kept = Certificate(theorem, (Observation("a law", 0.9, 1.0),))
    broken = Certificate(theorem, (Observation("a law", 1.1, 1.0),))
    assert kept.holds
    assert broken.contradicted
    assert not broken.holds
    assert "CERTIFICATE FAILED: a law" in broken.verdict


def test_who_says_that_a_denoiser_is_averaged() -> None:
    declaring = certificate("pnp-hqs", declared(lambda x: x, 0.5)).theorem.premises
    assert Basis.DECLARED in {premise.basis for premise in declaring}
    assert Premise("x").basis is Basis.PROVEN


@pytest.mark.parametrize(
    ("solver", "acceleration", "covered"),
    [
        ("red", "none", True),
        ("pnp-drs", "none", True),
        ("pnp-hqs", "halpern", True),
        ("pnp-hqs", "none", False),
        ("pnp-pgd", "none", False),
    ],
)
def test_a_required_certificate_is_asked_of_the_theorem(
    solver: str, acceleration: str, covered: bool
) -> None:
    # The denoiser is only 1-Lipschitz: enough for some solvers, not for all.
    A = blur(lossy_kernel())
    y, nonexpansive = measurements(A), declared(lambda x: x, 1.0)

    def run() -> Certificate:
        return reconstruct(
            y,
            A,
            nonexpansive,
            solver=solver,
            acceleration=acceleration,
            noise_level=0.02,
            stopping=FEW,
            require_certificate=True,
        ).certificate

    if covered:
        assert run().holds
    else:
        with pytest.raises(CertificateError, match="certificate was required, but"):
            run()


def test_a_required_certificate_that_the_run_contradicts() -> None:
    A = blur(random_kernel(0))
    false = declared(lambda x: 1.5 * (x - 0.5) + 0.5, 0.5)
    with pytest.raises(CertificateError, match="CERTIFICATE FAILED"):
        reconstruct(
            measurements(A),
            A,
            false,
            solver="pnp-hqs",
            acceleration="none",
            gamma=0.05,
            noise_level=0.02,
            stopping=Stopping(tol=1e-300, max_iter=60),
            require_certificate=True,
        )


@pytest.mark.parametrize("label", ACCELERATIONS)
def test_accelerations_keep_the_premises(label: str) -> None:
    A = blur(lossy_kernel())
    held = reconstruct(
        measurements(A),
        A,
        TINY,
        solver="pnp-hqs",
        acceleration=label,
        denoiser_level=0.1,
        noise_level=0.02,
        stopping=FEW,
    ).certificate
    plain = certificate("pnp-hqs").theorem
    assert held.holds, held.lines()
    assert held.theorem.premises == plain.premises
    assert plain.statement in held.theorem.statement


def test_a_loop_inside_is_said() -> None:
    assert not certificate("fista", TotalVariation(0.02)).proven


@pytest.mark.parametrize(
    "spoil",
    [
        lambda y: {"y": y, "prior": declared(lambda x: x * math.nan, 0.5)},
        lambda y: {"y": y, "prior": declared(lambda x: x / 0, 0.5)},
    ],
)
def test_a_run_in_which_nothing_was_checked_is_no_certificate(
    spoil: Callable[[Tensor], dict[str, object]],
) -> None:
    A = blur(random_kernel(0))
    given = {"prior": TINY, **spoil(measurements(A))}
    settings = {"noise_level": 0.02, "stopping": FEW, "acceleration": "none"}
    with pytest.raises(CertificateError, match="non-finite"):
        reconstruct(A=A, **given, **settings, require_certificate=True)  # type: ignore[arg-type]
    sound = {**given, "prior": TINY}
    assert reconstruct(A=A, **sound, **settings, require_certificate=True).certificate.holds  # type: ignore[arg-type]


@pytest.mark.parametrize("scaling", [0.0, -1.0, math.nan, math.inf])
def test_a_scaling_is_a_positive_number(scaling: float) -> None:
    with pytest.raises(InputError, match="denoiser_scaling must be a finite number above 0"):
        certificate("pnp-hqs", denoiser_scaling=scaling)
    assert certificate("pnp-hqs", denoiser_scaling=1.1).holds


def test_refusals_name_solvers_that_take_the_prior() -> None:
    with pytest.raises(InputError) as raised:
        certificate("pdhg", TotalVariation(0.02), step=0.5)
    named = str(raised.value)
    assert "step belongs to gradient-descent, proximal-gradient, ista, fista; pdhg takes" in named


def test_no_picture_is_refused() -> None:
    A = blur(random_kernel(0))
    with pytest.raises(InputError, match="holds no picture"):
        reconstruct(measurements(A)[:0], A, TINY, noise_level=0.02)


def test_a_state_moved_from_outside_shows_its_own_picture() -> None:
    A = blur(random_kernel(0))
    for label in ACCELERATIONS:
        solver = ACCELERATIONS[label].load()(make("pnp-hqs", A, measurements(A), TINY))
        state = solver.step(solver.init(), 0).state
        moved = solver.at(state, 0.5 * state.z)
        torch.testing.assert_close(solver.image(moved), (0.5 * state.z).clamp(0, 1))


class Mine(Convolution):
    """A user's operator: whatever its parent does, its maps are the user's."""


def test_who_says_that_the_adjoint_is_the_transpose() -> None:
    own = Convolution(random_kernel(0), SIZE)
    scan = RayTransform(parallel_beam(6, 12), (1, 12, 12))
    assert transposed(own).basis is Basis.PROVEN
    assert transposed(2.0 * own).basis is Basis.PROVEN
    assert transposed(scan).basis is Basis.PROVEN  # a stored matrix, and its transpose
    flying = RayTransform(parallel_beam(6, 12), (1, 12, 12), storage="on_the_fly")
    assert transposed(flying).basis is Basis.CHECKED
    mine = Mine(random_kernel(0), SIZE)
    assert transposed(mine).basis is Basis.DECLARED
    assert transposed(own @ mine).basis is Basis.DECLARED
    assert "'" + mine.name + "'" in transposed(mine).words


@dataclass(frozen=True)
class Sparse(L1):
    """A user's functional, whatever its parent is."""

    name = "l1"


def test_who_says_that_a_functional_is_convex_and_a_card_true() -> None:
    def bases(name: str, prior: object) -> list[Basis]:
        return [premise.basis for premise in certificate(name, prior).theorem.premises]

    for name in ("proximal-gradient", "drs", "pdhg"):
        assert Basis.DECLARED in bases(name, Sparse(0.01))
        assert Basis.DECLARED not in bases(name, L1(0.01))
    # A card beside a function of one's own proves nothing of it.
    card = {"certificate": {"averagedness": 0.5}}
    forged = Denoiser(lambda x, sigma: x, "forged", guarantees.firm("said"), card=card)
    assert Basis.DECLARED in bases("pnp-hqs", forged)
    assert Basis.DECLARED not in bases("pnp-hqs", load_denoiser("euler_grey", dtype=torch.float64))
