"""Training of denoisers on pictures with Gaussian noise."""
