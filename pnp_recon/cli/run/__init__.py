"""What the commands that reconstruct share: options, jobs, the run, and what is said of it."""
