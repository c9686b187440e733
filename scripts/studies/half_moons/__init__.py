"""Half-moons: the density of points of the plane by four kinds of flows, under one law."""
