"""The options of `pnp-train denoiser`, and the run that they stand for: a new one or a stored one.

Imports torch only where a run is made.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pnp_recon.cli.common import package_version, parse_level
from pnp_recon.errors import InputError

if TYPE_CHECKING:
    from pnp_recon.training_run import RunSettings


@dataclass(frozen=True)
class TrainOptions:
    """What was given on the command line; None, or left out of a mapping, what was not."""

    name: str | None
    channels: int | None
    hold_out: int | None
    threads: int | None
    recipe: Mapping[str, Any]
    network: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        name: str | None,
        channels: int | None,
        hold_out: int | None,
        threads: int | None,
        recipe: Mapping[str, Any],
        network: Mapping[str, Any],
    ) -> Self:
        return cls(name, channels, hold_out, threads, _given(recipe), _given(network))

    def all_given(self) -> dict[str, Any]:
        own = {key: getattr(self, key) for key in ("name", "channels", "hold_out", "threads")}
        return {**_given(own), **self.recipe, **self.network}


def training_level(text: str | None, option: str) -> float | None:
    """A noise level as in `common.parse_level`; None, the recipe's own, where none is given."""
    return None if text is None else parse_level(text, option)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def default_name(channels: int | None) -> str:
    return "euler_colour" if channels == 3 else "euler_grey"


def check_name(name: str) -> None:
    """Refuses (InputError) what is no plain file name."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise InputError(f"{name!r} is no name of a model; use letters, digits, '_' and '-'")


def run_settings(folder: Path, data: Path | None, given: TrainOptions) -> RunSettings:
    """The settings of the run in the folder, or else of a new one.

    Raises:
        InputError: neither a run nor data, a value outside its range, or options that differ
            from those of the run.
    """
    import torch

    from pnp_recon.networks.euler import EulerConfig
    from pnp_recon.training_recipe import DenoiserRecipe
    from pnp_recon.training_run import RunSettings, read_run, run_file

    if run_file(folder).exists():
        stored = read_run(folder)
        _refuse_differing(folder, stored, given)
        # The pictures may have moved; that they are the same ones is checked later.
        return replace(stored, data=data.absolute()) if data else stored
    if data is None:
        raise InputError(f"{folder} holds no run to resume; give --data FOLDER to start one")
    recipe = DenoiserRecipe(**given.recipe)
    channels = given.channels or 1
    network = dict(given.network)
    if network.get("group", "C1") != "C1":
        network.setdefault("lifting", "unshuffle")  # the only one into the fields of a group
    return RunSettings(
        name=given.name or default_name(channels),
        network=EulerConfig(channels=channels, **network),
        recipe=recipe,
        data=data.absolute(),
        hold_out=given.hold_out,
        threads=given.threads or torch.get_num_threads(),
        description={},
        made_with=_versions(),
    )


def _versions() -> dict[str, str]:
    import torch

    return {
        "pnp_recon": package_version(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _refuse_differing(folder: Path, stored: RunSettings, given: TrainOptions) -> None:
    kept = {
        **asdict(stored.recipe),
        **asdict(stored.network),
        "name": stored.name,
        "hold_out": stored.hold_out,
        "threads": stored.threads,
    }
    changed = [
        f"{key.replace('_', '-')} {kept[key]} (now {value})"
        for key, value in given.all_given().items()
        if kept[key] != value
    ]
    if changed:
        raise InputError(
            f"{folder} was begun with other options: {', '.join(changed)}; leave them out to "
            "resume it, or give another -o to start anew"
        )
