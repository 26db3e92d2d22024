"""Program-event recording: when an event occurs, and what is noted of it.

Events are noted in the Cpu and presented with the interruption that ends the instruction.
ref: PoP 4 Program-Event Recording.
"""

from worldswitch.arch.s390x.control_registers import Cr9
from worldswitch.arch.s390x.program import PerAtmid, PerCode
from worldswitch.engine import typed, u8, u16, u32, u64
from worldswitch.metal.s390x.mode import per_on
from worldswitch.metal.s390x.psw import PSW_BA, PSW_DAT, PSW_EA
from worldswitch.metal.s390x.state import Cpu

CR9_BRANCH = int(Cr9.SUCCESSFUL_BRANCHING)
CR9_FETCH = int(Cr9.INSTRUCTION_FETCH)
CR9_STORE = int(Cr9.STORAGE_ALTERATION)
CR9_KEY = int(Cr9.STORAGE_KEY_ALTERATION)
CR9_STORE_REAL = int(Cr9.STORE_USING_REAL_ADDRESS)
CR9_NULLIFY = int(Cr9.INSTRUCTION_FETCH_NULLIFICATION)
CR9_BRANCH_RANGE = int(Cr9.BRANCH_ADDRESS_CONTROL)
CR9_SPACE = int(Cr9.STORAGE_ALTERATION_SPACE)
PER_BRANCH = int(PerCode.SUCCESSFUL_BRANCHING)
PER_FETCH = int(PerCode.INSTRUCTION_FETCH)
PER_STORE = int(PerCode.STORAGE_ALTERATION)
PER_KEY = int(PerCode.STORAGE_KEY_ALTERATION)
PER_STORE_REAL = int(PerCode.STORE_USING_REAL_ADDRESS)
PER_NULLIFY = int(PerCode.INSTRUCTION_FETCH_NULLIFICATION)
ATMID_EA = int(PerAtmid.EXTENDED_ADDRESSING)
ATMID_VALID = int(PerAtmid.VALID)
ATMID_BA = int(PerAtmid.BASIC_ADDRESSING)
ATMID_DAT = int(PerAtmid.DAT)
ASCE_STORAGE_ALTERATION = 0x80
SPACE_SHIFT = 46


@typed
def per_range(cpu: Cpu, address: u64, count: u64) -> bool:
    """Whether any of `count` bytes at `address` is in the range of control registers 10 and 11.

    A range whose end is below its start wraps around. ref: PoP 4 Storage-Area Designation
    """
    start = cpu.cr[10] & cpu.address_mask
    end = cpu.cr[11] & cpu.address_mask
    size = (end - start) & cpu.address_mask
    if (address - start) & cpu.address_mask <= size:
        return True
    return (start - address) & cpu.address_mask < count


@typed(inline=False)
def per_event(cpu: Cpu, code: u16, address: u64) -> None:
    """Note an event of the instruction at `address`, in the mode of the current PSW."""
    mask = cpu.psw_mask
    atmid: u8 = ATMID_VALID
    if mask & PSW_EA != 0:
        atmid = atmid | ATMID_EA
    if mask & PSW_BA != 0:
        atmid = atmid | ATMID_BA
    if mask & PSW_DAT != 0:
        atmid = atmid | ATMID_DAT | u8(((mask >> SPACE_SHIFT) & 3) << 2)
    cpu.per_code = cpu.per_code | code
    cpu.per_atmid = atmid
    cpu.per_address = address


@typed(inline=False)
def per_fetch(cpu: Cpu, pc: u64) -> bool:
    """Note an instruction-fetching event, if it is one; True if it nullifies.

    Before the instruction at `pc` executes. ref: PoP 4 Instruction-Fetching Event
    """
    if not per_on(cpu) or cpu.cr[9] & CR9_FETCH == 0:
        return False
    if not per_range(cpu, pc, 1):
        return False
    if cpu.cr[9] & CR9_NULLIFY != 0:
        per_event(cpu, PER_FETCH | PER_NULLIFY, pc)
        return True
    per_event(cpu, PER_FETCH, pc)
    return False


@typed(inline=False)
def per_branch(cpu: Cpu, pc: u64, target: u64) -> None:
    """Note a successful-branching event of the branch at `pc`.

    ref: PoP 4 Successful-Branching Event
    """
    if not per_on(cpu) or cpu.cr[9] & CR9_BRANCH == 0:
        return
    if cpu.cr[9] & CR9_BRANCH_RANGE != 0 and not per_range(cpu, target, 1):
        return
    per_event(cpu, PER_BRANCH, pc)


@typed(inline=False)
def per_store(cpu: Cpu, space: u32, address: u64, count: u64, pc: u64) -> None:
    """Note a storage-alteration event of the instruction at `pc`.

    `space` is an index of `Cpu.ctx`. ref: PoP 4 Storage-Alteration Event
    """
    if not per_on(cpu) or cpu.cr[9] & CR9_STORE == 0:
        return
    c = cpu.contexts[cpu.ctx[space]]
    if cpu.cr[9] & CR9_SPACE != 0 and c.dat == 1 and not marked_space(cpu, c.space):
        return
    if per_range(cpu, address, count):
        per_event(cpu, PER_STORE, pc)


@typed
def marked_space(cpu: Cpu, space: u8) -> bool:
    """Whether the storage-alteration-event bit of a space's control element is one."""
    if space == 0:
        return cpu.cr[1] & ASCE_STORAGE_ALTERATION != 0
    if space == 2:
        return cpu.cr[7] & ASCE_STORAGE_ALTERATION != 0
    if space == 3:
        return cpu.cr[13] & ASCE_STORAGE_ALTERATION != 0
    # UNMODELLED: the event control of a space that an access register designates.
    return False


@typed(inline=False)
def per_key_change(cpu: Cpu, address: u64, pc: u64) -> None:
    """Note a storage-key-alteration event. ref: PoP 4 Storage-Key-Alteration Event."""
    if per_on(cpu) and cpu.cr[9] & CR9_KEY != 0 and per_range(cpu, address, 1):
        per_event(cpu, PER_KEY, pc)


@typed(inline=False)
def per_store_real(cpu: Cpu, pc: u64) -> None:
    """Note a store-using-real-address event. ref: PoP 4 Store-Using-Real-Address Event."""
    if per_on(cpu) and cpu.cr[9] & CR9_STORE_REAL != 0:
        per_event(cpu, PER_STORE_REAL, pc)
