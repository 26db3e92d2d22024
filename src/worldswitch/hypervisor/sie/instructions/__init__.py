"""Intercepted instructions, one module per first byte of the opcode."""
