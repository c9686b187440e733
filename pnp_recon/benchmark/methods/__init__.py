"""Every denoiser that the benchmark can run: by name, by path, or by a user's entry."""

from pnp_recon.benchmark.methods.base import Method, MethodInfo
from pnp_recon.benchmark.methods.registry import expand, known_methods, load_method

__all__ = ["Method", "MethodInfo", "expand", "known_methods", "load_method"]
