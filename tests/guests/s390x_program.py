"""Run an assembled s390x program on a bare processor until it executes DIAGNOSE 0xFFF."""

from pathlib import Path

from worldswitch.machine.s390x.modelled import modelled_cpu
from worldswitch.metal.s390x.assembler import Program, assemble
from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.processor import Complex, Processor
from worldswitch.metal.s390x.storage import Storage

PSW_64 = 0x0000_0001_8000_0000
SOURCES = Path(__file__).parent / "s390x"


def source(name: str) -> str:
    """The text of a program under tests/guests/s390x."""
    return (SOURCES / f"{name}.s").read_text()


def load(
    text: str, origin: int = 0x1000, engine: str = "native", model: str = "z14"
) -> tuple[Processor, Program]:
    """A processor about to execute the assembled `text` from `origin` in 64-bit mode."""
    storage = Storage(4 << 20)
    processor = Complex(storage, modelled_cpu(model), 1, engine).processors[0]
    program = assemble(text, origin)
    storage.write(origin, program.text)
    processor.raw.running = 1
    processor.psw = (PSW_64, origin)
    return processor, program


def run(processor: Processor, budget: int = 100_000) -> Exit:
    """Execute; the reason for coming back."""
    return processor.run(budget)
