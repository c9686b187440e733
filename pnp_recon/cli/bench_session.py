"""What `pnp-bench` does after parsing: plan, run, search, report. It loads torch."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import typer

from pnp_recon.benchmark import measure, tuned
from pnp_recon.benchmark.cells import Plan
from pnp_recon.benchmark.compare import Comparison, compare, compare_methods
from pnp_recon.benchmark.methods import expand, known_methods, load_method
from pnp_recon.benchmark.pictures import select, tuning_split
from pnp_recon.benchmark.rows import FAILED
from pnp_recon.benchmark.runner import run
from pnp_recon.benchmark.store import Results, manifest_file
from pnp_recon.benchmark.suites import SUITES, suite_named
from pnp_recon.benchmark.tuner import tune
from pnp_recon.cli.bench_display import CellDisplay, search_display
from pnp_recon.cli.bench_options import Choice
from pnp_recon.cli.common import INTERRUPTED, choose_device, make_folder
from pnp_recon.errors import InputError
from pnp_recon.files import atomic_write

QUICK_IMAGES, QUICK_CROP = 8, 160
# Methods that take more than a second for a small crop.
SLOW = ("bm3d", "bilateral")


def run_benchmark(
    choice: Choice, folder: Path, *, resume: bool, retry: bool, dask: str | None, quiet: bool
) -> None:
    """Starts or resumes a run and carries it to its end.

    Raises:
        InputError: what was asked for cannot be run.
        OutputError: results cannot be written.
    """
    if retry and not resume:
        raise InputError("--retry-failed goes with --resume")
    begun = resume and manifest_file(folder).exists()
    if begun and choice.suite is None and choice.decides:
        raise InputError(
            f"--resume takes {', '.join(choice.decides)} from the run in {folder}; leave them out, "
            "or repeat the whole command"
        )
    wanted = None if begun and choice.suite is None else make_plan(choice)
    if begun:
        results = Results.open(folder)
        if wanted is not None:
            _refuse_other(folder, results.plan, wanted)
        if choice.data is not None:  # it may have moved
            results.plan = replace(results.plan, data=str(choice.data.absolute()))
        _refuse_other_models(results)
        if retry:
            results.drop([row.key for row in results.rows if row.status == FAILED])
    else:
        assert wanted is not None
        results = Results.create(folder, wanted, _about(wanted))
    total, done = len(results.plan), len(results.rows)
    if not quiet:
        start = f"{done} of {total} cells are done" if done else f"{total} cells"
        typer.echo(f"{folder}: {_plan_words(results.plan)}; {start}", err=True)
    jobs = 1 if dask is not None else choice.jobs
    try:
        display = CellDisplay(total, done, quiet)
        with display.bar:
            run(results, jobs=jobs, dask=dask, report=display.report)
    except KeyboardInterrupt:
        typer.echo(f"stopped; go on with: pnp-bench run --resume -o {folder}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    failed = [row for row in results.rows if row.status == FAILED]
    if failed:
        typer.echo(
            f"{len(failed)} of {total} cells failed (first: {failed[0].method} on "
            f"{failed[0].picture}: {failed[0].message}); the others are whole",
            err=True,
        )
    if not quiet:
        typer.echo(f"{results.table}\nnext: pnp-bench report {folder}")


def make_plan(choice: Choice) -> Plan:
    """The plan that was asked for, defaults filled in.

    Raises:
        InputError: suite or data are missing or wrong, or a method does not fit.
    """
    if choice.suite is None:
        raise InputError(f"name a suite to start a run: {', '.join(SUITES)}")
    suite = suite_named(choice.suite)
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
    device = str(choose_device(choice.device))
    for name in methods:
        load_method(name, channels, device)  # what cannot be loaded is said now
    return Plan(
        suite=suite.name,
        data=str(choice.data.absolute()),
        split=split,
        pictures=pictures,
        channels=channels,
        crop=crop or None,
        problems=suite.problems(choice.noise, choice.problems),
        methods=tuple(methods),
        seed=choice.seed,
        repeats=choice.repeats,
        kept=_kept(choice.keep, [name for name, _ in pictures]),
        threads=choice.threads or max(1, torch.get_num_threads() // choice.jobs),
        device=device,
        settings=suite.checked(choice.settings),
        tuned=tuned.read(choice.tuned) if choice.tuned else tuned.read(),
    )


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


def _about(plan: Plan) -> dict[str, Any]:
    """What the manifest says besides the plan."""
    methods = {}
    for name in plan.methods:
        method = load_method(name, plan.channels, plan.device)
        methods[name] = {"guarantee": str(method.guarantee), "sha256": method.sha256}
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["pnp-bench", *sys.argv[1:]]),
        "methods": methods,
        **measure.about(plan.device),
    }


def _plan_words(plan: Plan) -> str:
    crop = "whole pictures" if plan.crop is None else f"central {plan.crop}² crops"
    kind = "grey" if plan.channels == 1 else "colour"
    return (
        f"{plan.suite}, {len(plan.pictures)} {kind} pictures of {plan.split} ({crop}), "
        f"{len(plan.problems)} problems, {len(plan.methods)} methods, {plan.threads} threads each"
    )


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


def run_search(choice: Choice, folder: Path, into: Path, *, quiet: bool) -> None:
    """Searches parameters and adds the best to the table `into`.

    Raises:
        InputError: what was asked for cannot be run.
        OutputError: the record cannot be written.
    """
    if choice.data is None:
        raise InputError("tuning needs --data: BSDS500, or pictures that no table is made of")
    split = tuning_split(choice.data, choice.suite or "")
    plan = make_plan(replace(choice, split=split))
    make_folder(folder)
    into_table = tuned.read(into) if into.exists() else {}
    results = Results(folder, plan, {})
    if not quiet:
        typer.echo(f"{folder}: {_plan_words(plan)}", err=True)
    try:
        best = tune(results, search_display(quiet))
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on with the search", err=True)
        raise typer.Exit(INTERRUPTED) from None
    table = tuned.merged(into_table, best)
    atomic_write(into, json.dumps(table, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    if not quiet:
        typer.echo(f"{into}: best of {folder / 'search.csv'}")


def write_reports(folders: Sequence[Path], output: Path, *, quiet: bool) -> None:
    """Reads runs and writes their report, in the order of their names, whatever the shell's."""
    from pnp_recon.benchmark.report import write_report

    results = [Results.open(folder) for folder in sorted(set(folders))]
    make_folder(output)
    for path in write_report(results, output):
        if not quiet:
            typer.echo(path)


def comparison(before: Path, after: Path | None, methods: Sequence[str] | None) -> Comparison:
    """Two runs, or two methods of one run.

    Raises:
        InputError: neither of both, or a method that the run does not have.
    """
    first = Results.open(before)
    if after is not None and methods is None:
        return compare(first, Results.open(after))
    if after is not None or methods is None:
        raise InputError("compare takes two folders, or one with --methods A,B")
    if len(methods) != 2:
        raise InputError(f"--methods names {len(methods)}; expected two methods, A,B")
    return compare_methods(first, *methods)


def print_catalogue(as_json: bool) -> None:
    """Suites and methods, for people, pipes or programs."""
    suites = [
        {"name": suite.name, "what": suite.what, "problems": list(suite.names()),
         "noise": list(suite.noise), "settings": dict(suite.settings)}
        for suite in SUITES.values()
    ]  # fmt: skip
    methods = known_methods()
    if as_json:
        plain = {"suites": suites, "methods": [asdict(info) for info in methods]}
        print(json.dumps(plain, indent=1, ensure_ascii=False))
        return
    typer.echo("suites:")
    for suite in suites:
        levels = ", ".join(f"{level:g}" for level in suite["noise"])  # type: ignore[attr-defined]
        typer.echo(f"  {suite['name']}\t{suite['what']}; noise {levels}")
    typer.echo("\nmethods:")
    for info in methods:
        missing = "" if info.available else f"\tNOT HERE: {info.missing}"
        typer.echo(f"  {info.name}\t{info.what}\t{info.guarantee}{missing}")
