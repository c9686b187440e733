"""Text for whatever console there is: what it cannot show is said in other letters.

An old Windows code page or an ASCII locale has no σ. That must not end a run whose picture is
computed, so what cannot be encoded is spelled out. Imports nothing heavy.
"""

from __future__ import annotations

import codecs
import json
import sys
import unicodedata
from typing import Any

_ERRORS = "pnp_spelled_out"
_SPELLED = {
    "α": "alpha", "γ": "gamma", "δ": "delta", "ε": "eps", "λ": "lambda", "ρ": "rho",
    "σ": "sigma", "τ": "tau", "φ": "phi", "ψ": "psi", "ω": "omega", "∇": "grad ",
    "‖": "||", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "×": "x", "·": "*", "°": " deg",
    "→": "->", "−": "-", "–": "-", "—": "-", "…": "...", "∞": "inf", "√": "sqrt", "∈": " in ",
    "±": "+-", "½": "1/2", "∂": "d", "Σ": "sum ", "“": '"', "”": '"', "‘": "'", "’": "'",
}  # fmt: skip


def _spelled_out(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    return "".join(_SPELLED.get(char) or _plain(char) for char in found), error.end


def _plain(char: str) -> str:
    """ASCII: the letter without its accents, else its number (also of a byte that is no text)."""
    letters = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode("ascii")
    return letters or char.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(_ERRORS, _spelled_out)


def show_everything() -> None:
    """No character that is printed from now on raises UnicodeEncodeError."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_ERRORS)


def print_json(value: Any) -> None:
    """Prints JSON: beyond UTF-8 by its own escapes, so that it is read back as it was."""
    unicode = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    print(json.dumps(value, indent=1, ensure_ascii=not unicode))
