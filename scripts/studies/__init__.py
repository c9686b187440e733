"""Studies that take several steps: rows first, then a page with figures."""
