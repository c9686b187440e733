"""However a run of `reconstruct` ends, the benchmark has a word for it, and knows if it counts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from pnp_recon.benchmark.rows import DIVERGED, MEASURED
from pnp_recon.benchmark.suites import reconstruct
from pnp_recon.solvers import History, Solution, Status

WORDS = {
    Status.DIRECT: "done",
    Status.FIXED_DEPTH: "done",
    Status.CONVERGED: "converged",
    Status.GAP: "converged",
    Status.EARLY_STOP: "early stop",
    Status.LEAST_ERROR: "early stop",
    Status.ITERATION_LIMIT: "iteration limit",
    Status.TIME_LIMIT: "time limit",
    Status.STAGNATED: "stagnated",
    Status.INNER_LIMIT: "inner limit",
    Status.NON_FINITE: DIVERGED,
}


def ended(status: Status) -> Solution:
    image = torch.zeros(1, 1, 2, 2)
    return Solution(image, status, cast(Any, None), History(), "pnp-hqs", {})


@pytest.mark.parametrize("status", Status)
def test_every_end_has_a_word_or_is_no_row(status: Status, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstruct, "reconstruct", lambda y, A, **run: ended(status))
    y, A = torch.zeros(1, 1, 2, 2), cast(Any, SimpleNamespace())
    if status is Status.INTERRUPTED:
        with pytest.raises(KeyboardInterrupt):
            reconstruct.solve(y, A)
        return
    fields = reconstruct.course(reconstruct.solve(y, A))
    assert fields["status"] == WORDS[status]
    assert (fields["status"] in MEASURED) == (status is not Status.NON_FINITE)
    # A row that enters no mean says why.
    assert bool(fields["message"]) == (status is Status.NON_FINITE)


def test_an_end_without_a_word_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above fails where a status is missing."""
    lacking = {key: word for key, word in reconstruct.STATUS.items() if key is not Status.DIRECT}
    monkeypatch.setattr(reconstruct, "STATUS", lacking)
    with pytest.raises(KeyError):
        reconstruct.course(ended(Status.DIRECT))
