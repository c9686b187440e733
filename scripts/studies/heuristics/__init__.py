"""How often heuristics of the package are right, counted on what they were not written for."""
