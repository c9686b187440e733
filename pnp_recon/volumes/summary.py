"""What is to be said of all slices together: how many are certified, the slowest, the worst."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pnp_recon.solvers import Status
from pnp_recon.volumes.ledger import FAILED, Row


@dataclass(frozen=True)
class Summary:
    """Counts and extremes over the slices of a volume.

    Attributes:
        slices: how many were asked for.
        certified: whose certificate holds, perhaps under conditions.
        uncertified: computed, without a certificate that holds.
        failed: not computed.
        missing: not begun.
        endings: how many ended in which status.
        slowest, worst: (slice, seconds) and (slice, relative residual), or None.
        seconds: all slices together, whatever ran side by side.
        failures: (slice, message) of the first few that failed.
    """

    slices: int
    certified: int
    uncertified: int
    failed: int
    missing: int
    endings: dict[str, int]
    slowest: tuple[int, float] | None
    worst: tuple[int, float] | None
    seconds: float
    failures: tuple[tuple[int, str], ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """The same in words."""
        parts = [f"{self.certified} certified", f"{self.uncertified} not certified"]
        parts += [f"{self.failed} failed"] + ([f"{self.missing} not done"] if self.missing else [])
        ends = "; ".join(f"{count} {_words(name)}" for name, count in self.endings.items())
        out = [f"slices: {self.slices}: {', '.join(parts)}"]
        if ends:
            out.append(f"ended: {ends}")
        if self.slowest is not None:
            out.append(
                f"slowest: slice {self.slowest[0]}, {self.slowest[1]:.1f} s; together "
                f"{self.seconds:.1f} s"
            )
        if self.worst is not None:
            out.append(f"worst residual: slice {self.worst[0]}, {self.worst[1]:.2e}")
        out += [f"failed: slice {number}: {message}" for number, message in self.failures]
        return out


def _words(name: str) -> str:
    """The sentence of a status, without its advice, or the name of one that there no longer is."""
    status = Status.__members__.get(name.upper())
    return name if status is None else status.value.partition(";")[0]


def summarise(rows: Sequence[Row], asked: int, most_failures: int = 5) -> Summary:
    """The summary of the rows of a volume of `asked` slices."""
    done = [row for row in rows if row["status"] != FAILED]
    bad = [row for row in rows if row["status"] == FAILED]
    certified = sum(bool(row["certified"]) for row in done)
    residuals = [(row["slice"], row["residual"]) for row in done if row["residual"] is not None]
    times = [(row["slice"], row["seconds"]) for row in done]
    return Summary(
        asked,
        certified,
        len(done) - certified,
        len(bad),
        asked - len(rows),
        dict(Counter(row["status"] for row in done)),
        max(times, key=lambda one: one[1], default=None),
        max(residuals, key=lambda one: one[1], default=None),
        sum(seconds for _, seconds in times),
        tuple((row["slice"], row["message"]) for row in bad[:most_failures]),
    )
