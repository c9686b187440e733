"""Iterations wrapped around a solver, safeguarded so that its theorem stays."""
