"""`pnp-bench`: run the benchmark, tune methods, show and compare results.

Parses, calls, writes, exits: 0 done (cells that failed are rows of the table), 2 bad input, 130
stopped by Ctrl-C. Torch is imported after parsing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pnp_recon.benchmark.choice import Choice
from pnp_recon.benchmark.suites.catalogue import SUITES
from pnp_recon.cli.bench.options import comma_list, noise_levels, number_of, settings_of
from pnp_recon.cli.run.options import Device
from pnp_recon.cli.shell import run_app

PROGRAM = "pnp-bench"

app = typer.Typer(
    help="Benchmark denoisers: by what they denoise, by what they do inside a certified "
    "reconstruction, and by whether the iteration converges at all.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: no import of rich
    context_settings={"help_option_names": ["-h", "--help"]},
)

*_FIRST, _LAST = SUITES
Suite = Annotated[
    str | None,
    typer.Argument(metavar="SUITE", help=f"{', '.join(_FIRST)} or {_LAST}."),
]
Data = Annotated[
    Path | None,
    typer.Option(help="BSDS500, any other folder of pictures, or CT slices.", show_default=False),
]
Methods = Annotated[
    str | None,
    typer.Option(
        help="Names, paths of model cards, module:function, file.py:Class; also shipped, "
        "classical, all. See `pnp-bench list`.",
        show_default="the suite's",
    ),
]
Noise = Annotated[
    str | None,
    typer.Option(help="Levels σ·255 (ct: percent of the maximum).", show_default="the suite's"),
]
Images = Annotated[
    str | None,
    typer.Option(help="How many pictures, evenly spaced, or all.", show_default="the suite's"),
]
Split = Annotated[
    str | None,
    typer.Option(help="bsd68, test or val of BSDS500.", show_default="bsd68; else all pictures"),
]
Grey = Annotated[
    bool | None,
    typer.Option("--grey/--colour", help="Kind of pictures.", show_default="the suite's"),
]
Crop = Annotated[
    str | None,
    typer.Option(help="Side of the central crop, or none.", show_default="the suite's"),
]
Problems = Annotated[
    str | None,
    typer.Option(help="Beginnings of the names of problems.", show_default="all of the suite"),
]
Setting = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting of the suite, such as tol=1e-5."),
]
Tuned = Annotated[
    Path | None,
    typer.Option(help="Parameters found by `pnp-bench tune`.", show_default="the shipped ones"),
]
Jobs = Annotated[int, typer.Option(min=1, help="Processes.")]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Of each process.", show_default="cores / jobs")
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show where an error comes from.")]


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
        typer.Option("--output", "-o", help="Folder.", show_default="benchmarks/out/SUITE"),
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
        typer.Option(metavar="ADDRESS", help="Dask scheduler to send the cells to."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="8 pictures, central 160² crops, and only fast methods."),
    ] = False,
    grey: Grey = None,
    crop: Crop = None,
    problems: Problems = None,
    settings: Setting = None,
    tuned: Tuned = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise.")] = 0,
    repeats: Annotated[int, typer.Option(min=1, help="Times each cell; the median counts.")] = 1,
    keep: Annotated[
        str,
        typer.Option(
            metavar="N|NAMES", help="Pictures whose crops the report shows: the first N, or names."
        ),
    ] = "2",
    threads: Threads = None,
    device: DeviceOption = Device.auto,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a suite: every method on every problem of every picture, one row each.

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
        Path, typer.Option("--output", "-o", help="Folder; a search in it goes on.")
    ] = Path("benchmarks/out/tuning"),
    into: Annotated[
        Path | None,
        typer.Option(help="Table to add the best to.", show_default="tuned.json in the folder"),
    ] = None,
    grey: Grey = None,
    crop: Crop = None,
    problems: Problems = None,
    settings: Setting = None,
    tuned: Tuned = None,
    threads: Threads = None,
    device: DeviceOption = Device.auto,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Search the parameters of methods on pictures that no table is made of.

    Of BSDS500 these are the 32 pictures of val that are not in BSD68. Every candidate is recorded
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

    run_search(choice, output, into or output / "tuned.json", quiet=quiet)


@app.command()
def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Of finished runs, or not.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder.", show_default="report in the first DIR"),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write report.md, report.html (one file, tables sort by click) and figures as PNG and PDF."""
    from pnp_recon.cli.bench.session import write_reports

    write_reports(folders, output or folders[0] / "report", quiet=quiet)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="DIR1")],
    after: Annotated[Path | None, typer.Argument(metavar="DIR2", show_default=False)] = None,
    methods: Annotated[
        str | None, typer.Option(help="Two methods A,B of DIR1, instead of a second run.")
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="For a page.")] = False,
    verbose: Verbose = False,
) -> None:
    """Say what moved between two runs, or two methods, with a paired test over the pictures."""
    from pnp_recon.benchmark.compare_text import lines, markdown
    from pnp_recon.cli.bench.session import comparison

    found = comparison(before, after, comma_list(methods))
    typer.echo(markdown(found) if as_markdown else "\n".join(lines(found)))


@app.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    verbose: Verbose = False,
) -> None:
    """Show suites and methods: what is proven about each, and which cannot run here, and why."""
    from pnp_recon.cli.bench.session import print_catalogue

    print_catalogue(as_json)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_app(app, PROGRAM, argv)
