"""Pictures and slices: fetched, checked, written in another form."""
