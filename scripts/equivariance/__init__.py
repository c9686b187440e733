"""The studies of equivariant networks: one module each, `equivariance_study.py` is their front."""
