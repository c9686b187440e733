"""What structured optimisers do: on a function of the plane, on a certified denoiser."""
