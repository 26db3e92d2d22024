"""The assembler of x86 programs: LLVM's, as llvmlite has it. That of s390x is the metal's own.

program = assemble('''
    .code16
    start: ljmp $0x8, $wide
    .code32
    wide: hlt
''', origin=0x8000)
program.text, program.symbols["wide"]

llvmlite gives the parser of the host's own assembly alone, so this needs an x86-64 host.
"""

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm
from elftools.elf.elffile import ELFFile

TRIPLE = "x86_64-unknown-linux-gnu"
SIZES = {"R_X86_64_8": 1, "R_X86_64_16": 2, "R_X86_64_32": 4, "R_X86_64_32S": 4, "R_X86_64_64": 8}
RELATIVE = {"R_X86_64_PC8": 1, "R_X86_64_PC16": 2, "R_X86_64_PC32": 4, "R_X86_64_PLT32": 4}


class UnavailableError(RuntimeError):
    """There is no assembler for x86 on this host."""


@dataclass(frozen=True)
class Program:
    """Machine code for one address, and where its labels are."""

    origin: int
    text: bytes
    symbols: dict[str, int]


@lru_cache
def _machine() -> Any:
    if not llvm.get_default_triple().startswith("x86_64"):
        # LLVM itself would end the process.
        raise UnavailableError("x86 programs can be assembled on x86-64 hosts only")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    return llvm.Target.from_triple(TRIPLE).create_target_machine(reloc="static")


@lru_cache(maxsize=256)
def assemble(source: str, origin: int = 0) -> Program:
    """Assemble text, of `.code64` and in AT&T syntax until it says `.code32`, `.intel_syntax`.

    Absolute addresses count from `origin`. Raises ValueError for a symbol that is not defined and
    UnavailableError on hosts that are not x86-64. For text that is wrong, LLVM prints a message
    with the line and ends the process.
    """
    escaped = "".join(
        chr(c) if 32 <= c < 127 and chr(c) not in '"\\' else f"\\{c:02X}"
        for c in source.encode()
    )  # fmt: skip
    module = llvm.parse_assembly(f'target triple = "{TRIPLE}"\nmodule asm "{escaped}"\n')
    elf = ELFFile(io.BytesIO(_machine().emit_object(module)))
    # The sections' own classes, which the library's annotations do not tell.
    section: Any = elf.get_section_by_name(".text")
    text = bytearray(section.data())
    table: Any = elf.get_section_by_name(".symtab")
    symbols = {s.name: _value(s, origin) for s in table.iter_symbols() if s.name}
    fixups: Any = elf.get_section_by_name(".rela.text")
    kinds = {v: k for k, v in _relocation_types().items()}
    for fixup in fixups.iter_relocations() if fixups else ():
        symbol = table.get_symbol(fixup["r_info_sym"])
        kind, at = kinds[fixup["r_info_type"]], fixup["r_offset"]
        value = _value(symbol, origin) + fixup["r_addend"]
        if symbol["st_shndx"] == "SHN_UNDEF":
            raise ValueError(f"{symbol.name} is not defined")
        if kind in RELATIVE:
            value -= origin + at
        size = RELATIVE.get(kind) or SIZES[kind]
        text[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
    return Program(origin, bytes(text), symbols)


def _value(symbol: Any, origin: int) -> int:
    """A label's address, or what `.set` gave a symbol."""
    value: int = symbol["st_value"]
    return value if symbol["st_shndx"] == "SHN_ABS" else origin + value


def _relocation_types() -> dict[str, int]:
    from elftools.elf.enums import ENUM_RELOC_TYPE_x64

    types: Any = ENUM_RELOC_TYPE_x64
    return {name: types[name] for name in (*SIZES, *RELATIVE)}
