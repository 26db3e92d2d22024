"""Guest programs of the benchmark, in the forms that the two sides load."""

import struct

from worldswitch.lab.programs import source
from worldswitch.metal.s390x.assembler import Program, assemble

ORIGIN = 0x10000
PSW_64 = 0x0000_0001_8000_0000
EM_S390 = 22


def program(name: str, **values: int) -> Program:
    """An assembled program of lab/programs with doublewords patched, by label."""
    made = assemble(source(name), ORIGIN)
    text = bytearray(made.text)
    for label, value in values.items():
        struct.pack_into(">Q", text, made.labels[label] - ORIGIN, value)
    return Program(ORIGIN, bytes(text), made.labels)


def kernel_image(made: Program) -> bytes:
    """A raw image of storage from 0 on, as a Linux kernel's; it starts at the program's origin."""
    return bytes(made.origin) + made.text


def elf_image(made: Program) -> bytes:
    """An ELF executable with one segment, which starts at the program's origin."""
    headers = 64 + 56
    size = len(made.text)
    identification = b"\x7fELF\x02\x02\x01" + bytes(9)
    file_header = struct.pack(
        ">HHIQQQIHHHHHH", 2, EM_S390, 1, made.origin, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    where = made.origin
    segment = struct.pack(">IIQQQQQQ", 1, 7, headers, where, where, size, size, 8)
    return identification + file_header + segment + made.text
