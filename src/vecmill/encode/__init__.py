"""A caller's data to blocks of column bytes."""
