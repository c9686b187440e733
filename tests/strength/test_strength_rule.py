"""Which strength trials speak for: on numbers alone, and on Wiener filters known in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from pnp_recon.solvers.core.strength import Rule, Trial, Weighing
from pnp_recon.strength import rule

# Without a pull to strength 1, which would help where that is the oracle.
PLAIN = Weighing(pull=0.0)
# A circular Wiener problem: spectra of picture, blur and noise on SIZE frequencies.
SIZE, NOISE = 4096, 0.05
FREQUENCIES = torch.fft.fftfreq(SIZE, dtype=torch.float64).abs()
BLUR = (-((FREQUENCIES / 0.15) ** 2)).exp()
PICTURE = 1 / (0.02 + FREQUENCIES) ** 2 / 100  # power of the prior at every frequency


def wiener(strength: float) -> torch.Tensor:
    """What the filter keeps of the data, A x̂ = H y: H = |a|²/(|a|² + s σ²/power)."""
    power = BLUR.square()
    return power / (power + strength * NOISE**2 / PICTURE)


def measured(
    noise: float = NOISE, wrong: float = 1.0, colour: bool = False
) -> Callable[..., Trial]:
    """Trials whose residual is drawn once and whose df is exact, or false by a factor."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(2, SIZE, generator=generator, dtype=torch.float64)
    # Noise of the same energy under a low pass.
    shape = (-((FREQUENCIES / 0.1) ** 2)).exp() if colour else torch.ones_like(FREQUENCIES)
    shape = shape * (SIZE / shape.square().sum()).sqrt()
    y = BLUR * PICTURE.sqrt() * draws[0] + NOISE * shape * draws[1]

    def trial(strength: float) -> Trial:
        kept = wiener(strength)
        residual = (1 - kept) * y
        power = residual.square()
        correlation = float((power * (2 * math.pi * FREQUENCIES).cos()).sum() / power.sum())
        df = wrong * float(kept.mean())
        return Trial(strength, df, noise / NOISE * float(power.mean().sqrt()), correlation, 1)

    return trial


def risk(strength: float) -> float:
    """The expected square of A x̂ − A x, per entry: what the best strength, 1, makes least."""
    kept = wiener(strength)
    return float(((1 - kept).square() * BLUR.square() * PICTURE + kept.square() * NOISE**2).mean())


def chosen(trial: Callable[..., Trial], noise: float = NOISE) -> tuple[float, Rule]:
    trials = rule.explore(trial, noise, lambda: False, PLAIN)
    found = rule.settle(trials, noise, PLAIN)
    return found.value, found.rule


def test_the_choice_is_near_the_oracle() -> None:
    value, by = chosen(measured())
    assert by is Rule.CROSS_VALIDATION
    assert risk(1.0) <= risk(value) < 1.02 * risk(1.0)


def test_a_wrong_df_misses_it() -> None:
    value, _ = chosen(measured(wrong=1.5), 0.0)
    assert risk(value) > 1.1 * risk(1.0)


def test_the_unit_of_the_data_does_not_matter() -> None:
    assert chosen(measured(), NOISE) == chosen(measured(noise=1000.0), 1000.0)


def test_coloured_noise_is_seen() -> None:
    value, by = chosen(measured(colour=True))
    assert by is Rule.DISCREPANCY
    assert value > 1


def test_white_noise_is_taken_for_white() -> None:
    assert chosen(measured())[1] is Rule.CROSS_VALIDATION


def curve(gcv: Callable[[float], float], df: float = 0.0) -> Callable[[float], Trial]:
    """Trials with this GCV of the octaves."""
    return lambda s: Trial(s, df, math.sqrt(gcv(math.log2(s))) * (1 - df), 0.0, 1)


@pytest.mark.parametrize(
    ("gcv", "words"),
    [
        (lambda t: 1.0, "flat"),
        (lambda t: math.exp(t), "at the weak end"),
        (lambda t: math.nan, "nothing to compare"),
    ],
)
def test_data_that_do_not_tell_leave_the_fixed_rule(
    gcv: Callable[[float], float],
    words: str,
) -> None:
    trials = rule.explore(curve(gcv), 0.0, lambda: False, PLAIN)
    found = rule.settle(trials, 0.0, PLAIN)
    assert (found.value, found.rule) == (1.0, Rule.FIXED)
    assert words in found.reason
    assert found.words == f"1 from the fixed rule, as {len(trials)} trials decide nothing: " + (
        found.reason
    )


def test_a_picture_smoother_than_all_trials_takes_the_strongest() -> None:
    trials = rule.explore(curve(lambda t: 1 + 0.1 * math.exp(-t / 2)), 1.02, lambda: False, PLAIN)
    found = rule.settle(trials, 1.02, PLAIN)
    assert found.rule is Rule.CROSS_VALIDATION
    assert found.value == 2**rule.REACH


def test_a_residual_above_the_noise_takes_the_strongest_and_says_so() -> None:
    """As in a JPEG, whose noise level is taken for too low. Twin above: the weak end leaves 1."""
    trials = rule.explore(curve(lambda t: 1 + 20 * math.exp(-t)), 0.3, lambda: False)
    found = rule.settle(trials, 0.3)
    assert found.value == 2**rule.REACH
    assert "times the noise level that is known" in found.reason


def test_a_parabola_is_found_exactly() -> None:
    for bottom in (-2.1, -0.4, 0.3, 1.9, 3.2):
        trials = rule.explore(
            curve(lambda t, b=bottom: math.exp((t - b) ** 2)), 0.0, lambda: False, PLAIN
        )
        value = rule.settle(trials, 0.0, PLAIN).value
        assert math.log2(value) == pytest.approx(bottom, abs=0.01)
        assert len(trials) <= 6


def test_a_search_that_has_to_stop_leaves_the_fixed_rule() -> None:
    trials = rule.explore(measured(), NOISE, lambda: True)
    assert len(trials) == 1
    found = rule.settle(trials, NOISE)
    assert (found.value, found.rule) == (1.0, Rule.FIXED)
    assert "no time" in found.reason


def test_without_a_known_noise_the_strongest_prior_is_not_taken() -> None:
    def falls(t: float) -> float:
        return 1 + math.exp(-t)

    found = rule.settle(rule.explore(curve(falls), 0.0, lambda: False), 0.0)
    assert (found.value, found.rule) == (1.0, Rule.FIXED)
    known = rule.settle(rule.explore(curve(falls), 0.9, lambda: False), 0.9)
    assert known.value > 10


def test_a_flat_curve_leaves_an_energy_near_the_tuned_choice() -> None:
    """Half of its strength may cost decibels, where GCV differs by a percent."""

    def flat(t: float) -> float:
        return 1 + 0.01 * (t + 1.5) ** 2

    found = [
        rule.settle(rule.explore(curve(flat), 0.0, lambda: False, weighing), 0.0, weighing).value
        for weighing in (rule.weighing_of("energy"), PLAIN)
    ]
    assert found[0] > 0.7
    assert found[1] < 0.4


def test_a_strength_that_is_not_safe_is_not_taken_and_that_is_said() -> None:
    def falls(t: float) -> float:
        return 1 + (t + 3) ** 2

    weighing = rule.weighing_of("energy")
    found = rule.settle(rule.explore(curve(falls), 0.0, lambda: False, weighing), 0.0, weighing)
    assert found.value == weighing.least
    assert "can draw stripes" in found.words
    twin = rule.settle(rule.explore(curve(falls), 0.0, lambda: False, PLAIN), 0.0, PLAIN)
    assert twin.value < 0.2
    assert not twin.reason
