"""Training of classifiers with proven radii."""
