"""`reconstruct(strength="auto")`: what a probe measures, and that the run is that of its number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from laws.networks import picture
from laws.solvers import TINY, random_kernel
from operators import Convolution, Inpainting
from pnp_recon import reconstruct
from pnp_recon.errors import InputError
from pnp_recon.fidelity import KullbackLeibler, LeastSquares, WeightedLeastSquares
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import Box, ElasticNet, Ridge, TotalVariation
from pnp_recon.solvers import SOLVERS, Look, Solution, Solver, Stopping
from pnp_recon.solvers.choice import configured
from pnp_recon.solvers.core.strength import Rule, Strength, Trial
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.strength import probe as probing
from pnp_recon.strength.probe import Probe

SHAPE, SIGMA = (1, 32, 36), 0.05
FEW = Stopping(tol=1e-4, max_iter=60)


def problem(seed: int = 0, level: float = SIGMA, batch: int = 1, **more: object) -> Problem:
    A = Convolution(random_kernel(0), SHAPE, "circular")
    generator = torch.Generator().manual_seed(seed)
    clean = A.A(picture(batch, *SHAPE, seed=seed))
    noise = torch.randn(clean.shape, generator=generator, dtype=torch.float64).to(clean)
    return Problem(A, clean + level * noise, level, **more)  # type: ignore[arg-type]


def run(given: Problem, prior: object = "tv", **settings: object) -> Solution:
    return reconstruct(
        given.y,
        given.A,
        prior,  # type: ignore[arg-type]
        noise_level=given.noise_level,
        fidelity=given.fidelity,
        **{"stopping": FEW, **settings},  # type: ignore[arg-type]
    )


def ridge(given: Problem, strength: float) -> Solver:
    """A prior whose df is known: A x̂ = H y, H = |a|²/(|a|² + weight)."""
    return configured(Ridge(0.05), SOLVERS["gradient-descent"], given, Knobs(strength=strength))


def ridge_df(given: Problem, weight: float) -> float:
    A = given.A
    delta = torch.zeros(1, *SHAPE, dtype=given.y.dtype)
    delta[..., 0, 0] = 1
    power = torch.fft.fft2(A.A_adjoint(A.A(delta))).real
    return float((power / (power + weight)).mean())


def doubled(given: Problem) -> Problem:
    return Problem(given.A, given.y.double(), given.noise_level)


@pytest.mark.parametrize("strength", [0.25, 1.0, 8.0])
def test_df_is_the_trace_of_a_linear_filter(
    strength: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "SETTLED", 0.0)  # to the end: plain gradient steps are slow
    given = doubled(problem())
    found = Probe(given, ridge).trial(strength, 400)
    # A probe of n signs is off by about (2 mean(H²)/n)^½.
    assert found.df == pytest.approx(ridge_df(given, 0.05 * strength), abs=0.04)


def test_a_probe_of_another_size_gives_another_df(monkeypatch: pytest.MonkeyPatch) -> None:
    given = doubled(problem())
    monkeypatch.setattr(probing, "SETTLED", 0.0)
    probe = Probe(given, ridge)
    probe.epsilon *= 2  # as if y had been moved twice as far
    assert probe.trial(1.0, 400).df < ridge_df(given, 0.05) - 0.2


def test_missing_pixels_do_not_count() -> None:
    known = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0)) > 0.5
    A = Inpainting(known, SHAPE)
    given = Problem(A, A.A(picture(1, *SHAPE, seed=0)), SIGMA)
    probe = Probe(given, lambda p, s: configured(Ridge(1.0), None, p, Knobs(strength=s)))
    assert probe.count == int(known.sum())
    # x̂ = y/(1 + s) where it is known, exactly.
    assert probe.trial(1.0, 200).df == pytest.approx(0.5, abs=1e-2)


def test_weights_put_the_residual_in_units_of_the_noise() -> None:
    given = problem()
    A, x = given.A, given.first_guess()
    weights = torch.linspace(0.5, 3, SHAPE[1]).view(1, 1, -1, 1).expand_as(given.y) / SIGMA**2
    weighted = WeightedLeastSquares(A, given.y, weights)
    assert torch.allclose(weighted.misfit(A.A(x)), weights**0.5 * (A.A(x) - given.y))
    assert torch.equal(LeastSquares(A, given.y).misfit(A.A(x)), A.A(x) - given.y)
    even = WeightedLeastSquares(A, given.y, torch.full_like(given.y, SIGMA**-2))
    probe = Probe(Problem(A, given.y, fidelity=even), ridge)
    found, plain = probe.trial(SIGMA**-2, 50), Probe(given, ridge).trial(1.0, 50)
    assert probe.noise == 1.0
    assert found.deviation == pytest.approx(plain.deviation / SIGMA, rel=1e-3)
    assert found.df == pytest.approx(plain.df, abs=1e-3)


@pytest.mark.parametrize("prior", ["tv", TINY])
def test_the_run_is_that_of_the_number_bit_for_bit(prior: object) -> None:
    given = problem()
    auto = run(given, prior, strength="auto")
    assert auto.strength is not None
    assert auto.strength.trials
    again = run(given, prior, strength=auto.strength.value)
    assert torch.equal(auto.image, again.image)
    assert auto.history.residuals == again.history.residuals
    assert again.strength is not None
    assert again.strength.rule is Rule.GIVEN
    other = run(given, prior, strength=2 * auto.strength.value)
    assert not torch.equal(auto.image, other.image)


def test_the_choice_is_the_same_twice() -> None:
    one, other = (run(problem(), strength="auto").strength for _ in range(2))
    assert one is not None
    assert other is not None
    assert (one.value, one.trials) == (other.value, other.trials)


def test_one_strength_for_all_pictures_of_a_batch() -> None:
    auto = run(problem(batch=2), strength="auto")
    assert auto.image.shape[0] == 2
    assert auto.strength is not None
    assert auto.strength.rule is Rule.CROSS_VALIDATION


def test_what_the_default_means() -> None:
    given, weight = problem(), TotalVariation(0.01, box=(0.0, 1.0))

    def rule_of(prior: object, **settings: object) -> Rule:
        found = run(given, prior, **settings).strength
        assert found is not None
        return found.rule

    assert rule_of("tv") is Rule.CROSS_VALIDATION
    assert rule_of(TINY) in (Rule.CROSS_VALIDATION, Rule.DISCREPANCY)
    assert rule_of(weight) is Rule.GIVEN  # it has its weight
    assert rule_of(weight, strength="auto") is Rule.CROSS_VALIDATION
    twice = run(given, weight, strength=2.0)
    assert torch.equal(twice.image, run(given, weight.scaled(2.0)).image)
    assert not torch.equal(twice.image, run(given, weight).image)


@pytest.mark.parametrize(
    ("prior", "settings"),
    [
        (TINY, {"gamma": 3.0}),
        (TINY, {"solver": "pnp-pgd", "denoiser_level": 0.1}),
        (Box(0.0, 1.0), {}),
        ("auto", {"solver": "landweber"}),
    ],
)
def test_where_nothing_depends_on_it_it_is_one(prior: object, settings: dict[str, object]) -> None:
    found = run(problem(), prior, strength="auto", **settings).strength
    assert found is not None
    assert (found.value, found.rule, found.trials) == (1.0, Rule.FIXED, ())
    assert "nothing in this run depends on it" in found.words


@pytest.mark.parametrize("settings", [{"gamma": 3.0}, {"prior": "auto", "solver": "landweber"}])
def test_a_given_number_that_moves_nothing_is_said_to(settings: dict[str, Any]) -> None:
    asked = {"prior": TINY, **settings}
    found = run(problem(), asked.pop("prior"), strength=3.0, **asked).strength
    assert found is not None
    assert (found.value, found.rule) == (1.0, Rule.FIXED)
    assert "the given 3 is not heeded" in found.words
    heeded = run(problem(), TINY, strength=3.0).strength
    assert heeded is not None
    assert (heeded.value, heeded.rule) == (3.0, Rule.GIVEN)


@pytest.mark.parametrize(
    ("prior", "value"), [("energy_grey", 0.5), ("energy_grey", 1.5), ("tv", 0.5)]
)
def test_an_energy_that_is_weighed_too_little_is_told(prior: str, value: float) -> None:
    found = run(problem(), prior, strength=value, stopping=Stopping(max_iter=1)).strength
    assert found is not None
    assert (found.value, found.rule) == (value, Rule.GIVEN)
    weak = prior != "tv" and value < 1
    assert ("stripes" in found.words) is weak
    assert found.words.startswith(f"{value}, as given")


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("prior", ["tv", TINY])
def test_black_data_leave_the_fixed_rule(prior: object, noise: float) -> None:
    """Nothing can be told from them: residuals vanish, and without noise there is no probe."""
    given = problem()
    black = replace(given, y=torch.zeros_like(given.y), noise_level=noise)
    found = run(black, prior, strength="auto").strength
    assert found is not None
    if not noise:
        assert (found.value, found.rule) == (1.0, Rule.FIXED)
        assert "the data are zero" in found.reason


def test_weights_of_a_functional_are_scaled() -> None:
    assert ElasticNet(0.1, 0.2).scaled(3) == ElasticNet(0.1 * 3, 0.2 * 3)
    assert Box(0, 1).scaled(3) == Box(0, 1)
    plain = TotalVariation(0.1)
    assert plain.scaled(1) is plain


def test_counts_of_zero_are_moved_upwards(monkeypatch: pytest.MonkeyPatch) -> None:
    A = Convolution(random_kernel(0), SHAPE, "circular")
    y = torch.poisson(torch.full((1, *SHAPE), 1.5), generator=torch.Generator().manual_seed(0))

    def found() -> Strength:
        counts = Problem(A, y, fidelity=KullbackLeibler(A, y, 1.0))
        strength = run(counts, TotalVariation(0.1), strength="auto").strength
        assert strength is not None
        return strength

    assert found().trials
    # Data that leave the domain leave the fixed rule.
    monkeypatch.setattr(KullbackLeibler, "movable", lambda self, reach: self.y)
    assert found().rule is Rule.FIXED
    assert "cannot be moved" in found().reason


def test_a_time_limit_holds_for_the_search_as_well() -> None:
    trials: list[Trial] = []
    short = Stopping(tol=1e-12, max_iter=10_000, time_limit=1e-6)
    auto = run(problem(), strength="auto", stopping=short, on_trial=trials.append)
    assert auto.strength is not None
    assert auto.strength.rule is Rule.FIXED
    assert "no time" in auto.strength.reason
    assert len(trials) == 1
    assert trials[0].iterations == 1


def test_the_iteration_limit_holds_for_each_trial() -> None:
    trials: list[Trial] = []
    run(problem(), strength="auto", stopping=Stopping(max_iter=2), on_trial=trials.append)
    assert {trial.iterations for trial in trials} == {2}


def test_ctrl_c_during_the_search_ends_it() -> None:
    def stop(trial: Trial) -> None:
        raise KeyboardInterrupt

    looks: list[Look] = []
    with pytest.raises(KeyboardInterrupt):
        run(problem(), strength="auto", on_trial=stop, callback=looks.append)
    assert not looks


def test_words_for_a_strength_are_refused() -> None:
    with pytest.raises(InputError, match="or 'auto'"):
        run(problem(), strength="much")


def test_white_noise_passes_and_coloured_noise_does_not() -> None:
    shape, level = (1, 96, 96), 0.1
    A = Convolution(random_kernel(0), shape, "circular")
    ramp = torch.linspace(0.2, 0.8, 96).expand(1, *shape)
    white = torch.randn(1, *shape, generator=torch.Generator().manual_seed(1))

    def chosen(noise: Tensor) -> Rule:
        y = A.A(ramp) + level * noise / noise.std()
        found = reconstruct(y, A, "tv", noise_level=level, stopping=FEW).strength
        assert found is not None
        return found.rule

    coloured = torch.nn.functional.avg_pool2d(
        torch.nn.functional.pad(white, (2, 2, 2, 2), mode="circular"), 5, stride=1
    )
    assert chosen(white) is Rule.CROSS_VALIDATION
    assert chosen(coloured) is Rule.DISCREPANCY


def test_what_diverges_is_no_place_to_start_from(monkeypatch: pytest.MonkeyPatch) -> None:
    given = problem()
    probe = Probe(given, ridge)
    probe.trial(1.0, 5)
    kept = list(probe.ends)
    monkeypatch.setattr(
        probing.Probe,
        "_measured",
        lambda self, strength, image, k: Trial(strength, 0.5, float("nan"), 0.0, k),
    )
    probe.trial(2.0, 5)
    assert kept
    assert probe.ends == kept
