"""What Hamiltonian and conserving steps keep, and what other steps lose, measured in seconds."""
