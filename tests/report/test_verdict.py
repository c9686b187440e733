"""The banner of a report: a picture on the way is not said to be where the method settles."""

from __future__ import annotations

import pytest

from pnp_recon.report.verdict import verdict_html
from pnp_recon.solvers import Status

CERTIFIED = {
    "contradicted": False,
    "proven": True,
    "unchecked": "",
    "conditions": [],
    "kind": "averaged map",
    "verdict": "certified: the iterates converge",
}
SETTLED = (Status.CONVERGED, Status.GAP, Status.FIXED_DEPTH)


@pytest.mark.parametrize("status", [one for one in Status if one is not Status.DIRECT])
def test_a_run_that_ended_on_the_way_says_so(status: Status) -> None:
    block = {"name": status.name.lower(), "succeeded": status.succeeded}
    page = verdict_html(CERTIFIED, block)
    assert "Certified" in page
    assert ("an intermediate one" in page) == (status not in SETTLED)
