"""Training as optimal control, measured: stopping times, depth, continuous flows."""
