"""What is not installed here, and what is left out for it: one line each.

    python -m scripts.accelerator.missing [--device cpu|cuda]

The exit code is 1 where that device is not there.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from importlib.util import find_spec

# By what they are imported as.
LEFT_OUT = {
    "deepinv": "deepinv's PnP beside ours, DnCNN, conversion of physics",
    "odl": "fan and cone beams, ASTRA's projectors",
    "astra": "fan and cone beams, astra_cuda",
    "pywt": "wavelet regularisers and denoisers",
    "imagecodecs": "compressed TIFF, 16 bit colour PNG",
    "jsonschema": "reports of the commands",
    "hypothesis": "the tests, whose set-up imports it",
    "pytest": "the tests",
    "triton": "compiled forms",
    "dask": "clusters",
    "dask_cuda": "one GPU a worker on one machine (LocalCUDACluster)",
}


def lines(names: Sequence[str] = tuple(LEFT_OUT)) -> list[str]:
    """What is said of libraries that are missing."""
    return [
        f"{name} is not installed; left out: {LEFT_OUT[name]}" for name in names if not there(name)
    ]


def there(name: str) -> bool:
    if name in sys.modules:
        return sys.modules[name] is not None
    return find_spec(name) is not None


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    given = parser.parse_args(argv)
    import torch

    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
    print(f"Python {platform.python_version()}, torch {torch.__version__}, on {where}")
    print("\n".join(lines()) or "all libraries are here")
    if given.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device is here; --dry-run runs on the CPU", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
