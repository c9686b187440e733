"""The loop, and what every run leaves behind: certificate, laws, history, status."""
