"""The benchmark of denoisers: denoising, reconstruction and stability, side by side.

`cells` says what is measured, `methods` by whom, `suites` how; `planning` makes a plan of what was
asked for (`choice`), `runner` carries it out, `store` keeps the results, `report` and `compare`
show them. `Method` is what a denoiser of your own derives from:

    from pnp_recon.benchmark import Method

    class Mine(Method):
        def denoise(self, x, sigma): return x

Names are resolved when they are first used (PEP 562): help and tables need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnp_recon.registry import by_need

if TYPE_CHECKING:
    from pnp_recon.benchmark.methods.base import Method

__all__ = ["Method"]


__getattr__ = by_need(__name__, {"Method": "methods.base"})


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
