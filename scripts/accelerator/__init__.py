"""What runs on an accelerator: checks of the package there, and training."""
