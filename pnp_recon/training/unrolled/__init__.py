"""Training of unrolled networks on simulated scans."""
