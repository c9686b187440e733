"""The page says no option that it has no field for, and what it says are sentences."""

from __future__ import annotations

import pytest

from pnp_recon.cli.serve.wording import for_the_page
from pnp_recon.cli.serve.wrongs import WRONGS
from pnp_recon.solvers import Status


@pytest.mark.parametrize(
    ("wrong", "said", "shown"),
    [
        (
            "scan",
            "the object goes on beyond the slice; it takes long to settle: give --size 332",
            "the object goes on beyond the slice; it takes long to settle",
        ),
        (
            "scan",
            "no angles were found in the file; give --geometry FILE, or --views and --span, "
            "--angles-key NAME if another array has them",
            "no angles were found in the file; give “A description of the scan”, or “Number of "
            "views” and “Range of the angles in degrees”",
        ),
        (
            "scan",
            "3% lies at the end of the window (found; --window LOW,HIGH sets it); give a wider "
            "--window",
            "3% lies at the end of the window",
        ),
        (
            "moved",
            "it may be none of a straight motion. If it rings, pass --length and --angle as you "
            "see them, or a kernel of another kind",
            "it may be none of a straight motion. If it rings, pass “How far it moved” and "
            "“Direction in degrees” as you see them, or a kernel of another kind",
        ),
        (
            "focus",
            "no defocus was found; nothing was deblurred. Try --kernel blind, or pass the radius, "
            "--length R (--length 3.2 would be the doubtful estimate)",
            "no defocus was found; nothing was deblurred. Try “Shaken”, or pass the radius, "
            "“Radius of the discs in pixels” (“Radius of the discs in pixels” 3.2 would be the "
            "doubtful estimate)",
        ),
        (
            "moved",
            "noise has become detail; raise --strength, or lower --sigma if it is that clean",
            "noise has become detail; raise the strength",
        ),
        (
            "moved",
            "not enough memory (8 GiB); use a smaller picture or --device cpu",
            "not enough memory (8 GiB); use a smaller picture",
        ),
        ("moved", "nothing to mend: a text without options", None),
        (
            "scan",
            "--order is needed",
            "--order is needed (what begins with -- is an option of the command, for which this "
            "page has no field)",
        ),
    ],
)
def test_options_become_fields_or_are_left_out(wrong: str, said: str, shown: str | None) -> None:
    assert for_the_page(said, WRONGS[wrong]) == (said if shown is None else shown)


@pytest.mark.parametrize("status", Status)
def test_no_ending_names_an_option(status: Status) -> None:
    shown = for_the_page(status.value, WRONGS["moved"])
    assert "--" not in shown
    assert "max_iter" not in shown
    assert shown.startswith(status.value.partition(";")[0])
