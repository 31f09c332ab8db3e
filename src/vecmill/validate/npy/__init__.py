"""Sets of NPY files against the rules of the server."""
