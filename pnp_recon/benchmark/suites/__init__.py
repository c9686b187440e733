"""What is measured: the suites, which `catalogue` lists without loading torch."""
