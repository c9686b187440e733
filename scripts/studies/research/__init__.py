"""Research on denoisers: what a change of network, loss or optimiser brings."""
