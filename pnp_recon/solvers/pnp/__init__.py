"""Iterations with a denoiser: PGD, HQS, DRS and RED."""
