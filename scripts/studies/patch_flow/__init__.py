"""Patch flows and critics as energies: trained on few pictures, in deblurring and CT."""
