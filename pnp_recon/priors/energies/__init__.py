"""Energies as priors: what is known of R_σ, and how that is checked."""
