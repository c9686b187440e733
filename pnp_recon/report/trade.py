"""What a theorem of the other kind would have meant, for readers of a report. Words alone."""

from __future__ import annotations

# What a theorem of the other kind would have meant, by the kind of the one that holds.
_AVERAGED = (
    " It rests on a denoiser that never moves two pictures apart, so that nearby data end at "
    "nearby pictures wherever the step contracts. An energy (--denoiser energy_colour) mostly "
    "gives the better picture, and promises no such stability."
)
OTHER_KIND = {
    "critical point": (
        " It rests on an energy that falls at every step: the steps converge to a critical point "
        "of it, of which the picture is made and which may depend on where the run began. "
        "An averaged denoiser (--denoiser euler_colour) "
        "would also bound how far two runs can part; its picture is mostly the poorer one."
    ),
    "averaged map": _AVERAGED,
    "contraction": _AVERAGED,
    "averaged map with summable deviations": _AVERAGED,
}
