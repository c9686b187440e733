"""Optimisers that keep a structure of a dissipative flow, as `torch.optim.Optimizer`s.

They are for functions whose structure is of interest, not what this package trains with.
"""
