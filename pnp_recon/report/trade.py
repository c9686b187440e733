"""What a kind of theorem means, and one of the other kind would have, for readers of a report."""

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

# What is proven, by the kind of theorem.
_MAP = (
    "One step of the method never moves two pictures further apart, and a picture exists that the "
    "step leaves as it is. A theorem then says that repeating the step settles on such a picture."
)
MEANING = {
    "averaged map": _MAP,
    "contraction": (
        "One step of the method moves any two pictures closer together. A theorem then says that "
        "one picture alone is left as it is by the step, and that repeating the step settles on it."
    ),
    "averaged map with summable deviations": (
        f"{_MAP} This run took shortcuts, kept so small that the theorem stays true."
    ),
    "anchored nonexpansive map": _MAP,
    "strong convexity along geodesics": (
        "What is made small curves upwards along every shortest way. So it has one lowest point, "
        "and the slope where the run ended bounds how far away that is."
    ),
    "saddle point": (
        "The method works on the picture and on a second set of numbers together; one step never "
        "moves two such pairs further apart, in a distance made for the purpose. A theorem then "
        "says that repeating the step settles on a pair whose picture is a best one: nothing "
        "makes the sum of misfit and regulariser smaller."
    ),
    "accelerated descent": (
        "The method makes a number smaller, the sum of misfit and regulariser. A theorem says how "
        "fast it nears its least value, and that the pictures settle on one that has it."
    ),
    "critical point": (
        "An energy says how well a picture fits the data and how likely it looks. Every step "
        "lowers it, by an amount that goes with the length of the step. A theorem then says that "
        "the steps settle on a picture where the energy is level: no small change lowers it at "
        "first. Other such pictures may exist."
    ),
    "Krylov": (
        "Each step takes the best of all pictures that the steps so far can reach. A theorem then "
        "says that errors never grow."
    ),
}
