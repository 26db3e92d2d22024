"""x86 machine code from assembly source, by LLVM's assembler."""

from functools import cache
from io import BytesIO

import llvmlite.binding as llvm
from elftools.elf.elffile import ELFFile

TRIPLE = "x86_64-unknown-linux-gnu"


@cache
def _machine() -> llvm.TargetMachine:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()
    return llvm.Target.from_triple(TRIPLE).create_target_machine()


@cache
def assemble(source: str) -> tuple[bytes, dict[str, int]]:
    """The text and the offsets of its labels; Intel's syntax, `.code32` for 32-bit code.

    Addresses are numbers: nothing is relocated.
    """
    lines = [".intel_syntax noprefix", ".text", *source.splitlines()]
    text = "".join(f'module asm "{line}"\n' for line in lines)
    module = llvm.parse_assembly(f'target triple = "{TRIPLE}"\n{text}')
    elf = ELFFile(BytesIO(_machine().emit_object(module)))
    assert elf.get_section_by_name(".rela.text") is None, "an address that is not known"
    symbols = elf.get_section_by_name(".symtab").iter_symbols()
    labels = {s.name: s["st_value"] for s in symbols if s.name}
    return elf.get_section_by_name(".text").data(), labels
