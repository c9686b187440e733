"""The strength of the prior from the data: trials (`probe`), the choice (`rule`), the search."""
