"""Results on disk: `manifest.json` and `results.csv` in a folder, safe against a kill at any time.

The manifest is written whole, before the first cell; rows are appended one line at a time. A
finished run is sorted into the order of its plan, so that the table does not depend on who was done
first. Opening a run writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pnp_recon.benchmark import table
from pnp_recon.benchmark.cells import Cell, Key, Plan
from pnp_recon.benchmark.rows import Row
from pnp_recon.errors import InputError, OutputError
from pnp_recon.files import atomic_write, write_reason

MANIFEST_VERSION = 1


class Results:
    """The results of one run.

    Attributes:
        folder: holds `manifest.json`, `results.csv`, `curves/` and `pictures/`.
        plan: what is run.
        about: when, by which command, with which versions, what the methods are.
    """

    def __init__(self, folder: Path, plan: Plan, about: Mapping[str, Any]) -> None:
        self.folder, self.plan, self.about = folder, plan, dict(about)
        self._rows: dict[Key, Row] = {}

    @classmethod
    def create(cls, folder: Path, plan: Plan, about: Mapping[str, Any]) -> Results:
        """A new run in an empty or new folder.

        Raises:
            InputError: the folder holds a run already.
            OutputError: it cannot be written.
        """
        if manifest_file(folder).exists():
            raise InputError(
                f"{folder} holds a benchmark already; continue it with --resume, or give another -o"
            )
        results = cls(folder, plan, about)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot create {folder}: {write_reason(error)}") from error
        table.write(results.table, ())
        content = {"manifest_version": MANIFEST_VERSION, "plan": plan.to_dict(), **about}
        atomic_write(
            manifest_file(folder), json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        )
        return results

    @classmethod
    def open(cls, folder: Path) -> Results:
        """A run that was begun.

        Raises:
            InputError: there is none, or manifest or table are damaged.
        """
        path = manifest_file(folder)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            version, plan = content.pop("manifest_version"), content.pop("plan")
        except OSError as error:
            raise InputError(
                f"{folder} holds no benchmark ({path.name}: {error.strerror}); expected the folder "
                "that `pnp-bench run -o` made"
            ) from error
        except (ValueError, KeyError, AttributeError) as error:
            raise InputError(f"{path} is damaged ({error}); start the run anew") from error
        if version != MANIFEST_VERSION:
            raise InputError(f"{path} has version {version}, expected {MANIFEST_VERSION}")
        results = cls(folder, Plan.from_dict(plan), content)
        known = {cell.key for cell in results.plan.cells()}
        results._rows = {row.key: row for row in table.read(results.table) if row.key in known}
        return results

    @property
    def table(self) -> Path:
        return self.folder / "results.csv"

    @property
    def rows(self) -> list[Row]:
        """The rows in the order of the plan."""
        return [self._rows[cell.key] for cell in self.plan.cells() if cell.key in self._rows]

    def todo(self) -> list[Cell]:
        """Cells without a row, in the order of the plan."""
        return [cell for cell in self.plan.cells() if cell.key not in self._rows]

    def add(self, row: Row) -> None:
        """Appends a row and flushes it to the disk.

        Raises:
            OutputError: the disk is full, or the file cannot be written.
        """
        table.append(self.table, row)
        self._rows[row.key] = row

    def drop(self, keys: Iterable[Key]) -> None:
        """Forgets rows, so that their cells are run again."""
        for key in keys:
            del self._rows[key]
        self.sort()

    def sort(self) -> None:
        """Rewrites the table in the order of the plan, without what a kill cut off."""
        table.write(self.table, self.rows)

    def save_curve(self, cell: Cell, curve: Mapping[str, list[float]]) -> None:
        """Keeps the course of an iteration: equally long lists by name, for the report."""
        atomic_write(self._beside("curves", f"{cell.slug}.json"), json.dumps(dict(curve)))

    def curve(self, cell: Cell) -> dict[str, list[float]] | None:
        path = self.folder / "curves" / f"{cell.slug}.json"
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None

    def save_picture(self, name: str, png: bytes) -> None:
        """Keeps a PNG under `pictures/`."""
        atomic_write(self._beside("pictures", f"{name}.png"), png)

    def _beside(self, folder: str, name: str) -> Path:
        try:
            (self.folder / folder).mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {self.folder}: {write_reason(error)}") from error
        return self.folder / folder / name


def manifest_file(folder: Path) -> Path:
    return folder / "manifest.json"
