"""Training of denoisers at the fixed point of the iteration that they run in."""
