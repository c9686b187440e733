"""What a run will take: memory by one rule, time as a range, and then by its own iterations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from operators import Convolution
from pnp_recon.cli.run import effort, memory
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.live import Course, LiveLine, span_words
from pnp_recon.proximal import TotalVariation
from pnp_recon.solvers.core.strength import Trial

COMMANDS = Path(effort.__file__).parents[1]


def case(side: int = 24, channels: int = 1) -> Case:
    A = Convolution(torch.full((3, 3), 1 / 9), (channels, side, side))
    y = torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(0))
    return Case(y, A, 0.01, "given", y, lambda x: x, lambda *_: [])


def options(**changes: object) -> Any:
    usual = {"quiet": False, "as_json": False, "model": None, "asked_strength": 1.0}
    more = {"prior_kind": "functional", "solver": SimpleNamespace(value="auto")}
    wide = {"dtype": SimpleNamespace(value="float32")}
    return cast("Any", SimpleNamespace(**{**usual, **more, **wide, **changes}))


PRIOR = TotalVariation(0.02, box=(0.0, 1.0))


# ---- time ------------------------------------------------------------------------------------


# Megapixels, what was said of the crop alone before (1.35 times its share), and what was taken.
MEASURED = [(1.0, 10 / 1.35, 12.9), (12.0, 70 / 1.35, 298.0)]


@pytest.mark.parametrize(("megapixels", "proportional", "taken"), MEASURED)
def test_measured_runs_lie_in_the_range_of_their_crops(
    megapixels: float, proportional: float, taken: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = megapixels * 1e6 / 320**2
    span = effort.by_a_crop(proportional / share, share)
    assert span.low <= taken <= span.high
    # Twin: as if a pixel took as long in every picture.
    monkeypatch.setattr(effort, "GROWTH", 1.0)
    span = effort.by_a_crop(proportional / share, share)
    assert not span.low <= taken <= span.high


def test_a_crop_of_everything_takes_what_it_took() -> None:
    assert effort.by_a_crop(30.0, 1.0) == effort.Span(30.0, 30.0)


def test_a_step_is_timed_times_what_runs_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effort, "PIXELS", 100)
    monkeypatch.setattr(effort, "_seconds", lambda work: (work(), 0.5)[1])
    span = effort.by_a_piece(case(), PRIOR, options())
    assert span is not None
    usual = 0.5 * effort.ITERATIONS["functional"]
    assert (span.low, span.high) == (effort.RANGE[0] * usual, effort.RANGE[1] * usual)
    # Trials of a strength take their time, parts each their own.
    more = effort.by_a_piece(case(), PRIOR, options(asked_strength="auto"))
    assert more is not None
    assert more.low == pytest.approx(span.low + effort.RANGE[0] * 0.5 * effort.SEARCH["functional"])
    parts = effort.by_a_piece(replace(case(), parts=(case(), case())), PRIOR, options())
    assert parts is not None
    assert parts.low == 2 * span.low


@pytest.mark.parametrize(
    "changes", [{"quiet": True}, {"as_json": True}, {"model": "network"}, {"each": 0.01}]
)
def test_nothing_is_said_where_nobody_reads_it_or_it_is_soon_over(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    each = changes.pop("each", 0.5)
    monkeypatch.setattr(effort, "PIXELS", 100)
    monkeypatch.setattr(effort, "_seconds", lambda _: each)
    assert effort.by_a_piece(case(), PRIOR, options(**changes)) is None


def test_what_takes_longer_than_its_pieces_foretell_is_given_no_upper_end() -> None:
    span = effort.Span(20, 64)
    assert effort.time_lines(span) == ("time: 20 to 65 seconds (an estimate)",)
    assert effort.time_lines(span, slower="it settles late") == (
        "time: about 20 seconds or much longer: it settles late (an estimate)",
    )
    assert effort.time_lines(None, slower="it settles late") == ()


def test_ranges_in_words() -> None:
    assert span_words(20, 64) == "20 to 65 seconds"
    assert span_words(20, 200) == "20 seconds to 3 minutes"
    assert span_words(600, 4000) == "10 to 67 minutes"
    assert span_words(60, 61) == "about 60 seconds"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_left_is_what_the_iterations_took() -> None:
    clock = Clock()
    course = Course(20, clock)
    assert course.left is None  # nothing is known yet
    clock.now = 100.0
    course.look(5)
    assert course.left == 300.0
    assert course.told() == "time left: about 5 minutes, by 5 iterations (an estimate)"
    assert course.told() == ""  # once
    clock.now = 1000.0
    course.look(10)
    assert course.left == 1000.0  # and as they are now, not as they were
    course.look(20)
    assert course.left is None
    assert Course(None, clock).left is None


def test_trials_of_a_strength_are_no_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    live = LiveLine(1, enabled=False)
    live.begin(10)
    live.course = Course(10, clock)
    clock.now = 500.0
    monkeypatch.setattr(Course.__init__, "__defaults__", (clock,))
    live.tried(Trial(1.0, 0.1, 1.0, 0.0, 5))
    clock.now = 510.0
    live.update(1, 0.1, None)
    assert live.course.left == 90.0
    # Twin: the time of the trials is counted.
    untold = Course(10, clock)
    untold.begun = 0.0
    untold.look(1)
    assert untold.left == 9 * 510.0


# ---- memory ----------------------------------------------------------------------------------


def test_memory_by_one_rule() -> None:
    small, large = (memory.working_bytes(case(side), PRIOR, options()) for side in (24, 48))
    assert large == 4 * small == 48**2 * memory.TERM_BYTES
    assert memory.working_bytes(case(24, 3), PRIOR, options()) == 3 * small
    # Trials run on two pictures, a batch on as many as it has at a time.
    assert memory.working_bytes(case(), PRIOR, options(asked_strength="auto")) == 2 * small
    parts = replace(case(), parts=(case(),) * 3)
    assert memory.working_bytes(parts, PRIOR, options()) == small
    assert memory.working_bytes(replace(case(), operator_bytes=1e9), PRIOR, options()) == (
        small + 1e9
    )


def test_float64_takes_at_most_twice_as_much() -> None:
    wide = options(dtype=SimpleNamespace(value="float64"))
    single = memory.working_bytes(case(), PRIOR, options())
    assert memory.working_bytes(case(), PRIOR, wide) == 2 * single
    slices, twice = (memory.room((24, 24), 100, one) for one in (options(), wide))
    assert twice.each == 2 * slices.each


def test_what_the_process_holds_is_not_held_by_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    here = case()
    need = memory.working_bytes(here, PRIOR, options())
    monkeypatch.setattr(memory, "resident_bytes", lambda: 10 * int(need))
    monkeypatch.setattr(memory, "available_bytes", lambda _: 2 * int(need))
    away = replace(here, y=here.y.to("meta"))  # any device that is not the processor
    for one in (here, away):
        assert memory.memory_lines(one, PRIOR, options()) == ("", "")
    # Twin: what it takes itself does not fit.
    monkeypatch.setattr(memory, "available_bytes", lambda _: int(need) // 2)
    for one in (here, away):
        assert "are free" in memory.memory_lines(one, PRIOR, options())[1]


def test_the_rule_has_no_other() -> None:
    """The memory of a run is counted there alone."""
    counting = "resident_bytes"
    found = {p for p in COMMANDS.rglob("*.py") if counting in p.read_text(encoding="utf-8")}
    # The worker of the page looks at itself, to be replaced where it has grown.
    assert found - {COMMANDS / "serve" / "worker.py"} == {Path(memory.__file__)}
