"""Bits of `cpu.pending`: events that wait to be taken."""

PENDING_INTR = 1
"""The 8259 pair asserts INTR (through LINT0, or directly without an APIC)."""
PENDING_NMI = 2
PENDING_SMI = 4
PENDING_INIT = 8
PENDING_STARTUP = 16
"""A start-up IPI with `startup_vector`."""
PENDING_EXTINT = 32
"""A message has told the local APIC that the 8259 pair has an interrupt for this processor."""
PENDING_MACHINE_CHECK = 64
"""The hardware has found an error in itself."""
