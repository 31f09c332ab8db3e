"""JSON and CSV files against the rules of the server."""
