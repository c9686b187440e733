"""Learned energies R_σ(x) of pictures with exact gradients: gradient-step and ridge energies."""
