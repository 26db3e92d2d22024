"""The x87 unit: its register stack, its status, and the pointers to the last instruction.

`i` counts from the top of the stack. A stack fault is decided by the caller: `filled` tells.
ref: APM1 6.2 x87 Floating-Point Registers
"""

from worldswitch.engine import typed, u8, u16, u64, u128
from worldswitch.metal.x86.fp.exceptions import DE
from worldswitch.metal.x86.fp.x87 import invalid_status, status_after, withheld
from worldswitch.metal.x86.fp.x87_core import C1, C2, DEFINED, INDEFINITE
from worldswitch.metal.x86.mode import MODE_LONG
from worldswitch.metal.x86.state import CS, FS, Cpu, Record

TOP = 0x3800
TOP_SHIFT = 11
OPCODE = 0x7FF
STACK_FAULT = 0x40
SEGMENT_SHIFT = 12
"""Where the segment of the memory operand is in `Record.opcode`."""


@typed(inline=True)
def physical(cpu: Cpu, i: u64) -> u64:
    """Number of the register that ST(i) is."""
    return (u64(cpu.x87_status >> TOP_SHIFT) + i) & 7


@typed(inline=False)
def st(cpu: Cpu, i: u64) -> u128:
    """The 80 bits of ST(i)."""
    n = physical(cpu, i)
    return u128(cpu.st[n]) | (u128(cpu.st_exponent[n]) << 64)


@typed(inline=False)
def filled(cpu: Cpu, i: u64) -> bool:
    """Whether ST(i) is not empty; ST(7) is the one that a push goes to."""
    return (u64(cpu.x87_tags) >> physical(cpu, i)) & 1 != 0


@typed(inline=False)
def put(cpu: Cpu, i: u64, value: u128) -> None:
    """Write ST(i), which then is not empty."""
    n = physical(cpu, i)
    cpu.st[n] = u64(value)
    cpu.st_exponent[n] = u16(value >> 64)
    cpu.x87_tags = cpu.x87_tags | u8(u64(1) << n)


@typed(inline=False)
def release(cpu: Cpu, i: u64) -> None:
    """ST(i) becomes empty."""
    cpu.x87_tags = cpu.x87_tags & ~u8(u64(1) << physical(cpu, i))


@typed(inline=False)
def turn(cpu: Cpu, by: u64) -> None:
    """Add to TOP."""
    top = u16(physical(cpu, by)) << TOP_SHIFT
    cpu.x87_status = (cpu.x87_status & ~u16(TOP)) | top


@typed(inline=False)
def push(cpu: Cpu, value: u128) -> None:
    """A new ST(0)."""
    turn(cpu, 7)
    put(cpu, 0, value)


@typed(inline=False)
def pop(cpu: Cpu) -> None:
    """ST(0) goes."""
    release(cpu, 0)
    turn(cpu, 1)


@typed(inline=False)
def settle(cpu: Cpu, status: u16) -> None:
    """Enter an operation's status into the status word."""
    cpu.x87_status = status_after(cpu.x87_status, status, cpu.x87_control)


@typed(inline=False)
def settle_flags(cpu: Cpu, status: u16) -> None:
    """The same for instructions that keep C1 unless the stack underflows."""
    kept = cpu.x87_status & C1
    settle(cpu, status)
    if status & STACK_FAULT == 0:
        cpu.x87_status = cpu.x87_status | kept


@typed(inline=False)
def settle_reduction(cpu: Cpu, status: u16) -> None:
    """The same for instructions that tell by C2 whether an argument was reduced: always."""
    cpu.x87_status = (cpu.x87_status & ~u16(C2)) | (status & C2)
    settle(cpu, status & ~u16(DEFINED))


@typed(inline=False)
def load(cpu: Cpu, value: u128, status: u16) -> None:
    """Push a value unless the stack overflows, or an invalid operation keeps it from being written.

    A denormal operand does not: it has been normalized already.
    """
    pushed = value
    raised = status
    if filled(cpu, 7):
        pushed = u128(INDEFINITE)
        raised = invalid_status(True)
    settle(cpu, raised)
    if not withheld(raised & ~u16(DE), cpu.x87_control):
        push(cpu, pushed)


@typed(inline=False)
def note(cpu: Cpu, rec: Record) -> None:
    """Remember this instruction as the last one that was no control instruction."""
    cpu.x87_ip = rec.pc
    cpu.x87_cs = cpu.seg_selector[CS]
    cpu.x87_opcode = rec.opcode & OPCODE


@typed(inline=False)
def note_operand(cpu: Cpu, rec: Record, at: u64) -> None:
    """The same, and its operand at linear address `at`."""
    note(cpu, rec)
    seg = u64(rec.opcode >> SEGMENT_SHIFT)
    offset = at
    if cpu.mode & MODE_LONG == 0:
        offset = (at - cpu.seg_base[seg]) & 0xFFFF_FFFF
    elif seg >= FS:
        offset = at - cpu.seg_base[seg]
    cpu.x87_dp = offset
    cpu.x87_ds = cpu.seg_selector[seg]
