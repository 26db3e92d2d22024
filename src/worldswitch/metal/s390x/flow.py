"""From one instruction to the next: branches, leaving, resuming, and the engine's own records.

These are the hooks that every handler ends with. Each returns the address of the record to
execute next, or 0 to return to Python with `cpu.exit_reason` set.
"""

from worldswitch.engine import Leave, address_of, peek_u64, typed, u8, u16, u32, u64
from worldswitch.metal.s390x.access import set_operand_spaces
from worldswitch.metal.s390x.codecache import (
    HEADER_SIZE,
    RECORD_SIZE,
    CodeCache,
    InsnInfo,
)
from worldswitch.metal.s390x.decode import (
    INSN_RELATIVE,
    RECORD_CONTROL,
    RECORD_EXECUTED,
    cached,
    decode_record,
    find_block,
    set_pseudo,
    text_length,
)
from worldswitch.metal.s390x.interrupts import (
    deliver_pending,
    early_exception,
    program_interruption,
    svc_interruption,
)
from worldswitch.metal.s390x.leave import (
    LEAVE_EXIT,
    LEAVE_HOST_FAULT,
    LEAVE_INTERCEPT,
    LEAVE_PROGRAM,
    LEAVE_RETRY,
    LEAVE_SVC,
    Exit,
)
from worldswitch.metal.s390x.state import Cpu, Record

PAGE = 0xFFFF_FFFF_FFFF_F000


@typed(inline=False)
def lookup(cpu: Cpu) -> u64:
    """The record at `cpu.psw_addr`; program interruptions of the fetch are taken on the way."""
    rounds: u64 = 0
    while rounds < 16:
        found = cached(cpu, cpu.psw_addr)
        if found != 0:
            return found
        cpu.leave = 0
        found, left = try_find(cpu)
        if not left:
            return found
        if not take_fetch_exception(cpu):
            return 0
        rounds += 1
    cpu.exit_reason = u32(Exit.PROGRAM_LOOP)
    return 0
