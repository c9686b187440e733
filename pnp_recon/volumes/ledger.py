"""What is known of each slice, in a file of JSON lines beside the volume, safe against a kill.

The first line is the plan; each further line is one slice, written whole after its values. A slice
that was tried again has several lines, of which the last counts. A line that a kill cut off is left
out, and dropped before anything is appended.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pnp_recon.errors import InputError
from pnp_recon.files import append_line, atomic_write
from pnp_recon.volumes.plan import Plan

VERSION = 1
FAILED = "failed"
Row = dict[str, Any]


class Ledger:
    """The plan of a volume and the rows of its slices.

    Attributes:
        path: the file.
        plan: what the rows are of.
        rows: by the slice's number in the scan.
    """

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path, self.plan = path, plan
        self.rows: dict[int, Row] = {}

    @classmethod
    def create(cls, path: Path, plan: Plan) -> Ledger:
        """A new one, in the place of any old one.

        Raises:
            OutputError: it cannot be written.
        """
        ledger = cls(path, plan)
        ledger._rewrite()
        return ledger

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """One that was begun.

        Raises:
            InputError: it cannot be read, or is damaged.
        """
        try:
            text = path.read_bytes().decode("utf-8", errors="replace")
            first, *lines = text[: text.rfind("\n") + 1].splitlines()
            head = json.loads(first)
            if head.pop("version") != VERSION:
                raise InputError(f"{path} has another version; give --overwrite to start anew")
            ledger = cls(path, Plan.from_dict(head["plan"]))
            for line in lines:
                row = json.loads(line)
                _ = row["status"]  # or nobody knows what became of it
                ledger.rows[row["slice"]] = row
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} is damaged ({error}); give --overwrite to start anew"
            ) from error
        return ledger

    def todo(self) -> list[int]:
        """Slices without a row, and those that failed."""
        return [
            number
            for number in self.plan.slices
            if number not in self.rows or self.rows[number]["status"] == FAILED
        ]

    def in_order(self) -> list[Row]:
        """The rows in the order of the volume."""
        return [self.rows[number] for number in self.plan.slices if number in self.rows]

    def mend(self) -> None:
        """Drops what a kill cut off, so that lines can be appended."""
        self._rewrite()

    def add(self, row: Row) -> None:
        """Appends a row: one write of one whole line, flushed to the disk.

        Raises:
            OutputError: the disk is full, or the file cannot be written.
        """
        append_line(self.path, _line(row).encode())
        self.rows[row["slice"]] = row

    def _rewrite(self) -> None:
        head = {"version": VERSION, "plan": self.plan.to_dict()}
        atomic_write(self.path, "".join(map(_line, (head, *self.in_order()))))


def difference(old: Plan, new: Plan) -> str:
    """In what two plans differ, apart from what was found by looking, in words; may be empty."""
    if old.sha256 != new.sha256:
        return "another scan"
    if old.slices != new.slices:
        return f"the slices {_range(old.slices)}, not {_range(new.slices)}"
    names = sorted({*old.settings, *new.settings})
    other = [name for name in names if old.settings.get(name) != new.settings.get(name)]
    return ", ".join(
        f"{name} {old.settings.get(name)}, not {new.settings.get(name)}" for name in other
    )


def _range(slices: range) -> str:
    return f"{slices.start}:{slices.stop}:{slices.step}"


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
