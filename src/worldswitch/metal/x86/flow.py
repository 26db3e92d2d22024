"""From one instruction to the next: branches, leaving, resuming, and the engine's own records.

These are the hooks that every handler ends with. Each returns the address of the record to
execute next, or 0 to return to Python with `cpu.exit_reason` set.
"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.engine import Leave, address_of, i64, likely, typed, u32, u64
from worldswitch.metal.blocks import HEADER_SIZE, Block
from worldswitch.metal.x86.codecache import RECORD_SIZE
from worldswitch.metal.x86.decode import cached, find_block
from worldswitch.metal.x86.decode_bits import RECORD_CONTROL
from worldswitch.metal.x86.exceptions import deliver_exception
from worldswitch.metal.x86.interrupts import take_events
from worldswitch.metal.x86.leave import (
    LEAVE_EXIT,
    LEAVE_FAULT,
    LEAVE_RETRY,
    LEAVE_SHUTDOWN,
    LEAVE_TASK,
    LEAVE_TRAP,
    LEAVE_VMEXIT_AFTER,
    Exit,
    fault,
    fault_with,
    general_protection,
)
from worldswitch.metal.x86.mode import MODE_ALIGN, MODE_LONG, MODE_SINGLE, PAGE
from worldswitch.metal.x86.paging import canonical
from worldswitch.metal.x86.segment_checks import check_segment
from worldswitch.metal.x86.single import single_begin, single_end
from worldswitch.metal.x86.state import CS, JUMP_CACHE_SIZE, SCRATCH, Cpu, Record
from worldswitch.metal.x86.svm.switch import (
    enter_guest,
    leave_guest,
    looked_at,
    preempt_guest,
)
from worldswitch.metal.x86.timers import instructions, refill

NO_TAG = 0xFFFF_FFFF_FFFF_FFFF
ROUNDS = 64
"""Events in a row without an instruction between them: more are a loop."""


@typed(inline=False)
def stop_native(cpu: Cpu, reason: u32) -> u64:
    """Return to Python for `reason`."""
    cpu.exit_reason = reason
    return 0


@typed(inline=False)
def left(cpu: Cpu) -> bool:
    """Deal with what a `Leave` says, outside of an instruction; False to return to Python."""
    if cpu.leave == LEAVE_EXIT:
        return False
    if cpu.leave == LEAVE_RETRY:
        cpu.check = 1
        return True
    if cpu.leave == LEAVE_FAULT or cpu.leave == LEAVE_TRAP or cpu.leave == LEAVE_TASK:
        try:
            deliver_exception(cpu)
        except Leave:
            if cpu.leave == LEAVE_SHUTDOWN:
                cpu.running = 2
                cpu.exit_reason = u32(Exit.SHUTDOWN)
                return False
            return leave_guest(cpu)
        return True
    if cpu.leave == LEAVE_SHUTDOWN:
        cpu.running = 2
        cpu.exit_reason = u32(Exit.SHUTDOWN)
        return False
    return leave_guest(cpu)


@typed(inline=False)
def resume(cpu: Cpu) -> u64:
    """The record to execute at RIP, after pending events have been taken."""
    if cpu.trap_armed != 0:
        single_end(cpu)
    rounds: u64 = 0
    while rounds < ROUNDS:
        rounds += 1
        if cpu.vm_request != 0 and not enter_guest(cpu):
            return 0
        if cpu.check != 0:
            cpu.check = 0
            try:
                taken = take_events(cpu)
            except Leave:
                if not left(cpu):
                    return 0
                taken = True
            if taken:
                cpu.check = 1
                continue
        if cpu.vm_request != 0:
            continue
        if cpu.running != 1:
            if cpu.running == 2:
                return stop_native(cpu, Exit.SHUTDOWN)
            return stop_native(cpu, Exit.STOPPED)
        if cpu.halted != 0:
            if cpu.guest != 0 and cpu.vm_native == 0:
                # The host's next interrupt ends the wait: that is when its slice is over.
                preempt_guest(cpu)
                return 0
            return stop_native(cpu, Exit.HALT)
        if cpu.budget <= 0:
            if cpu.slice_end > instructions(cpu):
                refill(cpu)
                cpu.check = 1
                continue
            if cpu.guest != 0 and cpu.vm_native == 0:
                preempt_guest(cpu)
                return 0
            return stop_native(cpu, Exit.BUDGET)
        found = cached(cpu, cpu.rip)
        if found != 0:
            return found
        try:
            return find_block(cpu, cpu.rip)
        except Leave:
            if not left(cpu):
                return 0
    if cpu.guest != 0 and cpu.vm_native == 0:
        preempt_guest(cpu)
        return 0
    return stop_native(cpu, Exit.EVENT_LOOP)


@typed(inline=False)
def leave(cpu: Cpu, rec: Record) -> u64:
    """The semantics of `rec` left: exception, exit to Python, or #VMEXIT."""
    if rec.flags & RECORD_CONTROL == 0:
        cpu.budget -= i64(rec.count)
    if cpu.leave != LEAVE_TASK:
        cpu.rip = rec.pc
    if cpu.leave == LEAVE_TRAP or cpu.leave == LEAVE_EXIT or cpu.leave == LEAVE_VMEXIT_AFTER:
        cpu.rip = rec.pc + u64(rec.ilen)
    else:
        cpu.trap_armed = 0
        if cpu.leave == LEAVE_FAULT:
            # Data breakpoints that it has met are forgotten: they are met again.
            cpu.dr6_pending = 0
    cpu.exit_record = address_of(rec)
    if not left(cpu):
        return 0
    return resume(cpu)


@typed(inline=True)
def jump(cpu: Cpu, rec: Record, target: u64) -> u64:
    """Branch to a computed address, through the jump cache."""
    cpu.budget -= i64(rec.count)
    entry = cpu.jumps[target & (JUMP_CACHE_SIZE - 1)]
    if likely(cpu.budget > 0 and entry.pc == target and entry.tag == cpu.tag):
        return entry.record
    return slow_jump(cpu, target)


@typed(inline=False)
def slow_jump(cpu: Cpu, target: u64) -> u64:
    """Continue at `target`, looked up."""
    cpu.rip = target
    return resume(cpu)


@typed(inline=True)
def taken(cpu: Cpu, rec: Record) -> u64:
    """A relative branch is taken: straight to the linked record if there is one."""
    cpu.budget -= i64(rec.count)
    chain = rec.chain
    if likely(cpu.budget > 0 and chain != 0):
        return chain
    target = u64(rec.imm)
    if cpu.budget > 0 and (rec.pc ^ target) & PAGE != 0:
        # Never linked: calls and jumps to other pages are frequent enough to look here first.
        found = cached(cpu, target)
        if found != 0:
            return found
    return slow_taken(cpu, rec)


@typed(inline=False)
def slow_taken(cpu: Cpu, rec: Record) -> u64:
    """Look the target up, and link it if that stays right as long as this record exists."""
    target = u64(rec.imm)
    cpu.rip = target
    entry = cpu.jumps[target & (JUMP_CACHE_SIZE - 1)]
    if cpu.budget > 0 and entry.pc == target and entry.tag == cpu.tag:
        found = entry.record
    else:
        before = cpu.tag
        found = resume(cpu)
        if cpu.rip != target or cpu.tag != before:
            return found
    if found != 0 and (rec.pc ^ target) & PAGE == 0 and cpu.seg_base[CS] & 0xFFF == 0:
        if cpu.mode & MODE_SINGLE == 0 and Block.at(found - HEADER_SIZE).second == 0:
            rec.chain = found
    return found


@typed(inline=True)
def before_control(cpu: Cpu, rec: Record) -> None:
    """RIP moves on before an instruction that may replace it."""
    cpu.budget -= i64(rec.count)
    cpu.rip = rec.pc + u64(rec.ilen)


# The engine's own records: they stand where no instruction of the table does.


@typed(inline=True)
def goto_next(cpu: Cpu, rec: Record) -> u64:
    """End of a block without a branch: on to the following instruction."""
    cpu.budget -= i64(rec.count)
    if likely(cpu.budget > 0 and rec.chain != 0):
        return rec.chain
    if cpu.budget > 0 and rec.pc & 0xFFF == 0:
        found = cached(cpu, rec.pc)
        if found != 0:
            return found
    return slow_goto(cpu, rec)


@typed(inline=False)
def slow_goto(cpu: Cpu, rec: Record) -> u64:
    """Look the following instruction up; link it within a page."""
    target = rec.pc
    before = cpu.tag
    cpu.rip = target
    found = resume(cpu)
    if found != 0 and target & 0xFFF != 0 and cpu.rip == target and cpu.tag == before:
        if (
            cpu.seg_base[CS] & 0xFFF == 0
            and cpu.mode & MODE_SINGLE == 0
            and Block.at(found - HEADER_SIZE).second == 0
        ):
            rec.chain = found
    return found


@typed(inline=True)
def stale(cpu: Cpu, rec: Record) -> u64:
    """A record of a dropped block: its address is looked up anew."""
    entry = cpu.jumps[rec.pc & (JUMP_CACHE_SIZE - 1)]
    if entry.record == address_of(rec):
        # The jump cache still leads here: without this it would do so for ever.
        entry.tag = NO_TAG
    cpu.budget -= i64(rec.count) - 1
    cpu.rip = rec.pc
    return resume(cpu)


@typed(leaves=True, inline=False)
def undefined(cpu: Cpu, rec: Record) -> None:
    """An opcode that is not assigned, not in the model or not modelled: #UD."""
    cpu.undefined_count += 1
    cpu.undefined_text = rec.pc
    fault(cpu, Vector.UD)


@typed(leaves=True, inline=True)
def protection(cpu: Cpu, rec: Record) -> None:
    """A privileged instruction at another privilege level, or one of more than 15 bytes."""
    general_protection(cpu)


@typed(leaves=True, inline=True)
def no_device(cpu: Cpu, rec: Record) -> None:
    """A floating-point instruction while CR0 says that its state is somebody else's."""
    fault(cpu, Vector.NM)


@typed(leaves=True, inline=True)
def intercept(cpu: Cpu, rec: Record) -> None:
    """Before an instruction of a guest that may be intercepted."""
    looked_at(cpu, rec)


@typed(leaves=True, inline=False)
def address(cpu: Cpu, rec: Record) -> None:
    """Compute and check the address of the memory operand of the record behind this one.

    ref: APM2 4.5 Segment Protection; APM2 8.2.18 #AC
    """
    index = cpu.gr[rec.index] << u64(rec.scale)
    offset = (cpu.gr[rec.base] + index + u64(rec.disp)) & u64(rec.imm)
    linear = offset + cpu.seg_base[rec.seg]
    if cpu.mode & MODE_LONG == 0:
        check_segment(cpu, u64(rec.seg), offset, u64(rec.width), rec.flags != 0)
        linear = linear & 0xFFFF_FFFF
    if cpu.mode & MODE_ALIGN != 0 and rec.width != 0 and rec.width <= 8:
        # An address that is not canonical is #GP or #SS, which the access itself presents.
        if linear & (u64(rec.width) - 1) != 0 and canonical(cpu, linear):
            fault_with(cpu, Vector.AC, 0)
    cpu.gr[SCRATCH] = linear


@typed(inline=True)
def begin_single(cpu: Cpu, rec: Record) -> u64:
    """Before the one instruction of a block that is stepped."""
    if single_begin(cpu):
        return resume(cpu)
    return address_of(rec) + RECORD_SIZE


@typed(inline=False)
def end_single(cpu: Cpu, rec: Record) -> u64:
    """Behind it."""
    cpu.budget -= i64(rec.count)
    cpu.rip = rec.pc
    return resume(cpu)
