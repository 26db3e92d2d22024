"""Exact IEEE binary floating point, in integers. ref: PoP 9 and 19."""
