"""The catalogue of suites: every entry resolves, has what it names, and is read without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pnp_recon.benchmark.suites import problems, stability
from pnp_recon.benchmark.suites.base import Suite
from pnp_recon.benchmark.suites.catalogue import SOLVERS, SUITES, SuiteEntry
from pnp_recon.errors import InputError
from pnp_recon.solvers.tuning import SPLITTINGS

MADE_OF = {
    "deblur": problems.KERNELS,
    "inpaint": problems.MISSING,
    "ct": problems.VIEWS,
    "stability": stability.RUNS,
}


@pytest.mark.parametrize("entry", SUITES.values(), ids=list(SUITES))
def test_every_entry_is_a_suite_with_the_problems_that_it_names(entry: SuiteEntry) -> None:
    assert issubclass(entry.load(), Suite)
    assert callable(entry.load()().measure)
    if entry.name in MADE_OF:
        assert tuple(MADE_OF[entry.name]) == entry.names
    assert [one.name for one in entry.degradations(noise=[1])] == list(entry.names)
    assert entry.checked({}) == entry.settings


def test_an_entry_that_leads_nowhere_is_noticed() -> None:
    lost = SuiteEntry(
        name="lost", home="pnp_recon.benchmark.suites.denoise:Lost", what="", names=(), noise=()
    )
    with pytest.raises(AttributeError):
        lost.load()


def test_solvers_of_the_suites_have_a_tuned_coupling() -> None:
    assert set(SOLVERS) == set(SPLITTINGS)
    with pytest.raises(InputError, match="expected pnp-hqs or pnp-drs"):
        SUITES["deblur"].checked({"solver": "pnp-pgd"})


def test_the_catalogue_loads_no_torch() -> None:
    code = (
        "import sys, pnp_recon.benchmark.suites.catalogue\n"
        "print({'torch', 'numpy'} & set(sys.modules))\n"
        "import pnp_recon.benchmark.suites.denoise\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["set()", "True"], done.stderr
