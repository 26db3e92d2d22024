"""What guest programs under SVM that take interrupts need."""

APIC = 0xFEE0_0000
APIC_ON = f"movl $0x1ff, {APIC + 0xF0:#x}"
EOI = f"movl $0, {APIC + 0xB0:#x}"
"""Instructions that turn the local APIC on, and that end an interrupt."""


class Pic:
    """An 8259 pair with interrupts in a list."""

    def __init__(self, *vectors: int) -> None:
        self.vectors = list(vectors)

    @property
    def intr(self) -> bool:
        """Whether there is one."""
        return bool(self.vectors)

    def acknowledge(self) -> int:
        """Take the first."""
        return self.vectors.pop(0)
