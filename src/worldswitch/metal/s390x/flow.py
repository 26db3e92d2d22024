"""From one instruction to the next: branches, leaving, resuming, and the engine's own records.

These are the hooks that every handler ends with. Each returns the address of the record to
execute next, or 0 to return to Python with `cpu.exit_reason` set.
"""

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.engine import Leave, address_of, i64, likely, typed, u32, u64
from worldswitch.metal.blocks import HEADER_SIZE, Block
from worldswitch.metal.s390x.access import set_operand_spaces
from worldswitch.metal.s390x.codecache import RECORD_SIZE
from worldswitch.metal.s390x.dat import (
    TEID_DAT_PROTECTION,
    TEID_FETCH,
    TEID_STORE,
    real_to_absolute,
    walk,
)
from worldswitch.metal.s390x.decode import RECORD_CONTROL, RECORD_EXECUTED, cached, find_block
from worldswitch.metal.s390x.interrupts import (
    deliver_pending,
    early_exception,
    program_interruption,
    program_interruption_at,
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
    data_exception,
    operation,
    program,
)
from worldswitch.metal.s390x.mode import MODE_PER
from worldswitch.metal.s390x.per import per_branch, per_fetch
from worldswitch.metal.s390x.sie.block import ICPT_KSS, ICPT_NONE, ICPT_PV_INSTR, ICPT_WAIT
from worldswitch.metal.s390x.sie.compiled import dealt_with
from worldswitch.metal.s390x.sie.entry import enter_guest, refuse_guest
from worldswitch.metal.s390x.sie.exits import leave_guest, note_instruction
from worldswitch.metal.s390x.sie.secure import enablement
from worldswitch.metal.s390x.state import JUMP_CACHE_SIZE, Cpu, Record
from worldswitch.metal.s390x.timers import instructions, refill

PAGE = 0xFFFF_FFFF_FFFF_F000
PER_EVENT = int(ProgramCode.PER_EVENT)
PROTECTION = int(ProgramCode.PROTECTION)
NO_TAG = 0xFFFF_FFFF_FFFF_FFFF
ROUNDS = 64
"""Interruptions in a row without an instruction between them: more are a loop."""


@typed(inline=False)
def stop_native(cpu: Cpu, reason: u32) -> u64:
    """Return to Python for `reason`."""
    cpu.exit_reason = reason
    return 0


@typed
def host_teid(cpu: Cpu) -> u64:
    """The TEID of an exception of the host's translation. ref: PoP 3 Assigned Storage."""
    teid = cpu.host_fault_address & PAGE
    if cpu.host_fault_store != 0:
        teid = teid | TEID_STORE
    else:
        teid = teid | TEID_FETCH
    if cpu.fault_code == PROTECTION:
        teid = teid | TEID_DAT_PROTECTION
    return teid


@typed(inline=False)
def back_in_host(cpu: Cpu) -> bool:
    """Leave the guest; True if it is native code that goes on: the program that executed SIE, or
    the guest again, after a compiled handler.

    An exception of the host's translation is then a program interruption of that program.
    """
    fault = cpu.leave == LEAVE_HOST_FAULT
    if not leave_guest(cpu):
        return dealt_with(cpu)
    if fault:
        cpu.translation_code = host_teid(cpu)
        cpu.exc_access_id = 0
        try:
            program_interruption_at(cpu, 4, cpu.psw_addr)
        except Leave:
            cpu.check = 1
    return True


@typed(inline=False)
def resume(cpu: Cpu) -> u64:
    """The record to execute at the PSW, after pending interruptions have been taken."""
    rounds: u64 = 0
    while rounds < ROUNDS:
        rounds += 1
        if cpu.per_code != 0:
            try:
                cpu.fault_code = PER_EVENT
                program_interruption_at(cpu, u64(cpu.per_length), cpu.psw_addr)
            except Leave:
                if not back_in_host(cpu):
                    return 0
            continue
        if cpu.check != 0:
            cpu.check = 0
            try:
                taken = early_exception(cpu)
                if not taken:
                    taken = deliver_pending(cpu)
            except Leave:
                if not back_in_host(cpu):
                    return 0
                taken = True
            if taken:
                cpu.check = 1
                continue
        if cpu.sie_request != 0:
            if not enter_guest(cpu):
                if not refuse_guest(cpu):
                    return 0
            continue
        if cpu.running != 1:
            return stop_native(cpu, Exit.STOPPED)
        if cpu.sie_protected != 0:
            told = enablement(cpu)
            if told != 0:
                cpu.leave = LEAVE_INTERCEPT
                cpu.sie_intercept = told
                cpu.sie_text = 0
                cpu.sie_status = 0
                if not back_in_host(cpu):
                    return 0
                continue
        if cpu.wait != 0:
            if cpu.in_sie == 0:
                return stop_native(cpu, Exit.WAIT)
            cpu.leave = LEAVE_INTERCEPT
            cpu.sie_intercept = ICPT_WAIT
            cpu.sie_text = 0
            cpu.sie_status = 0
            if not back_in_host(cpu):
                return 0
            continue
        if cpu.budget <= 0:
            if cpu.slice_end > instructions(cpu):
                refill(cpu)
                cpu.check = 1
                continue
            if cpu.in_sie == 0 or cpu.sie_native != 0:
                return stop_native(cpu, Exit.BUDGET)
            cpu.leave = LEAVE_INTERCEPT
            cpu.sie_intercept = ICPT_NONE
            back_in_host(cpu)
            return 0
        found = cached(cpu, cpu.psw_addr)
        if found != 0:
            return found
        try:
            return find_block(cpu, cpu.psw_addr)
        except Leave:
            if cpu.leave != LEAVE_PROGRAM:
                if not back_in_host(cpu):
                    return 0
                continue
        try:
            # The length code of an exception of the fetch itself is unpredictable: 2 here.
            program_interruption_at(cpu, 2, cpu.psw_addr)
        except Leave:
            if not back_in_host(cpu):
                return 0
    if cpu.in_sie != 0 and cpu.sie_native == 0:
        cpu.leave = LEAVE_INTERCEPT
        cpu.sie_intercept = ICPT_NONE
        back_in_host(cpu)
        return 0
    return stop_native(cpu, Exit.PROGRAM_LOOP)


@typed(inline=False)
def leave(cpu: Cpu, rec: Record) -> u64:
    """The semantics of `rec` left: interruption, exit to Python, or end of SIE."""
    if rec.flags & RECORD_CONTROL == 0:
        cpu.budget -= i64(rec.count)
        cpu.psw_addr = (rec.pc + u64(rec.ilen)) & cpu.address_mask
    if cpu.leave == LEAVE_EXIT:
        if cpu.in_sie == 0:
            return 0
        # Only a protected guest gets this far: for others such instructions are intercepted.
        note_instruction(cpu, rec, ICPT_PV_INSTR)
        cpu.sie_reason = cpu.exit_reason
        return left_guest(cpu, rec)
    if cpu.leave == LEAVE_RETRY:
        cpu.psw_addr = rec.pc
        cpu.per_code = 0
        cpu.check = 1
        return resume(cpu)
    try:
        if cpu.leave == LEAVE_PROGRAM:
            program_interruption(cpu, rec)
        elif cpu.leave == LEAVE_SVC:
            svc_interruption(cpu, u64(rec.ilen), u64(cpu.fault_code))
        else:
            return left_guest(cpu, rec)
    except Leave:
        return left_guest(cpu, rec)
    return resume(cpu)


@typed(inline=False)
def left_guest(cpu: Cpu, rec: Record) -> u64:
    """The guest is left because of `rec`; a host exception or KSS has it executed again."""
    if cpu.leave == LEAVE_HOST_FAULT or cpu.sie_intercept == ICPT_KSS:
        cpu.psw_addr = rec.pc
    if not back_in_host(cpu):
        return 0
    return resume(cpu)


@typed(inline=True)
def jump(cpu: Cpu, rec: Record, target: u64) -> u64:
    """Branch to a computed address, through the jump cache."""
    cpu.budget -= i64(rec.count)
    cpu.breaking = rec.pc
    entry = cpu.jumps[(target >> 1) & (JUMP_CACHE_SIZE - 1)]
    if likely(cpu.budget > 0 and entry.pc == target and entry.tag == cpu.tag):
        return entry.record
    return slow_jump(cpu, target)


@typed(inline=False)
def slow_jump(cpu: Cpu, target: u64) -> u64:
    """Continue at `target`, looked up."""
    if cpu.mode & MODE_PER != 0:
        per_branch(cpu, cpu.breaking, target)
    cpu.psw_addr = target
    return resume(cpu)


@typed(inline=True)
def taken(cpu: Cpu, rec: Record) -> u64:
    """A relative branch is taken: straight to the linked record if there is one."""
    cpu.budget -= i64(rec.count)
    cpu.breaking = rec.pc
    chain = rec.chain
    if likely(cpu.budget > 0 and chain != 0):
        return chain
    return slow_taken(cpu, rec)


@typed(inline=False)
def slow_taken(cpu: Cpu, rec: Record) -> u64:
    """Look the target up, and link it if that stays right as long as this record exists."""
    target = u64(rec.imm2) & cpu.address_mask
    if cpu.mode & MODE_PER != 0:
        per_branch(cpu, rec.pc, target)
    cpu.psw_addr = target
    entry = cpu.jumps[(target >> 1) & (JUMP_CACHE_SIZE - 1)]
    if cpu.budget > 0 and entry.pc == target and entry.tag == cpu.tag:
        found = entry.record
    else:
        before = cpu.tag
        found = resume(cpu)
        if cpu.psw_addr != target or cpu.tag != before:
            return found
    if found != 0 and (rec.pc ^ target) & PAGE == 0 and rec.flags & RECORD_EXECUTED == 0:
        if cpu.mode & MODE_PER == 0 and Block.at(found - HEADER_SIZE).second == 0:
            rec.chain = found
    return found


@typed(inline=True)
def before_control(cpu: Cpu, rec: Record) -> None:
    """The PSW moves on before an instruction that may replace it."""
    cpu.budget -= i64(rec.count)
    cpu.psw_addr = (rec.pc + u64(rec.ilen)) & cpu.address_mask


# The engine's own records: they stand where no instruction of the table does.


@typed(inline=True)
def goto_next(cpu: Cpu, rec: Record) -> u64:
    """End of a block without a branch: on to the following instruction."""
    cpu.budget -= i64(rec.count)
    if likely(cpu.budget > 0 and rec.chain != 0):
        return rec.chain
    return slow_goto(cpu, rec)


@typed(inline=False)
def slow_goto(cpu: Cpu, rec: Record) -> u64:
    """Look the following instruction up; link it within a page."""
    target = rec.pc
    before = cpu.tag
    cpu.psw_addr = target
    found = resume(cpu)
    if found != 0 and target & 0xFFF != 0 and cpu.psw_addr == target and cpu.tag == before:
        if cpu.mode & MODE_PER == 0 and Block.at(found - HEADER_SIZE).second == 0:
            rec.chain = found
    return found


@typed(inline=True)
def stale(cpu: Cpu, rec: Record) -> u64:
    """A record of a dropped block: its address is looked up anew."""
    entry = cpu.jumps[(rec.pc >> 1) & (JUMP_CACHE_SIZE - 1)]
    if entry.record == address_of(rec):
        # The jump cache still leads here: without this it would do so for ever.
        entry.tag = NO_TAG
    cpu.budget -= i64(rec.count) - 1
    return slow_jump(cpu, rec.pc)


@typed(inline=True)
def after_execute(cpu: Cpu, rec: Record) -> u64:
    """The target of EXECUTE is done: back to the record behind the EXECUTE."""
    return rec.chain


@typed(leaves=True, inline=True)
def undefined(cpu: Cpu, text: u64) -> None:
    """An opcode that is not assigned, not installed or not modelled: operation exception."""
    cpu.undefined_text = text
    cpu.undefined_count += 1
    operation(cpu)


@typed(leaves=True, inline=True)
def privileged(cpu: Cpu) -> None:
    """A privileged instruction in the problem state."""
    program(cpu, ProgramCode.PRIVILEGED_OPERATION)


@typed(leaves=True, inline=True)
def bfp_disabled(cpu: Cpu) -> None:
    """A BFP instruction with the AFP-register control off. ref: PoP 6 Data Exception."""
    data_exception(cpu, 2)


@typed(leaves=True, inline=True)
def afp_disabled(cpu: Cpu) -> None:
    """An additional floating-point register with the AFP-register control off."""
    data_exception(cpu, 1)


@typed(leaves=True, inline=True)
def access_register(cpu: Cpu, rec: Record) -> u64:
    """Translate the access registers of the instruction in the record behind this one."""
    following = Record.at(address_of(rec) + RECORD_SIZE)
    set_operand_spaces(cpu, following)
    return address_of(following)


@typed(inline=False)
def per_before(cpu: Cpu, rec: Record) -> u64:
    """With PER on, before an instruction: is fetching it an event? ref: PoP 4."""
    cpu.per_length = rec.r1
    cpu.per_start = rec.pc
    if per_fetch(cpu, rec.pc):
        cpu.psw_addr = rec.pc
        return resume(cpu)
    return address_of(rec) + RECORD_SIZE


@typed(inline=False)
def take_program(cpu: Cpu, ilc: u64, address: u64) -> None:
    """Take the program interruption `fault_code` on behalf of Python."""
    try:
        program_interruption_at(cpu, ilc, address)
    except Leave:
        cpu.check = 1


@typed(inline=False)
def translate_host(cpu: Cpu, asce: u64, address: u64) -> None:
    """For Python: `exit_args` become (program code or 0, absolute address) by a space of the host.

    ref: PoP 3 Translation Process
    """
    code, real, _protected = walk(cpu, asce, address, True, False, cpu.prefix)
    cpu.exit_args[0] = u64(code)
    cpu.exit_args[1] = real_to_absolute(real, cpu.prefix)
