"""What #VMEXIT tells of the instruction that the guest was in. ref: APM2 15.7.1, 15.8.4"""

from worldswitch.arch.x86.svm_exits import EXIT_INFO, NpfInfo, SvmExit
from worldswitch.engine import (
    Leave,
    copy_bytes,
    fill_bytes,
    poke_u8,
    typed,
    u8,
    u64,
)
from worldswitch.metal.x86.mode import MODE_LONG
from worldswitch.metal.x86.paging import fetch_host
from worldswitch.metal.x86.state import CODE, CS, Cpu, Record
from worldswitch.metal.x86.svm.block import control
from worldswitch.metal.x86.svm.features import SVM_DECODE_ASSISTS, SVM_NEXT_RIP
from worldswitch.metal.x86.timers import instructions

INSN_LEN, INSN_BYTES = control("insn_len"), control("insn_bytes")
TEXT_SIZE = 15
FETCH = int(NpfInfo.ID)
WITH_NEXT = [0, 0, 0]
for _code, _info in EXIT_INFO.items():
    if _info.nrip and _code < 0xC0:
        WITH_NEXT[_code >> 6] |= 1 << (_code & 63)
REGISTERS, EVENTS, INSTRUCTIONS = WITH_NEXT
"""Exit codes below C0 with which nRIP is saved, a bit each."""


@typed
def saves_next(code: u64) -> bool:
    """Whether an exit code comes with the address of the next instruction."""
    if code < 64:
        return (u64(REGISTERS) >> code) & 1 != 0
    if code < 128:
        return (u64(EVENTS) >> (code - 64)) & 1 != 0
    if code < 192:
        return (u64(INSTRUCTIONS) >> (code - 128)) & 1 != 0
    return False


@typed
def following_rip(cpu: Cpu) -> u64:
    """nRIP, or 0 where it is not saved."""
    if cpu.svm_features & SVM_NEXT_RIP == 0 or not saves_next(cpu.exit_code):
        return 0
    if cpu.exit_record == 0:
        return 0
    rec = Record.at(cpu.exit_record)
    if rec.pc != cpu.rip:
        return 0
    after = rec.pc + u64(rec.ilen)
    if cpu.mode & MODE_LONG == 0:
        after = after & 0xFFFF_FFFF
    return after


@typed
def was_in_shadow(cpu: Cpu) -> bool:
    """Whether the guest was left in an interrupt shadow. ref: APM2 15.21.5

    An instruction that was abandoned is among those counted; the shadow is still there for it.
    """
    if cpu.shadow_at == 0:
        return False
    now = instructions(cpu)
    if cpu.shadow_at == now:
        return True
    if cpu.shadow_at + 1 != now or cpu.exit_record == 0:
        return False
    return Record.at(cpu.exit_record).pc == cpu.rip


@typed(inline=False)
def store_text(cpu: Cpu) -> None:
    """Decode assist: the bytes of the instruction, after faults of data accesses alone."""
    if cpu.svm_features & SVM_DECODE_ASSISTS == 0:
        return
    count: u64 = 0
    fill_bytes(cpu.vmcb + INSN_BYTES, u8(0), TEXT_SIZE)
    data_fault = cpu.exit_code == SvmExit.NPF or cpu.exit_code == SvmExit.EXCP_PF
    if data_fault and cpu.exit_info1 & FETCH == 0 and cpu.event_info == 0:
        count = fetch_text(cpu)
    poke_u8(cpu.vmcb + INSN_LEN, u8(count))


@typed(inline=False)
def fetch_text(cpu: Cpu) -> u64:
    """Copy up to 15 bytes from RIP on into the VMCB; how many could be read."""
    code = cpu.exit_code
    info1 = cpu.exit_info1
    info2 = cpu.exit_info2
    address = cpu.rip
    if cpu.mode & MODE_LONG == 0:
        address = (cpu.seg_base[CS] + address) & 0xFFFF_FFFF
    here = 0x1000 - (address & 0xFFF)
    if here > TEXT_SIZE:
        here = TEXT_SIZE
    count: u64 = 0
    try:
        found = fetch_host(cpu, cpu.ctx[CODE], address)
        copy_bytes(cpu.vmcb + INSN_BYTES, cpu.ram + found, here)
        count = here
        if here < TEXT_SIZE:
            found = fetch_host(cpu, cpu.ctx[CODE], address + here)
            copy_bytes(cpu.vmcb + INSN_BYTES + here, cpu.ram + found, TEXT_SIZE - here)
            count = TEXT_SIZE
    except Leave:
        cpu.exit_code = code
    cpu.exit_code = code
    cpu.exit_info1 = info1
    cpu.exit_info2 = info2
    return count
