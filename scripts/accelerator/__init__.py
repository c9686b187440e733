"""Training of learned energies on a GPU, under a time budget; needs torch, numpy, Pillow alone."""
