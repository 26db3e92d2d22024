"""The x87 unit's state: FNINIT, FNCLEX, control and status words, WAIT. ref: APM5 1"""

from typing import Any

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Cr0
from worldswitch.engine import typed, u8, u16
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.leave import fault
from worldswitch.metal.x86.memory import load_u16, store_u16
from worldswitch.metal.x86.mode import MODE_WAIT
from worldswitch.metal.x86.operands import effective, put_w
from worldswitch.metal.x86.state import RAX, Cpu, Record

CONTROL_INIT = 0x37F
CONTROL_WRITABLE = 0x1F7F
CONTROL_ONES = 0x40
SUMMARY = 0x8080
"""ES and B: an exception is pending that is not masked."""
EXCEPTIONS = 0x3F


@typed(leaves=True, inline=True)
def wait_for_errors(cpu: Cpu) -> None:
    """What waiting instructions do first: #MF for a pending exception. ref: APM5 6.8"""
    # UNMODELLED: outside of 64-bit mode #GP and #SS of the operand's segment come before #MF.
    # UNMODELLED: FERR# and IGNNE# (CR0.NE = 0); nothing tells of the exception then.
    if cpu.x87_status & SUMMARY != 0 and cpu.cr0 & Cr0.NE != 0:
        fault(cpu, Vector.MF)


@typed(inline=False)
def update_summary(cpu: Cpu) -> None:
    """Set ES and B if an exception's flag is set and its mask is not."""
    pending = cpu.x87_status & ~cpu.x87_control & EXCEPTIONS
    if pending != 0:
        cpu.x87_status = cpu.x87_status | SUMMARY
    else:
        cpu.x87_status = cpu.x87_status & ~u16(SUMMARY)


@typed(inline=False)
def initialize(cpu: Cpu) -> None:
    """FNINIT."""
    cpu.x87_control = CONTROL_INIT
    cpu.x87_status = 0
    cpu.x87_tags = 0
    cpu.x87_opcode = 0
    cpu.x87_ip = 0
    cpu.x87_dp = 0
    cpu.x87_cs = 0
    cpu.x87_ds = 0


@insn("FNINIT", "DB E3", ref="APM5 2 FINIT", raw=True, unit="x87")
def fninit() -> Any:
    """Initialize the unit."""

    @typed(inline=True)
    def fninit(cpu: Cpu, rec: Record) -> None:
        initialize(cpu)

    return fninit


@insn("FNCLEX", "DB E2", ref="APM5 2 FCLEX", raw=True, unit="x87")
def fnclex() -> Any:
    """Clear the exceptions."""

    @typed(inline=True)
    def fnclex(cpu: Cpu, rec: Record) -> None:
        cpu.x87_status = cpu.x87_status & 0x7F00

    return fnclex


@insn("FNSTSW", "DD /7 Mw", ref="APM5 2 FSTSW", raw=True, unit="x87", writes=True)
def fnstsw() -> Any:
    """Store the status word."""

    @typed(leaves=True, inline=True)
    def fnstsw(cpu: Cpu, rec: Record) -> None:
        store_u16(cpu, rec.seg, effective(cpu, rec), cpu.x87_status)

    return fnstsw


@insn("FNSTSW", "DF E0", ref="APM5 2 FSTSW", raw=True, unit="x87")
def fnstsw_ax() -> Any:
    """Copy the status word to AX."""

    @typed(inline=True)
    def fnstsw_ax(cpu: Cpu, rec: Record) -> None:
        put_w(cpu, u8(RAX), cpu.x87_status)

    return fnstsw_ax


@insn("FNSTCW", "D9 /7 Mw", ref="APM5 2 FSTCW", raw=True, unit="x87", writes=True)
def fnstcw() -> Any:
    """Store the control word."""

    @typed(leaves=True, inline=True)
    def fnstcw(cpu: Cpu, rec: Record) -> None:
        store_u16(cpu, rec.seg, effective(cpu, rec), cpu.x87_control)

    return fnstcw


@insn("FLDCW", "D9 /5 Mw", ref="APM5 2 FLDCW", raw=True, unit="x87")
def fldcw() -> Any:
    """Load the control word; an exception may become pending."""

    @typed(leaves=True, inline=True)
    def fldcw(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        value = load_u16(cpu, rec.seg, effective(cpu, rec))
        cpu.x87_control = (value & CONTROL_WRITABLE) | CONTROL_ONES
        update_summary(cpu)

    return fldcw


@insn("FWAIT", "9B", ref="APM5 2 FWAIT", raw=True)
def fwait() -> Any:
    """Wait for the unit: #MF for a pending exception, #NM with MP and TS."""

    @typed(leaves=True, inline=True)
    def fwait(cpu: Cpu, rec: Record) -> None:
        if cpu.mode & MODE_WAIT != 0:
            fault(cpu, Vector.NM)
        wait_for_errors(cpu)

    return fwait
