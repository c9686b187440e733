"""Solvers of min f(x) + g(x) with convex f and g."""
