"""Compiled kernels. Python owns memory and lifetimes; a kernel borrows views for the length of one call."""
