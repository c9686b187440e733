"""Classification with proven radii: certified and attacked accuracy, and a whole pipeline."""
