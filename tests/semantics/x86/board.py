"""A processor that begins in real mode, for tests of programs that make their own world."""

from worldswitch.arch.x86.models import MODELS
from worldswitch.lab.x86_assembler import Program, assemble
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.processor import Bus, Complex
from worldswitch.metal.x86.storage import Storage

ES, CS, SS, DS, FS, GS, LDTR, TR = range(8)
RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI = range(8)


class Board:
    """16 MiB of memory and one processor in real mode. engine: "native" or "python"."""

    def __init__(
        self, engine: str = "native", model: str = "epyc-milan", bus: Bus | None = None
    ) -> None:
        self.storage = Storage(16 << 20)
        self.complex = Complex(self.storage, MODELS[model], 1, engine, bus=bus)
        self.processor = self.complex.processors[0]
        self.raw = self.processor.raw

    def load(self, source: str, origin: int = 0x8000) -> Program:
        """Assemble a program into memory and start at its first byte, with CS 0."""
        program = assemble(source, origin)
        self.storage.write(origin, program.text)
        self.processor.reset()
        raw = self.raw
        raw.running, raw.halted, raw.check = 1, 0, 0
        raw.seg_selector[CS], raw.seg_base[CS], raw.rip = 0, 0, origin
        raw.gr[RSP] = 0x7000
        raw.jump_generation += 1
        self.processor.call("update_mode")
        return program

    def run(self, source: str, limit: int = 10_000, origin: int = 0x8000) -> Program:
        """Run a program to its HLT."""
        program = self.load(source, origin)
        reason = self.go(limit)
        assert reason == Exit.HALT, (reason, hex(self.raw.rip), self.raw.vector)
        return program

    def go(self, limit: int = 10_000) -> Exit:
        """Run on from where the processor is."""
        self.raw.halted = 0
        return self.processor.run(limit)

    def get(self, address: int, size: int = 4) -> int:
        """A little-endian number in memory."""
        return int.from_bytes(self.storage.read(address, size), "little")

    def put(self, address: int, value: int, size: int = 8) -> None:
        """Put a little-endian number into memory."""
        self.storage.write(address, value.to_bytes(size, "little"))
