"""Is what is said of a volume true? Its summary, its ledger, its values, and some slices again.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pnp_recon.cli.ct.options import CtOptions
from pnp_recon.cli.ct.volume.across import all_slices
from pnp_recon.cli.ct.volume.probe import Probed
from pnp_recon.cli.ct.volume.session import APART, recipe_of, settings_of
from pnp_recon.cli.ct.volume.worker import each
from pnp_recon.cli.reconstructions import rebuilt
from pnp_recon.cli.run.live import Repeating
from pnp_recon.cli.verify.compare import HALF_LEVEL
from pnp_recon.errors import InputError, PnPReconError
from pnp_recon.report.claims import Claim, claim, unchecked
from pnp_recon.report.reading import certificate_of
from pnp_recon.scans.files import extent
from pnp_recon.volumes.ledger import FAILED, Ledger, Row
from pnp_recon.volumes.run import Done
from pnp_recon.volumes.store import Store, hash_of, open_store
from pnp_recon.volumes.summary import summarise

ENDING = ".summary.json"
# Ends of a run that depend on the clock or a hand, and are not repeated.
BY_HAND = ("time limit", "interrupted")
_HASHED = re.compile(r"(.*) \([0-9a-f]{64}\)")


def verify_volume(
    path: Path, moved: Mapping[str, Path], *, run: bool = True, live: bool = False
) -> list[Claim]:
    """What is claimed of a volume, each claim checked as far as that can be done here.

    Args:
        path: its summary; ledger and volume lie beside it.
        moved: "input" -> where the scan lies now, if not where the summary says.
        run: repeat the first, the middle, the last and the worst slice, or the run of all.
        live: say on stderr what takes long.

    Raises:
        InputError: summary or ledger cannot be read.
    """
    volume = path.with_name(path.name.removesuffix(ENDING))
    try:
        stated = json.loads(path.read_bytes())
        named = Path(stated["input"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"summary {path} cannot be read: {error}") from error
    ledger = Ledger.read(volume.with_name(f"{volume.name}.slices.jsonl"))
    rows = ledger.in_order()
    claims = [_summary(stated, ledger), _certificates(rows)]
    try:
        store = open_store(volume, ledger.plan.volume_shape, fresh=False)
    except PnPReconError as error:
        return [*claims, unchecked("values", str(volume), str(error))]
    claims.append(_values(ledger, store))
    source = moved.get("input", named)
    if not source.exists():
        reason = f"{source} is not here; say --input PATH"
        return [*claims, unchecked("input file", ledger.plan.sha256, reason)]
    settings = ledger.plan.settings
    found = extent(source, settings["key"], settings["order"])[1]
    claims.append(claim("input file", ledger.plan.sha256, found, f"{source} is another scan"))
    claims.append(
        unchecked(
            "axis, window and strength", "found on a few slices", "they are not looked for again"
        )
    )
    if not run:
        return [*claims, unchecked("run", "pnp-ct", "it was not asked for (--no-run)")]
    if not claims[-2].holds:
        return [*claims, unchecked("run", "pnp-ct", "the scan is not what it was")]
    return [*claims, *_runs(ledger, store, source, live)]


def _summary(stated: Mapping[str, Any], ledger: Ledger) -> Claim:
    """That the summary is that of the ledger."""
    plan, rows = ledger.plan, ledger.in_order()
    try:
        found = summarise(rows, len(plan.slices)).to_dict()
    except (KeyError, TypeError) as error:
        return Claim("summary", "that of the ledger", f"a damaged ledger ({error!r})", False)
    made = {
        "first": plan.slices.start,
        "step": plan.slices.step,
        "shape": plan.volume_shape,
        "shared": dict(plan.shared),
        "settings": dict(plan.settings),
        **found,
    }
    made = json.loads(json.dumps(made))
    wrong = [name for name, value in made.items() if stated.get(name) != value]
    said = "so" if not wrong else f"another {', '.join(wrong)}"
    return Claim("summary", "that of the ledger", said, not wrong)


def _certificates(rows: Sequence[Row]) -> Claim:
    """That each verdict follows from the premises, constants and observations beside it."""
    what, stated = "verdicts", f"what follows from the words of {len(rows)} certificates"
    for row in rows:
        if row["status"] == FAILED:
            continue
        try:
            block = row["certificate"]
            made = certificate_of(block)
            sides = (row["certified"], block["holds"], block["verdict"])
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            return Claim(what, stated, "no certificate", False, f"slice {row['slice']}: {error!r}")
        if sides != (made.holds, made.holds, made.verdict):
            return Claim(what, block["verdict"], made.verdict, False, f"slice {row['slice']}")
    return Claim(what, stated, "so")


def _values(ledger: Ledger, store: Store) -> Claim:
    """That the values on disk are those that the run wrote, and NaN where there are none."""
    what, stated = "values", f"those of {len(ledger.rows)} slices"
    without = 0
    for place, number in enumerate(ledger.plan.slices):
        try:
            row, values = ledger.rows.get(number), store.read(place)
        except (OSError, ValueError) as error:
            return Claim(what, stated, "not readable", False, f"slice {number}: {error}")
        if row is None or row["status"] == FAILED:
            if not np.isnan(values).all():
                return Claim(what, "NaN", "numbers", False, f"slice {number} has no row")
        elif "sha256" not in row:
            without += 1
        elif row["sha256"] != hash_of(values):
            return Claim(what, row["sha256"], hash_of(values), False, f"slice {number}")
    if without:
        return unchecked(what, stated, f"an older version kept no hash of {without} of them")
    return Claim(what, stated, "so")


def _runs(ledger: Ledger, store: Store, source: Path, live: bool) -> list[Claim]:
    """Slices computed again with the settings, axis, window and strength of the volume."""
    plan = ledger.plan
    try:
        options = _options(plan.settings, source)
        again = settings_of(options)
    except PnPReconError as error:
        return [unchecked("run", "pnp-ct", str(error))]
    changed = [name for name, value in plan.settings.items() if again.get(name) != value]
    if changed:
        reason = f"{', '.join(changed)} is not what it was: {again.get(changed[0])}"
        return [unchecked("run", plan.settings[changed[0]], reason)]
    probed = Probed.from_dict(dict(plan.shared))
    recipe = recipe_of(plan, probed, source, options)
    compute = each if options.across is None else partial(all_slices, look=lambda _: None)
    width = probed.view.shown.high - probed.view.shown.low
    claims: list[Claim] = []
    numbers = _chosen(ledger)
    if not numbers:
        return [unchecked("run", "pnp-ct", "no slice ended by itself")]
    across = options.across is not None
    made = ledger.in_order() if across else [ledger.rows[number] for number in numbers]
    every = "all slices" if across else f"slices {', '.join(map(str, numbers))}"
    seconds = sum(row.get("seconds") or 0.0 for row in made)
    with Repeating(seconds, enabled=live) as line:
        line.announce(f"computing {every}")
        line.file(f"computing {every}")
        for done in compute(recipe, tuple(numbers)):
            number = done.row["slice"]
            held = store.read(plan.slices.index(number))
            try:
                claims += _slice(ledger.rows[number], done, held, HALF_LEVEL * width)
            except (KeyError, TypeError) as error:
                broken = Claim(f"slice {number}", "a row", f"a damaged one ({error!r})", False)
                claims.append(broken)
    rest = len(ledger.rows) - len(numbers)
    if rest and not across:
        reason = "not run again: their premises and constants are words of the ledger"
        claims.append(unchecked("other slices", rest, reason))
    return claims


def _chosen(ledger: Ledger) -> list[int]:
    """First, middle, last and worst of the slices that ended by themselves."""
    ended = [row for row in ledger.in_order() if row["status"] not in (FAILED, *BY_HAND)]
    if not ended:
        return []
    worst = max(ended, key=lambda row: row.get("residual") or 0.0)
    picked = (ended[0], ended[len(ended) // 2], ended[-1], worst)
    return sorted({row["slice"] for row in picked})


def _slice(row: Row, done: Done, held: np.ndarray, allowed: float) -> list[Claim]:
    """What a slice's row and values say, against the run of it."""
    name, made = f"slice {row['slice']}", done.row
    if done.values is None:
        return [Claim(f"{name}: run", row["status"], FAILED, False, made["message"])]
    off = float(np.abs(done.values - held).max())
    claims = [
        claim(f"{name}: certified", row["certified"], made["certified"]),
        claim(f"{name}: prior", row.get("prior", made["prior"]), made["prior"]),
        claim(f"{name}: theorem", row["certificate"]["theorem"], made["certificate"]["theorem"]),
        claim(
            f"{name}: constants",
            [[one["name"], one["value"]] for one in row["certificate"]["constants"]],
            [[one["name"], one["value"]] for one in made["certificate"]["constants"]],
        ),
        Claim(
            f"{name}: values",
            f"within {allowed:.3g} of the run's",
            f"at most {off:.3g} off",
            off <= allowed,
        ),
    ]
    if made["sha256"] == row.get("sha256"):
        # The same roundings: then the same steps, too.
        for key in ("status", "iterations", "residual"):
            claims.append(claim(f"{name}: {key}", row[key], made[key]))
    return claims


def _options(settings: Mapping[str, Any], source: Path) -> CtOptions:
    """The options of the run.

    Raises:
        InputError: another version has written them.
    """
    known: dict[str, Any] = {one.name: one.default for one in fields(CtOptions)}
    stored = {name: known[name] for name in APART}
    for name, value in settings.items():
        hashed = _HASHED.fullmatch(value) if isinstance(value, str) else None
        stored[name] = hashed[1] if hashed else value
    stored.pop("version", None)
    stored |= {"inputs": [str(source)], "quiet": True, "device": "auto"}
    return rebuilt(CtOptions, stored)
