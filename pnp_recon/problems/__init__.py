"""What is to be reconstructed: problems, measured or simulated, and how their noise is drawn."""
