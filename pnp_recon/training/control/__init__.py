"""Training as optimal control: layers are times, weights are controls (docs/control.md)."""
