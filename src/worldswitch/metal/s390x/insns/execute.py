"""EXECUTE and EXECUTE RELATIVE LONG: the target is decoded into scratch records and run there.

ref: PoP 7 EXECUTE
"""

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.engine import address_of, typed, u8, u64
from worldswitch.metal.s390x.access import set_operand_spaces
from worldswitch.metal.s390x.codecache import RECORD_SIZE, CodeCache
from worldswitch.metal.s390x.decode import (
    INSN_CONDITIONAL,
    INSN_RELATIVE,
    RECORD_EXECUTED,
    RECORD_EXRL,
    decode_record,
    set_pseudo,
    text_length,
)
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.leave import program, specification
from worldswitch.metal.s390x.memory import fetch_u16
from worldswitch.metal.s390x.mode import MODE_ACCESS_REGISTER, MODE_SIE
from worldswitch.metal.s390x.sie.exits import check_controls
from worldswitch.metal.s390x.state import INSN, Cpu, Record

NO_MODE = 0xFFFF_FFFF_FFFF_FFFF


@typed(leaves=True, inline=False)
def execute(cpu: Cpu, rec: Record, r1: u8, target: u64, relative: bool) -> u64:
    """Prepare the target of `rec`; returns the address of its record."""
    if target & 1 != 0:
        specification(cpu)
    first = fetch_u16(cpu, INSN, target)
    size = text_length(u8(first >> 8))
    text = u64(first) << 48
    if size > 2:
        text = text | (u64(fetch_u16(cpu, INSN, (target + 2) & cpu.address_mask)) << 32)
        if size > 4:
            text = text | (u64(fetch_u16(cpu, INSN, (target + 4) & cpu.address_mask)) << 16)
    opcode = text >> 56
    if opcode == 0x44 or (opcode == 0xC6 and (text >> 48) & 0xF == 0):
        program(cpu, ProgramCode.EXECUTE)
    if r1 != 0:
        text = text | ((cpu.gr[r1] & 0xFF) << 48)
    run = cpu.executed[0]
    if run.text == text and cpu.executed_mode == cpu.mode:
        run.pc = rec.pc
        run.chain = 0
    else:
        kind = decode_record(cpu, run, text, rec.pc, target)
        cpu.executed_mode = cpu.mode
        if kind & (INSN_RELATIVE | INSN_CONDITIONAL) != 0:
            cpu.executed_mode = NO_MODE
        run.flags = run.flags | RECORD_EXECUTED
        back = cpu.executed[1]
        set_pseudo(
            CodeCache.at(cpu.code_cache), back, CodeCache.at(cpu.code_cache).after_execute_insn, 0
        )
    run.flags = (run.flags & ~RECORD_EXRL) | (RECORD_EXRL if relative else 0)
    run.ilen = rec.ilen
    run.count = rec.count
    cpu.executed[1].pc = rec.pc
    cpu.executed[1].chain = address_of(rec) + RECORD_SIZE
    if cpu.mode & MODE_ACCESS_REGISTER != 0:
        set_operand_spaces(cpu, run)
    if cpu.executed_mode == NO_MODE and cpu.mode & MODE_SIE != 0:
        check_controls(cpu, run)
    return address_of(run)


@insn("EX", "44", "RX_a", ref="PoP 7 EXECUTE")
def ex(cpu: Cpu, rec: Record, r1: u8, addr2: u64) -> u64:
    """Execute the instruction at `addr2` with bits 8-15 or-ed from R1."""
    return execute(cpu, rec, r1, addr2, False)


@insn("EXRL", "C60", "RIL_b", ref="PoP 7 EXECUTE RELATIVE LONG")
def exrl(cpu: Cpu, rec: Record, r1: u8, target: u64) -> u64:
    """Execute the instruction at a relative address with bits 8-15 or-ed from R1."""
    return execute(cpu, rec, r1, target, True)
