"""The studies of equivariant networks: one module each, `__main__` is their front."""
