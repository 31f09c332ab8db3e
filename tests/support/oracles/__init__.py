"""Slow, obvious Python twins of the compiled kernels, a module for each native/*.pyx: what a kernel must do."""
