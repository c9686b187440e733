"""Pages of the repository outside docs/: copied in before the site is built, links put right.

On a forge `../trained_models/README.md` is a link; for Sphinx it leaves the tree. Text files become
pages under generated/, anything else that a page points to outside docs/ is shown as its path.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

_FOLDER = "generated/repository"
_PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "trained_models/README.md",
    "data/README.md",
    "benchmarks/README.md",
    "scripts/accelerator/README.md",
)
# A link of Markdown, not a picture's: [words](target#anchor)
_LINK = re.compile(
    r"(?P<bang>!?)\[(?P<words>[^\]]*)\]\((?P<target>[^)#\s]*)(?P<anchor>#[^)\s]*)?\)"
)


def _page(path: str) -> str:
    return f"{_FOLDER}/{path.removesuffix('.md').replace('/', '-').lower()}.md"


def _rewritten(text: str, at: Path, docs: Path) -> str:
    """The text of a page that stands at `at`, with targets that exist in the site."""
    root = docs.parent

    def put_right(found: re.Match[str]) -> str:
        target = found["target"]
        if not target or "://" in target or target.startswith("mailto:"):
            return found[0]
        goal = (at.parent / target).resolve()
        if not goal.is_relative_to(root):
            return found[0]
        inside = goal.relative_to(root).as_posix()
        anchor = found["anchor"] or ""
        if inside in _PAGES:
            return f"{found['bang']}[{found['words']}](/{_page(inside)}{anchor})"
        if goal.is_relative_to(docs) and goal.suffix == ".md" and goal.name != "README.md":
            return (
                f"{found['bang']}[{found['words']}](/{goal.relative_to(docs).as_posix()}{anchor})"
            )
        if goal == docs / "README.md":
            return f"[{found['words']}](/index.md)"
        if found["bang"] and goal.is_relative_to(docs):
            return f"![{found['words']}](/{goal.relative_to(docs).as_posix()})"
        if goal.is_relative_to(docs) and goal.suffix == ".md":
            return f"[{found['words']}](/{goal.relative_to(docs).as_posix()}{anchor})"
        return f"{found['words']} (`{inside}`)"

    return _LINK.sub(put_right, text)


def _copy(app: Sphinx) -> None:
    docs = Path(app.srcdir).resolve()
    (docs / _FOLDER).mkdir(parents=True, exist_ok=True)
    for name in _PAGES:
        text = (docs.parent / name).read_text(encoding="utf-8")
        made = docs / _page(name)
        made.write_text(_rewritten(text, docs.parent / name, docs), encoding="utf-8")


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    docs = Path(app.srcdir).resolve()
    if not name.startswith("generated/"):
        text = source[0] if source[0].startswith("# ") else f"# {_title(name)}\n\n{source[0]}"
        source[0] = _rewritten(text, docs / f"{name}.md", docs)


def _title(name: str) -> str:
    """A table that begins without a heading is called as its file is."""
    words = name.rpartition("/")[2].replace("_", " ")
    return " ".join(
        {"ct": "CT", "mri": "MRI", "jpeg": "JPEG"}.get(w, w) for w in words.split()
    ).strip()


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", _copy)
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
