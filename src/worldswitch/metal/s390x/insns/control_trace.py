"""TRACE: explicit entries in the trace table that control register 12 designates.

ref: PoP 4 Tracing; PoP 10 TRACE. UNMODELLED: branch, mode and ASN tracing make no entries.
"""

from worldswitch.arch.s390x.control_registers import CR12_TRACE_ENTRY_ADDRESS, Cr12
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.engine import typed, u8, u32, u64
from worldswitch.metal.s390x.dat import access_exception
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.insns.control_checks import absolute_of
from worldswitch.metal.s390x.leave import program, specification
from worldswitch.metal.s390x.memory import fetch_u32, store_u32, store_u64
from worldswitch.metal.s390x.mode import CONTEXT_LOW_PROTECTION
from worldswitch.metal.s390x.state import ABSOLUTE, OP2, REAL, Cpu
from worldswitch.metal.s390x.timers import tod_now

EXPLICIT = int(Cr12.EXPLICIT_TRACE)
ENTRY = CR12_TRACE_ENTRY_ADDRESS
NO_TRACE = 0x8000_0000
"""Bit 0 of the operand: make no entry."""


@typed(leaves=True)
def trace_place(cpu: Cpu, size: u64) -> u64:
    """Absolute address of the next trace entry, of `size` bytes at most."""
    real = cpu.cr[12] & ENTRY
    c = cpu.contexts[cpu.ctx[REAL]]
    if c.flags & CONTEXT_LOW_PROTECTION != 0 and real < 8192 and real & 0xFFF < 512:
        access_exception(cpu, cpu.ctx[REAL], real, ProgramCode.PROTECTION, True)
    if (real & 0xFFF) + size > 4096:
        program(cpu, ProgramCode.TRACE_TABLE)
    return absolute_of(cpu, real)


@typed
def advance_trace(cpu: Cpu, size: u64) -> None:
    """Move the trace-entry address behind the entry just made."""
    cpu.cr[12] = (cpu.cr[12] & (ENTRY ^ 0xFFFF_FFFF_FFFF_FFFF)) | ((cpu.cr[12] + size) & ENTRY)


@insn("TRACE", "99", "RS_a", ref="PoP 10 TRACE", privileged=True)
def trace(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
    """Make an entry with bits 32-63 of R1 to R3 and the operand, if explicit tracing is on."""
    if addr2 & 3 != 0:
        specification(cpu)
    if cpu.cr[12] & EXPLICIT == 0:
        return
    operand = fetch_u32(cpu, OP2, addr2)
    if operand & NO_TRACE != 0:
        return
    last = u64((r3 - r1) & 15)
    where = trace_place(cpu, 76)
    # Bits 0-7: 0111 and the number of registers less one; then bits 16-63 of the TOD clock.
    head = ((u64(0x70) | last) << 56) | (tod_now(cpu) & 0xFFFF_FFFF_FFFF)
    store_u64(cpu, ABSOLUTE, where, head)
    store_u32(cpu, ABSOLUTE, where + 8, operand)
    n: u64 = 0
    while n <= last:
        store_u32(cpu, ABSOLUTE, where + 12 + n * 4, u32(cpu.gr[(u64(r1) + n) & 15]))
        n += 1
    advance_trace(cpu, 12 + (last + 1) * 4)


@insn("TRACG", "EB0F", "RSY_a", ref="PoP 10 TRACE", privileged=True)
def tracg(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
    """As TRACE, with 64-bit registers and more of the TOD clock."""
    if addr2 & 3 != 0:
        specification(cpu)
    if cpu.cr[12] & EXPLICIT == 0:
        return
    operand = fetch_u32(cpu, OP2, addr2)
    if operand & NO_TRACE != 0:
        return
    last = u64((r3 - r1) & 15)
    where = trace_place(cpu, 144)
    now = tod_now(cpu)
    # The second byte, 80, says that this is the long form; bits 0-79 of the TOD clock follow.
    store_u64(cpu, ABSOLUTE, where, ((u64(0x7080) | (last << 8)) << 48) | (now >> 16))
    store_u32(cpu, ABSOLUTE, where + 8, u32(now << 16))
    store_u32(cpu, ABSOLUTE, where + 12, operand)
    n: u64 = 0
    while n <= last:
        store_u64(cpu, ABSOLUTE, where + 16 + n * 8, cpu.gr[(u64(r1) + n) & 15])
        n += 1
    advance_trace(cpu, 16 + (last + 1) * 8)
