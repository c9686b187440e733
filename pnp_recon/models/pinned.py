"""Weights whose exported constant the package vouches for: loading them proves nothing anew.

The averagedness constant stands in the hashed file itself. Of weights that are not listed it is
proven on loading, in seconds; tests/models/test_pinned.py proves it for those that are.
"""

from __future__ import annotations

# SHA-256 of the files of weights.
PINNED = frozenset(
    {
        "59fb9be05b0f1274d0236d45dd86a9625c7c7b070f0c7be114207a4b68f93a88",  # euler_colour
        "c852239adeea4e9da48f1d18f95f77a49173324c2c495f578826cf223141a19a",  # euler_ct
        "679e1fab13415e3079d94049eab3b36886a34b3850fe5430da06409270df33b8",  # euler_grey
        "01bd9b9d2cca4273dd422dfa41b2c1183ea9bbc709a8fcbcb89a08a3ce28909a",  # euler_grey_eq
    }
)
