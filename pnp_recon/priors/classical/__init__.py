"""Classical denoisers: maps of the pictures alone, with what is proven of each."""
