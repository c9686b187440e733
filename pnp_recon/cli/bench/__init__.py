"""`pnp-bench`: run the benchmark, tune methods, show and compare results.

Parses, calls, writes, exits: 0 done (cells that failed are rows of the table), 2 bad input, 130
stopped by Ctrl-C. Torch is imported after parsing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pnp_recon.benchmark.choice import Choice, Search
from pnp_recon.cli.bench.flags import (
    Crop,
    Data,
    DeviceOption,
    Grey,
    Images,
    Jobs,
    Methods,
    Noise,
    Problems,
    Quiet,
    Setting,
    Split,
    Strength,
    Suite,
    Threads,
    Tuned,
    Verbose,
)
from pnp_recon.cli.bench.options import comma_list, noise_levels, number_of, settings_of
from pnp_recon.cli.shell import Device, run_app

PROGRAM = "pnp-bench"

app = typer.Typer(
    help="Compare denoisers by what they denoise, by what they do inside a certified "
    "reconstruction, and by whether the iteration converges at all.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: no import of rich
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def run(
    suite: Suite = None,
    data: Data = None,
    methods: Methods = None,
    noise: Noise = None,
    images: Images = None,
    split: Split = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write into this folder.", show_default="benchmarks/out/SUITE"
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry-failed", help="With --resume: run failed cells again.")
    ] = False,
    jobs: Jobs = 1,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Send the cells to this Dask scheduler."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Take 8 pictures, central 160² crops, and only fast methods."),
    ] = False,
    grey: Grey = None,
    crop: Crop = None,
    problems: Problems = None,
    settings: Setting = None,
    tuned: Tuned = None,
    strength: Strength = None,
    seed: Annotated[int, typer.Option(min=0, help="Draw the noise from this seed.")] = 0,
    repeats: Annotated[
        int,
        typer.Option(min=1, help="Run each cell so many times; the median of the seconds counts."),
    ] = 1,
    keep: Annotated[
        str,
        typer.Option(
            metavar="N|NAMES",
            help="The report shows crops of these pictures: the first N, or names.",
        ),
    ] = "2",
    threads: Threads = None,
    device: DeviceOption = Device.auto,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a suite: every method on every problem of every picture gives one row.

    The folder holds manifest.json, results.csv and what the report shows. A run that was stopped or
    killed goes on with `pnp-bench run --resume -o FOLDER` and ends with the same table.
    """
    choice = Choice(
        suite=suite,
        data=data,
        methods=comma_list(methods),
        noise=noise_levels(noise),
        images=number_of(images, "--images", "all"),
        split=split,
        grey=grey,
        crop=number_of(crop, "--crop", "none"),
        problems=comma_list(problems),
        settings=settings_of(settings),
        tuned=tuned,
        strength=strength,
        seed=seed,
        repeats=repeats,
        keep=comma_list(keep) or (),
        threads=threads,
        jobs=jobs,
        device=device.value,
        quick=quick,
    )

    from pnp_recon.cli.bench.session import run_benchmark

    folder = output or Path("benchmarks/out") / (suite or "run")
    run_benchmark(choice, folder, resume=resume, retry=retry, dask=dask, quiet=quiet)


@app.command()
def tune(
    suite: Suite = None,
    data: Data = None,
    methods: Methods = None,
    noise: Noise = None,
    images: Images = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Write into this folder; a search in it goes on.")
    ] = Path("benchmarks/out/tuning"),
    into: Annotated[
        Path | None,
        typer.Option(
            help="Add the best parameters to this table.", show_default="tuned.json in the folder"
        ),
    ] = None,
    grey: Grey = None,
    crop: Crop = None,
    problems: Problems = None,
    settings: Setting = None,
    tuned: Tuned = None,
    search: Annotated[
        Search,
        typer.Option(
            help="Run every candidate, or descend from the automatic choice (Itoh-Abe), which "
            "takes fewer runs; denoisers by themselves always take candidates."
        ),
    ] = Search.candidates,
    threads: Threads = None,
    device: DeviceOption = Device.auto,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Search the parameters of methods on pictures that no table is made of.

    In BSDS500 these are the 32 pictures of val that are not in BSD68. Every candidate is recorded
    in search.csv; `pnp-bench run --tuned FOLDER/tuned.json` takes the best.
    """
    choice = Choice(
        suite=suite,
        data=data,
        methods=comma_list(methods),
        noise=noise_levels(noise),
        images=number_of(images, "--images", "all"),
        grey=grey,
        crop=number_of(crop, "--crop", "none"),
        problems=comma_list(problems),
        settings=settings_of(settings),
        tuned=tuned,
        threads=threads,
        device=device.value,
    )

    from pnp_recon.cli.bench.session import run_search

    run_search(choice, output, into or output / "tuned.json", search, quiet=quiet)


@app.command()
def report(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...", help="Report on the runs in these folders, finished or not."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write into this folder.", show_default="report in the first DIR"
        ),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write report.md, report.html (one file, tables sort by click) and figures as PNG and PDF."""
    from pnp_recon.cli.bench.session import write_reports

    write_reports(folders, output or folders[0] / "report", quiet=quiet)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="DIR1", help="Compare the run in this folder.")],
    after: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR2", help="Compare it with the run in this folder.", show_default=False
        ),
    ] = None,
    methods: Annotated[
        str | None, typer.Option(help="Compare two methods A,B of DIR1 instead of two runs.")
    ] = None,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a table in Markdown, for a page.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Say what moved between two runs or two methods, with a paired test over the pictures."""
    from pnp_recon.benchmark.compare_text import lines, markdown
    from pnp_recon.cli.bench.session import comparison

    found = comparison(before, after, comma_list(methods))
    typer.echo(markdown(found) if as_markdown else "\n".join(lines(found)))


@app.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    verbose: Verbose = False,
) -> None:
    """Show suites and methods, what is proven about each, which cannot run here, and why."""
    from pnp_recon.cli.bench.session import print_catalogue

    print_catalogue(as_json)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_app(app, PROGRAM, argv)
