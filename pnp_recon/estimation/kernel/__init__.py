"""The blur kernel of a camera shake, estimated from the blurred picture alone."""

from pnp_recon.estimation.kernel.estimate import LARGEST, KernelEstimate, estimate_kernel

__all__ = ["LARGEST", "KernelEstimate", "estimate_kernel"]
