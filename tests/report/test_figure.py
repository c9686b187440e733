"""The figure says what is proven of the iteration and, below it, what speaks against the picture.

Twin: a run without doubts has no second line.
"""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from pnp_recon.report import figure
from support.reports import make_run


def lines(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[Text]:
    """The texts of the figure of a run, in order of their height."""
    drawn: list[Figure] = []
    keep = lambda it, *_, **__: (it.draw_without_rendering(), drawn.append(it))  # noqa: E731
    monkeypatch.setattr(Figure, "savefig", keep)
    figure.figure_png(make_run(**changes))
    found = [text for text in drawn[0].findobj(Text) if text.get_text()]
    return sorted(found, key=lambda text: -text.get_window_extent().y0)


@pytest.mark.parametrize("doubts", [("it is worse; cost $5 or $6",), ("no sharper", "ends"), ()])
def test_a_doubt_stands_below_the_headline(
    monkeypatch: pytest.MonkeyPatch, doubts: tuple[str, ...]
) -> None:
    headline, second, *_ = lines(monkeypatch, doubts=doubts)
    assert headline.get_text().startswith("certified")
    assert second.get_text().startswith("doubt: ") == bool(doubts)
    if doubts:
        assert doubts[0] in second.get_text()
        assert ("1 more" in second.get_text()) == (len(doubts) == 2)
        assert second.get_fontsize() < headline.get_fontsize()


def test_a_long_doubt_stays_within_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    def width() -> float:
        second = lines(monkeypatch, doubts=("the result may be worse than the input " * 7,))[1]
        return second.get_window_extent().width / second.get_figure(root=True).bbox.width

    assert width() < 1
    monkeypatch.setattr(figure, "wrap", lambda text, _: [text])  # the twin: in one line
    assert width() > 1
