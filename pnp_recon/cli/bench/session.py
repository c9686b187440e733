"""What `pnp-bench` does after parsing: run, search, report, list. It loads torch."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import typer

from pnp_recon.benchmark import tuned
from pnp_recon.benchmark.cells import Plan
from pnp_recon.benchmark.choice import Choice, Search
from pnp_recon.benchmark.compare import Comparison, compare, compare_methods
from pnp_recon.benchmark.methods import known_methods
from pnp_recon.benchmark.pictures import is_colour
from pnp_recon.benchmark.planning import begin, search_plan
from pnp_recon.benchmark.rows import FAILED
from pnp_recon.benchmark.runner import run
from pnp_recon.benchmark.store import Results
from pnp_recon.benchmark.suites.catalogue import SUITES
from pnp_recon.benchmark.tuner import tune
from pnp_recon.cli.bench.display import CellDisplay, search_display
from pnp_recon.cli.console import print_json
from pnp_recon.cli.shell import INTERRUPTED, choose_device, make_folder
from pnp_recon.errors import InputError
from pnp_recon.files import atomic_write

GREY = "pictures in colour are taken as grey, as in most tables; --colour keeps their colours"


def run_benchmark(
    choice: Choice, folder: Path, *, resume: bool, retry: bool, dask: str | None, quiet: bool
) -> None:
    """Starts or resumes a run and carries it to its end.

    Raises:
        InputError: what was asked for cannot be run.
        OutputError: results cannot be written.
    """
    command = shlex.join(["pnp-bench", *sys.argv[1:]])
    results = begin(_on_device(choice), folder, resume=resume, retry=retry, command=command)
    total, done = len(results.plan), len(results.rows)
    if not quiet:
        start = f"{done} of {total} cells are done" if done else f"{total} cells"
        typer.echo(f"{folder}: {_plan_words(results.plan)}; {start}", err=True)
        if not done and choice.grey is None and _loses_colour(results.plan):
            typer.echo(GREY, err=True)
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


def _on_device(choice: Choice) -> Choice:
    """With the device that "auto" stands for here."""
    return replace(choice, device=str(choose_device(choice.device)))


def _loses_colour(plan: Plan) -> bool:
    """Are colour pictures taken as grey? The first of them says it for all."""
    if plan.channels != 1 or SUITES[plan.suite].grey_only:
        return False
    return is_colour(Path(plan.data), plan.split, plan.pictures[0][0])


def _plan_words(plan: Plan) -> str:
    crop = "whole pictures" if plan.crop is None else f"central {plan.crop}² crops"
    kind = "grey" if plan.channels == 1 else "colour"
    return (
        f"{plan.suite}, {_count(len(plan.pictures), f'{kind} picture')} of {plan.split} ({crop}), "
        f"{_count(len(plan.degradations), 'problem')}, {_count(len(plan.methods), 'method')}, "
        f"{_count(plan.threads, 'thread')} each"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def run_search(choice: Choice, folder: Path, into: Path, search: Search, *, quiet: bool) -> None:
    """Searches parameters and adds the best to the table `into`.

    Raises:
        InputError: what was asked for cannot be run.
        OutputError: the record cannot be written.
    """
    plan = search_plan(_on_device(choice))
    make_folder(folder)
    into_table = tuned.read(into) if into.exists() else {}
    results = Results(folder, plan, {})
    if not quiet:
        typer.echo(f"{folder}: {_plan_words(plan)}", err=True)
    try:
        best = tune(results, search_display(quiet), search)
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
        {"name": suite.name, "what": suite.what, "problems": list(suite.names),
         "noise": list(suite.noise), "settings": dict(suite.settings)}
        for suite in SUITES.values()
    ]  # fmt: skip
    methods = known_methods()
    if as_json:
        plain = {"suites": suites, "methods": [asdict(info) for info in methods]}
        print_json(plain)
        return
    typer.echo("suites:")
    for suite in suites:
        levels = ", ".join(f"{level:g}" for level in suite["noise"])  # type: ignore[attr-defined]
        typer.echo(f"  {suite['name']}\t{suite['what']}; noise {levels}")
    typer.echo("\nmethods:")
    for info in methods:
        missing = "" if info.available else f"\tNOT HERE: {info.missing}"
        typer.echo(f"  {info.name}\t{info.what}\t{info.guarantee}{missing}")
