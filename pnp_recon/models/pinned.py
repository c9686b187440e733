"""Networks whose exported constant the package vouches for: loading them proves nothing anew.

The averagedness constant stands in the hashed file of the weights itself; how the network is built
of them stands on the card, which anybody may edit. So both are pinned. Of what is not listed the
constant is proven on loading, in seconds; tests/models/test_pinned.py proves it for what is.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields

from pnp_recon.networks.configs import EulerConfig

# `mark` of each.
PINNED = frozenset(
    {
        "b47604ab45d989fe072494058ec70eb4c72fabe3f809185ec3ddff42a99dc4d2",  # euler_colour
        "98900dc0db8b0edb6e32d660184cbae20c5f5867930994e16d1f32b0d3ead37d",  # euler_ct
        "aa3adf2b76d8f417898ca4ef4372a589005bd7b59197fbf325ad1985497ecc58",  # euler_grey
        "3497e82996a14bbb25ae3b65af7ee41b8de4715aa71c826d7bbe8303ed598caa",  # euler_grey_eq
    }
)


def mark(sha256: str, config: EulerConfig) -> str:
    """The hash of weights and of how the network is built; what is at its default is left out."""
    plain = {field.name: field.default for field in fields(config)}
    built = {name: value for name, value in asdict(config).items() if value != plain[name]}
    words = f"{sha256} {json.dumps(built, sort_keys=True)}"
    return hashlib.sha256(words.encode()).hexdigest()
