"""Phases, diffusion tensors and rotations, denoised where they live and as plain numbers."""
