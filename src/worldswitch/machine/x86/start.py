"""A processor brought into the state that a boot protocol promises."""

from worldswitch.machine.x86.loader import Registers
from worldswitch.metal.x86.processor import Processor
from worldswitch.metal.x86.state import RAX, RBX, RDX, RSI, RSP, TR

REGISTERS = {RAX: "rax", RBX: "rbx", RDX: "rdx", RSI: "rsi", RSP: "rsp"}
"""General registers that boot protocols set, by number."""


def start_at(processor: Processor, registers: Registers) -> None:
    """Load the registers; all others stay as they are after RESET."""
    raw = processor.raw
    raw.cr0, raw.cr3, raw.cr4 = registers.cr0, registers.cr3, registers.cr4
    raw.efer = registers.efer
    raw.gdtr_base, raw.gdtr_limit = registers.gdt
    for number, segment in [*registers.segments.items(), (TR, registers.tr)]:
        raw.seg_selector[number] = segment.selector
        raw.seg_base[number] = segment.base
        raw.seg_limit[number] = segment.limit
        raw.seg_attr[number] = segment.attributes
    for number, name in REGISTERS.items():
        raw.gr[number] = getattr(registers, name)
    raw.rip = registers.rip
    raw.cpl = 0
    raw.running = 1
    processor.rflags = registers.rflags
    processor.call("purge_all")
