"""Tables of docs/results: their rows, their searches and the commands that write them."""
