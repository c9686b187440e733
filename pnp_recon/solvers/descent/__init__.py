"""Descent on an explicit energy: f + λR_σ + a penalty outside the box, to a critical point."""
