"""Types of fields: what a value of each type is, one row a type."""
