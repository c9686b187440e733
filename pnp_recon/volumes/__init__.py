"""Volumes: many slices of one scan, reconstructed out of core, one certificate each.

Data flow one way: a `plan` says which slices and in which slabs; `run` has them computed, in this
process, in several or on Dask, and is the one writer into `store` (the values) and `ledger` (what
is known of each slice); `summary` and `figure` read what these two hold. How a slice is
reconstructed is given to `run` as a function; this package knows neither commands nor solvers.
"""
