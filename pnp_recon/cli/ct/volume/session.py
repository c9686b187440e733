"""`pnp-ct --slices`: from the options to a volume, its ledger, its summary and its pictures.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer

from pnp_recon.cli.console import print_json
from pnp_recon.cli.ct.case import auto_denoiser
from pnp_recon.cli.ct.options import CtOptions
from pnp_recon.cli.ct.volume.across import all_slices, neighbours
from pnp_recon.cli.ct.volume.display import SliceDisplay
from pnp_recon.cli.ct.volume.probe import Probed, Say, free_bytes, probe
from pnp_recon.cli.ct.volume.worker import Recipe, each
from pnp_recon.cli.run.memory import GIB
from pnp_recon.cli.run.text import error_json
from pnp_recon.cli.shell import (
    BAD_INPUT,
    INTERRUPTED,
    NO_CERTIFICATE,
    NOT_CONVERGED,
    OK,
    check_writable,
    describe,
    exit_code_of,
    package_version,
    report_error,
)
from pnp_recon.errors import InputError, OutputError, PnPReconError
from pnp_recon.files import atomic_write, sha256_of
from pnp_recon.models import load
from pnp_recon.models.store import find_card, has_card
from pnp_recon.scans.files import extent
from pnp_recon.volumes.figure import check_film, views_png, write_film
from pnp_recon.volumes.ledger import Ledger, difference
from pnp_recon.volumes.plan import COPIES, Plan, parse_slices, slab_size
from pnp_recon.volumes.run import Work, forget_changed, run
from pnp_recon.volumes.store import Store, open_store
from pnp_recon.volumes.summary import summarise

# What changes nothing about the values of a slice, or is found in the scan's hash.
APART = ("inputs", "output", "workers", "dask", "film", "overwrite", "as_json", "quiet", "verbose",
         "device", "stretch", "no_picture")  # fmt: skip
# The worst comes last.
_SEVERITY = (OK, NOT_CONVERGED, NO_CERTIFICATE, BAD_INPUT)


@dataclass(frozen=True)
class Places:
    """The files of a volume."""

    volume: Path
    ledger: Path
    summary: Path
    views: Path

    @classmethod
    def of(cls, options: CtOptions) -> Places:
        source = Path(options.inputs[0])
        given = options.output or str(source.with_name(f"{source.stem}_volume.h5"))
        volume = Path(given)

        def beside(ending: str) -> Path:
            return volume.with_name(f"{volume.name}.{ending}")

        return cls(volume, beside("slices.jsonl"), beside("summary.json"), beside("views.png"))


def run_volume(options: CtOptions) -> int:
    """Reconstructs the slices of --slices.

    Returns:
        the worst exit code of a slice, 130 after Ctrl-C.

    Raises:
        PnPReconError: nothing can be begun, or a slice cannot be written.
    """
    try:
        options.check()
        return _run(options)
    except PnPReconError as error:
        if not options.as_json:
            raise
        source = Path(options.inputs[0])
        print_json(error_json(source, describe(error), exit_code_of(error)))
        return report_error("pnp-ct", error, with_traceback=options.verbose)


def _run(options: CtOptions) -> int:
    silent = options.quiet or options.as_json
    places, source = Places.of(options), Path(options.inputs[0])
    _check_places(places, source, options)

    def say(line: str) -> None:
        if not silent:
            typer.echo(line)

    ledger, store = _begin(options, places, source, say)
    plan, probed = ledger.plan, Probed.from_dict(dict(ledger.plan.shared))
    slab = _sizes(plan, probed, options, say)
    total, done = len(plan.slices), len(plan.slices) - len(ledger.todo())
    if done:
        rest = "going on" if done < total else "nothing is left to do"
        say(f"{done} of {total} slices are done; {rest}")
    threads = max(1, torch.get_num_threads() // options.workers) if options.workers > 1 else None
    recipe = recipe_of(plan, probed, source, options, threads)
    display = SliceDisplay(total, done, silent)
    compute = each if options.across is None else partial(all_slices, look=display.look)
    code = INTERRUPTED
    try:
        with display.bar:
            run(
                ledger,
                store,
                Work(compute, recipe),
                slab=slab,
                workers=options.workers,
                dask=options.dask,
                report=display.report,
            )
        code = max((row["exit_code"] for row in ledger.in_order()), key=_severity)
    except KeyboardInterrupt:
        left = len(ledger.todo())
        words = f"stopped: {total - left} of {total} slices are kept; the same command goes on"
        typer.echo(f"{words} (without --overwrite)", err=True)
    _finish(ledger, store, probed, places, options, code, say)
    return code


def recipe_of(
    plan: Plan, probed: Probed, source: Path, options: CtOptions, threads: int | None = None
) -> Recipe:
    """What computes the slices of a plan."""
    found = probed.options(options)
    return Recipe(plan.fingerprint, source, plan.sha256, found, probed.view, plan.slices, threads)


def _warn(words: str) -> None:
    typer.echo(f"pnp-ct: warning: {words}", err=True)


def _severity(code: int) -> int:
    return _SEVERITY.index(code) if code in _SEVERITY else len(_SEVERITY)


def _check_places(places: Places, source: Path, options: CtOptions) -> None:
    folder = places.volume.resolve().parent
    if not folder.is_dir():
        raise OutputError(f"cannot write {places.volume}: the folder does not exist; create it")
    check_writable(folder)
    if places.volume.exists() and source.exists() and places.volume.samefile(source):
        raise OutputError(f"cannot write {places.volume}: it is the scan itself")
    if options.film is not None:
        check_film(options.film)
        if not options.film.resolve().parent.is_dir():
            raise OutputError(f"cannot write {options.film}: the folder does not exist; create it")
    there = places.volume.exists() and not places.ledger.exists()
    empty = places.volume.is_dir() and not any(places.volume.iterdir())
    if there and not empty and not options.overwrite:
        raise OutputError(
            f"{places.volume} exists, and nothing beside it says that its run was begun; give "
            "--overwrite, or another -o"
        )


def _begin(options: CtOptions, places: Places, source: Path, say: Say) -> tuple[Ledger, Store]:
    """A new volume, or the one that was begun with the same settings."""
    total, sha256 = extent(source, options.key, options.order)
    slices = parse_slices(options.stretch or "all", total)
    asked = Plan(sha256, slices, (0, 0), settings_of(options), {})
    if places.ledger.exists() and not options.overwrite:
        ledger = Ledger.read(places.ledger)
        other = difference(ledger.plan, asked)
        if other:
            raise InputError(
                f"{places.volume} was begun with {other}; give the same, another -o, or --overwrite"
            )
        store = open_store(places.volume, ledger.plan.volume_shape, fresh=False)
        if changed := forget_changed(ledger, store):
            numbers = ", ".join(map(str, changed))
            say(f"no longer what was written, and computed again: slices {numbers}")
        return ledger, store
    found = probe(source, options, slices, sha256, say, _warn)
    plan = Plan(asked.sha256, asked.slices, found.shape, asked.settings, found.to_dict())
    plan = Plan.from_dict(json.loads(json.dumps(plan.to_dict())))
    store = open_store(places.volume, plan.volume_shape, fresh=True)
    return Ledger.create(places.ledger, plan), store


def settings_of(options: CtOptions) -> dict[str, Any]:
    """What decides the values of a slice, as plain JSON values."""
    found = {one.name: getattr(options, one.name) for one in fields(options)}
    if options.geometry is not None:
        found["geometry"] = f"{options.geometry} ({sha256_of(options.geometry)})"
    if options.prior_kind == "denoiser":
        found["denoiser"] = _with_weights(options.denoiser)
    if options.model is not None:
        found["model"] = _with_weights(options.model)
    found["version"] = package_version()
    return {
        name: value if value is None or isinstance(value, bool | int | float) else str(value)
        for name, value in found.items()
        if name not in APART
    }


def _with_weights(name: str) -> str:
    """The name of a prior with the hash of what it may mean: another may come under that name."""
    meant = (load.ENERGIES[1], auto_denoiser()) if name == "auto" else (name,)
    cards = [sha256_of(find_card(one)) for one in meant if has_card(one)]
    if len(cards) > 1:
        cards = [hashlib.sha256("".join(cards).encode()).hexdigest()]
    return " ".join([name, *(f"({card})" for card in cards)])


def _sizes(plan: Plan, probed: Probed, options: CtOptions, say: Say) -> int:
    """Slices in a slab; says what was found, and what memory and disk are taken."""
    per_slice = 4 * probed.values
    workers = options.workers
    slab = slab_size(per_slice, free_bytes(), workers, len(plan.slices))
    bound = "" if probed.norm_bound is None else f", ‖A‖ ≤ {probed.norm_bound:.4g}"
    count, (height, width) = len(plan.slices), plan.shape
    say(f"volume: {count} slices of {width}×{height}, one geometry for all{bound}")
    say(f"axis: detector pixel {probed.axis:.2f}; window: {probed.view.words}")
    if options.across is not None:
        return _sizes_at_once(plan, probed, say)
    if probed.strength is not None:
        said = ", ".join(f"{one:.3g}" for one in probed.strengths)
        say(f"strength: {probed.strength:.3g} for all, the median of what first, middle and last "
            f"slice speak for: {said}")  # fmt: skip
    need = probed.working + COPIES * slab * per_slice
    say(
        f"memory: about {need / GIB:.2f} GiB"
        + (f" in each of {workers} processes" if workers > 1 else "")
        + f", {slab} slices read at a time; on disk {_size(plan.volume_bytes)}"
    )
    if options.dask is None and workers * need > free_bytes() + probed.working:
        _warn(
            f"{workers * need / GIB:.1f} GiB of memory are needed and {free_bytes() / GIB:.1f} GiB "
            "are free; give fewer --workers or a smaller --size"
        )
    return slab


def _size(count: int) -> str:
    return f"{count / GIB:.2f} GiB" if count > GIB / 10 else f"{count / 2**20:.3g} MiB"


def _sizes_at_once(plan: Plan, probed: Probed, say: Say) -> int:
    """The same where all slices are one problem, whose memory was checked before the trials."""
    if probed.strength is not None:
        count = len(neighbours(plan.slices))
        say(f"strength: {probed.strength:.3g}, as {count} neighbours in the middle speak for")
    say(
        f"memory: about {probed.working / GIB:.2f} GiB, all slices are one problem; on disk "
        f"{_size(plan.volume_bytes)}"
    )
    return len(plan.slices)


def _finish(
    ledger: Ledger,
    store: Store,
    probed: Probed,
    places: Places,
    options: CtOptions,
    code: int,
    say: Say,
) -> None:
    """The summary, and the pictures of what there is."""
    plan, shown = ledger.plan, probed.view.shown
    summary = summarise(ledger.in_order(), len(plan.slices))
    record = {
        "input": options.inputs[0],
        "output": str(places.volume),
        "exit_code": code,
        "first": plan.slices.start,
        "step": plan.slices.step,
        "shape": plan.volume_shape,
        "shared": dict(plan.shared),
        "settings": dict(plan.settings),
        **summary.to_dict(),
    }
    atomic_write(places.summary, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    for line in summary.lines():
        say(line)
    if options.across is not None and ledger.rows:
        say(f"one certificate for all: {ledger.in_order()[0]['certificate']['verdict']}")
    wrote = [places.volume, places.ledger, places.summary]
    if summary.missing == 0:
        limits, shape = (shown.low, shown.high), plan.volume_shape
        picture = views_png(store, shape, limits, probed.view.unit, plan.slices.step)
        atomic_write(places.views, picture)
        wrote.append(places.views)
        if options.film is not None:
            write_film(options.film, store, shape, limits)
            wrote.append(options.film)
    for path in wrote:
        say(f"wrote: {path}")
    if options.as_json:
        print_json(record)
    elif options.quiet:
        typer.echo(f"{options.inputs[0]} -> {places.volume}: {summary.lines()[0]}")
