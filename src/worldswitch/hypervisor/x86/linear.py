"""Segmentation, and storage by linear address, for instructions that the hypervisor executes."""

from collections.abc import Callable
from typing import Protocol

from worldswitch.arch.x86.paging import is_canonical
from worldswitch.arch.x86.registers import Cr4
from worldswitch.arch.x86.segments import SegAttr, SegmentNumber
from worldswitch.hypervisor.x86.events import GuestException, general_protection, stack_fault
from worldswitch.hypervisor.x86.memory import PAGE_OFFSET, PAGE_SIZE, OutsideMemoryError
from worldswitch.hypervisor.x86.paging import Translating, translate
from worldswitch.hypervisor.x86.state import MASK32, MASK64, CpuMode, SegmentState

MOST_BYTES = 15
"""The longest instruction. ref: APM3 1.1 Instruction Encoding Syntax."""

Fault = Callable[[int], GuestException]


class Addressing(Translating, Protocol):
    """The state that segmentation depends on."""

    def mode(self) -> CpuMode:
        """The operating mode."""
        ...

    def segment(self, number: int) -> SegmentState:
        """A segment register by its number."""
        ...


def linear_address(cpu: Addressing, number: int, offset: int, size: int, write: bool) -> int:
    """The linear address of `size` bytes at an offset in a segment; #GP or #SS if it has none.

    ref: APM2 4.5.3 Segment Registers in 64-Bit Mode; APM2 4.12 Segment-Limit Checks
    """
    stack = number == SegmentNumber.SS
    fault = stack_fault if stack else general_protection
    if cpu.mode() is CpuMode.LONG:
        base = cpu.segment(number).base if number >= SegmentNumber.FS else 0
        linear = (base + offset) & MASK64
        bits = 57 if cpu.cr4 & Cr4.LA57 else 48
        if not (is_canonical(linear, bits) and is_canonical((linear + size - 1) & MASK64, bits)):
            raise fault(0)
        return linear
    segment = cpu.segment(number)
    offset &= MASK32
    if cpu.mode() is not CpuMode.REAL:
        _check_rights(segment, write, fault)
    last = offset + size - 1
    code = segment.attributes & SegAttr.TYPE_CODE
    if segment.attributes & SegAttr.TYPE_E and not code:
        top = MASK32 if segment.attributes & SegAttr.DB else 0xFFFF
        if offset <= segment.limit or last > top:
            raise fault(0)
    elif last > segment.limit:
        raise fault(0)
    return (segment.base + offset) & MASK32


def _check_rights(segment: SegmentState, write: bool, fault: Fault) -> None:
    """Type checks of a data access in protected mode. ref: APM2 4.11 Type Checks."""
    attributes = segment.attributes
    code = attributes & SegAttr.TYPE_CODE
    allowed = attributes & SegAttr.P
    if write and (code or not attributes & SegAttr.TYPE_W):
        allowed = 0
    if code and not attributes & SegAttr.TYPE_W:
        allowed = 0
    if not allowed:
        raise fault(0)


def pieces(cpu: Addressing, linear: int, size: int, write: bool) -> list[tuple[int, int]]:
    """Guest physical addresses and lengths of a range; #PF before anything of it is touched."""
    room = PAGE_SIZE - (linear & PAGE_OFFSET)
    first = translate(cpu, linear, write)
    if size <= room:
        return [(first, size)]
    second = translate(cpu, (linear + room) & MASK64, write)
    return [(first, room), (second, size - room)]


def fetch(cpu: Addressing, rip: int) -> bytes:
    """Up to 15 instruction bytes at an offset in the code segment, as far as they can be fetched.

    Raises GuestException if not even the first can.
    """
    if cpu.mode() is CpuMode.LONG:
        linear, limit = rip, MOST_BYTES
    else:
        segment = cpu.segment(SegmentNumber.CS)
        rip &= MASK32
        linear = (segment.base + rip) & MASK32
        limit = min(MOST_BYTES, segment.limit - rip + 1)
    if limit <= 0:
        raise general_protection()
    text = b""
    while len(text) < limit:
        at = (linear + len(text)) & MASK64
        size = min(limit - len(text), PAGE_SIZE - (at & PAGE_OFFSET))
        try:
            text += cpu.memory.read(translate(cpu, at, fetch=True), size)
        except OutsideMemoryError:
            break
        except GuestException:
            if not text:
                raise
            break
    return text
