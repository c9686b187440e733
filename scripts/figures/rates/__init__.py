"""Solvers on problems with a known solution, and the rates that their theorems claim."""
