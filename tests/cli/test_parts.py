"""Solutions of the parts of a batch, as one: what nothing was observed of is not vouched for."""

from __future__ import annotations

from dataclasses import replace

import torch

from laws.solvers import TINY, blur, make, measurements, random_kernel
from pnp_recon.cli.run.parts import join
from pnp_recon.solvers import Observation, Solution, Status, Stopping, iterate


def solution() -> Solution:
    A = blur(random_kernel(0))
    return iterate(make("pnp-hqs", A, measurements(A), TINY), Stopping(max_iter=4))


def test_parts_that_ran_are_vouched_for_together() -> None:
    found = join([solution(), solution()])
    assert found.certificate.holds
    assert found.certificate.observed
    assert len(found.image) == 2


def test_parts_that_were_not_begun_leave_nothing_observed() -> None:
    first = replace(solution(), status=Status.INTERRUPTED)
    found = join([first], [torch.zeros_like(first.image)])
    assert len(found.image) == 2
    assert not found.certificate.holds
    assert "not begun" in found.certificate.verdict
    assert found.status is Status.INTERRUPTED


def test_a_part_that_ended_at_once_leaves_nothing_observed() -> None:
    whole = solution()
    idle = replace(whole, certificate=replace(whole.certificate, observed=()))
    for parts in ([whole, idle], [idle, whole]):
        assert not join(parts).certificate.holds


def test_a_broken_law_stays_broken() -> None:
    whole = solution()
    wrong = Observation("a law", 2.0, 1.0)
    broken = replace(whole, certificate=replace(whole.certificate, observed=(wrong,)))
    idle = replace(whole, certificate=replace(whole.certificate, observed=()))
    for parts in ([whole, broken], [broken, idle], [idle, broken]):
        assert join(parts).certificate.contradicted
