"""Hexadecimal floating point, exact: arithmetic on images and operands. ref: PoP chapter 18."""
