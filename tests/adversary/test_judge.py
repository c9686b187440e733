"""The opponent's rules can fail, and every registered entry stands before them."""

from __future__ import annotations

from unittest import mock

import pytest

from laws.adversary.judge import (
    ALONE,
    RUNNERS,
    WITH_DENOISER,
    Ending,
    Rig,
    Route,
    Runner,
    ending,
    false_claim,
    falsely_certified,
)
from laws.adversary.operators import back, own
from laws.adversary.parts import replaced
from laws.adversary.runs import image_written
from laws.adversary.weights import later
from laws.proximal import CASES
from operators.checks import Probe
from pnp_recon.proximal.catalogue import REGULARISERS
from pnp_recon.solvers import SOLVERS
from pnp_recon.solvers.catalogue import ACCELERATIONS, solvers_for

# Of the looks of a run as short as these: a small change breaks no law of it then.
LATE = 2
HQS = Runner("pnp-hqs")
PGD = Runner("pnp-pgd")


def test_every_registered_solver_and_acceleration_runs() -> None:
    assert {item.solver for item in ALONE} == set(SOLVERS)
    assert {item.acceleration for item in RUNNERS} == {"none", *ACCELERATIONS}
    assert {item.solver for item in WITH_DENOISER} == set(solvers_for("denoiser"))


def test_an_error_in_nobody_s_words_is_no_refusal() -> None:
    def broken(rig: Rig) -> None:
        raise RuntimeError("expected scalar type Double but found Float")

    with pytest.raises(RuntimeError):
        falsely_certified(HQS.rig, Route("raw", broken))
    assert false_claim(Ending()) != ""


def test_a_harmless_route_is_a_false_claim() -> None:
    """What is certified after a route counts against it, unless nothing was changed at all."""
    assert falsely_certified(HQS.rig, Route("nothing", lambda rig: None)) == ""
    weaker = Route("another coupling", lambda rig: rig.settings.update(gamma=4.0))
    assert falsely_certified(HQS.rig, weaker).startswith("certified: ")


def test_another_condition_is_none() -> None:
    def spoil(rig: Rig) -> None:
        own(rig, nonnegative=True)

    assert falsely_certified(PGD.rig, Route("own", spoil, "transpose")) == ""
    assert falsely_certified(PGD.rig, Route("own", spoil, "fidelity")) != ""


# ---- what the package would say if it were blind ------------------------------------------------


def test_a_loop_that_compares_nothing_is_caught() -> None:
    def spoil(rig: Rig) -> None:
        later(rig, lambda: rig.prior.function.flow_blocks()[0].step_logit.data.sub_(1e-4), LATE)

    route = Route("weaker", spoil)
    assert falsely_certified(HQS.rig, route) == ""
    with mock.patch("pnp_recon.solvers.core.loop.fingerprint", return_value=""):
        assert falsely_certified(HQS.rig, route) != ""


def test_a_proof_that_is_kept_for_other_weights_is_caught() -> None:
    """Weights that contract still, but less than was proven of those before."""

    def weaker(rig: Rig) -> None:
        assert rig.prior.guarantee.holds
        for block in rig.prior.function.flow_blocks():
            block.step_logit.data.sub_(0.1)

    kept = HQS.rig()
    before = kept.prior.guarantee
    weaker(kept)
    assert kept.prior.guarantee != before
    with mock.patch("pnp_recon.priors.denoiser.fingerprint", return_value=""):
        blind = HQS.rig()
        blind.prior._known = ("", before)
        weaker(blind)
        assert blind.prior.guarantee == before


def test_a_part_that_nobody_looks_at_is_caught() -> None:
    route = Route("a part of forward", replaced(lambda rig: rig.prior.function, "_centred"))
    assert falsely_certified(HQS.rig, route) == ""
    with (
        mock.patch("pnp_recon.priors.proof.replaced", return_value=[]),
        mock.patch("pnp_recon.priors.fingerprints.replaced", return_value=[]),
    ):
        assert any(falsely_certified(runner.rig, route) for runner in WITH_DENOISER)


def test_an_operator_that_nobody_probes_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    route = Route("transpose", lambda rig: back(rig, lambda x: 0.9 * x))
    assert falsely_certified(HQS.rig, route) == ""
    nothing = Probe("unprobed", 1.0)
    monkeypatch.setattr("pnp_recon.solvers.core.premises.probe", lambda A, norm: nothing)
    assert falsely_certified(PGD.rig, route).startswith("certified if")


def test_a_picture_that_a_callback_shares_with_the_run_is_caught() -> None:
    """FISTA's picture is its state: written into, the run is another, and breaks its law."""
    runner = Runner("proximal-gradient")
    found = ending(runner.rig(), image_written).solution
    assert found is not None
    assert found.certificate.holds
    with mock.patch("pnp_recon.solvers.core.loop._Run.picture", lambda run, s: run.solver.image(s)):
        found = ending(runner.rig(), image_written).solution
    assert found is not None
    assert not found.certificate.holds


# ---- registered functionals ---------------------------------------------------------------------


@pytest.mark.parametrize("name", REGULARISERS)
def test_a_functional_that_somebody_derives_is_a_condition(name: str) -> None:
    """Of every registered functional; as it is, it is proven."""
    kind = REGULARISERS[name].load()
    cases = [case for case in CASES if type(case.build()) is kind]
    assert cases, f"{name} has no case in laws.proximal"
    prior = cases[0].build()
    derived = object.__new__(type("Derived", (kind,), {"__module__": __name__}))
    for attribute, value in vars(prior).items():
        object.__setattr__(derived, attribute, value)
    for known, conditions in ((prior, False), (derived, True)):
        rig = Runner("drs").rig()
        rig.prior = known
        solution = ending(rig).solution
        assert solution is not None
        assert solution.certificate.holds, solution.certificate.lines()
        assert bool(solution.certificate.conditions) == conditions
