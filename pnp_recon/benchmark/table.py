"""A table of rows in a CSV file that grows by whole lines, safe against a kill at any time.

A row is appended in a single write. What a kill cut off is left out when the table is read; it must
be written anew (`write`) before rows are appended again. Reading never writes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from pnp_recon.benchmark.rows import Row, from_fields, header, to_line
from pnp_recon.errors import InputError
from pnp_recon.files import append_line, atomic_write


def read(path: Path) -> list[Row]:
    """The whole lines of a table, in their order.

    Raises:
        InputError: it cannot be read, or is damaged other than at its end.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    whole = text[: text.rfind("\n") + 1]
    return [from_fields(fields) for fields in csv.DictReader(io.StringIO(whole))]


def write(path: Path, rows: Iterable[Row]) -> None:
    """Makes or replaces a table, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    atomic_write(path, header() + "".join(map(to_line, rows)))


def append(path: Path, row: Row) -> None:
    """Appends a row: one write of one whole line, flushed to the disk.

    Raises:
        OutputError: the disk is full, or the file cannot be written.
    """
    append_line(path, to_line(row).encode("utf-8", "backslashreplace"))
