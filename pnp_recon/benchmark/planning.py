"""From what was asked for to a plan, and to a run that is begun or resumed by it.

All that can be refused is refused here, before the first cell.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from pnp_recon.benchmark import measure, tuned
from pnp_recon.benchmark.cells import Plan
from pnp_recon.benchmark.choice import DEFAULT_STRENGTH, TUNED, Choice, checked_strength
from pnp_recon.benchmark.methods import expand, load_method
from pnp_recon.benchmark.pictures import select, tuning_split
from pnp_recon.benchmark.rows import FAILED
from pnp_recon.benchmark.store import Results, manifest_file
from pnp_recon.benchmark.suites.catalogue import SUITES, SuiteEntry
from pnp_recon.errors import InputError

QUICK_IMAGES, QUICK_CROP = 8, 160
# Methods that take more than a second for a small crop.
SLOW = ("bm3d", "bilateral")


def begin(choice: Choice, folder: Path, *, resume: bool, retry: bool, command: str) -> Results:
    """A new run in a folder, or the one that it holds, to go on with.

    Args:
        choice: what was asked for; without a suite the run in the folder says it all.
        folder: where the run is kept.
        resume: go on with the run in the folder, if there is one.
        retry: forget its failed rows, so that their cells are run again.
        command: for the manifest of a new run.

    Raises:
        InputError: what was asked for cannot be run, or is not what the folder holds.
        OutputError: results cannot be written.
    """
    if retry and not resume:
        raise InputError("--retry-failed goes with --resume")
    if not (resume and manifest_file(folder).exists()):
        plan = make_plan(choice)
        return Results.create(folder, plan, about(plan, command))
    if choice.suite is None and choice.decides:
        raise InputError(
            f"--resume takes {', '.join(choice.decides)} from the run in {folder}; leave them out, "
            "or repeat the whole command"
        )
    results = Results.open(folder)
    if choice.suite is not None:
        _refuse_other(folder, results.plan, make_plan(choice))
    if choice.data is not None:  # it may have moved
        results.plan = replace(results.plan, data=str(choice.data.absolute()))
    _refuse_other_models(results)
    if retry:
        results.drop([row.key for row in results.rows if row.status == FAILED])
    return results


def make_plan(choice: Choice) -> Plan:
    """The plan that was asked for, defaults filled in.

    Raises:
        InputError: suite or data are missing or wrong, or a method does not fit.
    """
    if choice.suite is None:
        raise InputError(f"name a suite to start a run: {', '.join(SUITES)}")
    suite = SUITES.find(choice.suite)
    if choice.data is None:
        raise InputError(f"suite {suite.name} needs --data: a folder of pictures, or CT slices")
    channels = suite.channels if choice.grey is None else 1 if choice.grey else 3
    if suite.grey_only and channels != 1:
        raise InputError(f"suite {suite.name} is grey; leave out --colour")
    images = choice.images if choice.images is not None else suite.images
    crop = choice.crop if choice.crop is not None else suite.crop
    if choice.quick:
        images = images if choice.images is not None else min(images or 8, QUICK_IMAGES)
        crop = crop if choice.crop is not None else min(crop or QUICK_CROP, QUICK_CROP)
    split, pictures = select(choice.data, choice.split, images or None, suite.name)
    methods = expand(choice.methods or suite.methods, channels)
    if choice.quick and choice.methods is None:
        methods = [name for name in methods if name not in SLOW]
    for name in methods:
        method = load_method(name, channels, choice.device)  # what cannot be loaded is said now
        if method.solver is not None and "solver" not in suite.settings:
            raise InputError(
                f"method {name} brings a solver, and suite {suite.name} has nothing to solve; take "
                "the denoiser itself, or another suite"
            )
    return Plan(
        suite=suite.name,
        data=str(choice.data.absolute()),
        split=split,
        pictures=pictures,
        channels=channels,
        crop=crop or None,
        degradations=suite.degradations(choice.noise, choice.problems),
        methods=tuple(methods),
        seed=choice.seed,
        repeats=choice.repeats,
        kept=_kept(choice.keep, [name for name, _ in pictures]),
        threads=choice.threads or max(1, torch.get_num_threads() // choice.jobs),
        device=choice.device,
        settings=suite.checked(choice.settings),
        tuned=tuned.read(choice.tuned) if choice.tuned else tuned.read(),
        strength=_strength(choice, suite),
    )


def _strength(choice: Choice, suite: SuiteEntry) -> str:
    """How strong the prior is, in suites that solve something."""
    if "solver" in suite.settings:
        return checked_strength(choice.strength or DEFAULT_STRENGTH)
    if choice.strength is not None:
        raise InputError(f"suite {suite.name} solves nothing; leave out --strength")
    return TUNED


def _kept(wanted: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The pictures of which crops are kept: those named, suffix or not, or the first so many."""
    found: list[str] = []
    for word in wanted:
        meant = [name for name in names if word in (name, Path(name).name, Path(name).stem)]
        if not meant and len(wanted) == 1 and word.isdigit():
            return tuple(names[: int(word)])
        if not meant:
            raise InputError(f"--keep names {word!r}, which is not run; pictures: {_few(names)}")
        found += meant
    return tuple(found)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def search_plan(choice: Choice) -> Plan:
    """The plan of a search of parameters: on pictures that no table is made of.

    Raises:
        InputError: as `make_plan`.
    """
    if choice.data is None:
        raise InputError("tuning needs --data: BSDS500, or pictures that no table is made of")
    split = tuning_split(choice.data, choice.suite or "")
    plan = make_plan(replace(choice, split=split, strength=None))
    return replace(plan, strength=TUNED)


def about(plan: Plan, command: str) -> dict[str, Any]:
    """What the manifest says besides the plan: when, by which command, what the methods are."""
    methods = {}
    for name in plan.methods:
        method = load_method(name, plan.channels, plan.device)
        methods[name] = {"guarantee": str(method.guarantee), "sha256": method.sha256}
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "methods": methods,
        **measure.about(plan.device),
    }


def _refuse_other(folder: Path, stored: Plan, wanted: Plan) -> None:
    wanted = replace(wanted, tuned=stored.tuned, threads=stored.threads, data=stored.data)
    plain = [json.loads(json.dumps(plan.to_dict())) for plan in (stored, wanted)]
    differing = [name for name in plain[0] if plain[0][name] != plain[1][name]]
    if differing:
        raise InputError(
            f"the run in {folder} has other {', '.join(differing)}; give the same options, only "
            "--resume -o, or another folder"
        )


def _refuse_other_models(results: Results) -> None:
    """A model that changed since the run began would mix two methods under one name."""
    plan = results.plan
    for name, known in results.about.get("methods", {}).items():
        found = load_method(name, plan.channels, plan.device).sha256
        if found != known.get("sha256", found):
            raise InputError(
                f"the weights of {name} are not those that the run in {results.folder} began "
                "with; restore them or start anew in another folder"
            )
