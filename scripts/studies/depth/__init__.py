"""Adaptive depth: a certified denoiser whose steps lie on a simplex; `__main__` is the front."""
