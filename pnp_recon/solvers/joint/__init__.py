"""Picture and blur kernel together: descent on one energy of both, to a critical point."""
