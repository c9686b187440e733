"""How often a false constant of a denoiser is found out."""
