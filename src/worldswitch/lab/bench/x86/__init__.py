"""The benchmark of the x86-64 machine."""
