"""Training of learned energies: as denoisers, and at critical points of restoration problems."""
