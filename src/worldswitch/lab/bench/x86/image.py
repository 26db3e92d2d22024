"""Guest programs of the x86 benchmark, in the forms that the sides load."""

import struct

from worldswitch.lab.bench.measure import MeasureError
from worldswitch.lab.programs import source
from worldswitch.lab.x86_assembler import Program, UnavailableError, assemble
from worldswitch.machine.x86.loader.entry import Registers, protected32

ORIGIN = 0x10_0000
EM_X86_64 = 62
HEAD = "x86_head"


def program(name: str, instruction: str = "", **values: int) -> Program:
    """An assembled program of lab/programs with quadwords patched, by label.

    instruction: what replaces its `@`. Raises MeasureError where x86 programs cannot be assembled.
    """
    text = source(HEAD) + source(name).replace("@", instruction)
    try:
        made = assemble(text, ORIGIN)
    except UnavailableError as error:
        raise MeasureError(str(error)) from None
    image = bytearray(made.text)
    for label, value in values.items():
        struct.pack_into("<Q", image, made.symbols[label] - ORIGIN, value)
    return Program(ORIGIN, bytes(image), made.symbols)


def start() -> Registers:
    """What a program starts with; it loads descriptors of its own before it needs any."""
    return protected32((0, 0), ORIGIN, 0, 0)


def elf_image(made: Program) -> bytes:
    """An ELF executable with a PVH entry point at the program's origin."""
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", made.origin)
    headers = 64 + 2 * 56
    where = made.origin
    begin = headers + len(note)
    file_header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, EM_X86_64, 1, where, 64, 0, 0,
        64, 56, 2, 0, 0, 0,
    )  # fmt: skip
    size = len(made.text)
    segments = struct.pack("<IIQQQQQQ", 1, 7, begin, where, where, size, size, 4)
    segments += struct.pack("<IIQQQQQQ", 4, 4, headers, 0, 0, len(note), len(note), 4)
    return file_header + segments + note + made.text
