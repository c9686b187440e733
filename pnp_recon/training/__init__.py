"""Training: the loop, recipes and optimisers, and one folder for each task."""
