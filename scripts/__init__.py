"""What writes the tables, figures and studies of docs/, and fetches their data; see README.md."""
