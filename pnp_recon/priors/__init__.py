"""Priors: denoisers (whole or in tiles) and unrolled networks."""
