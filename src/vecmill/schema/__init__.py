"""A collection: its fields, how a schema is read, and what formats and servers take of it."""
