"""The linkage stack: its entries, and the instructions that make, look at and change them.

A state entry has 296 bytes, its descriptor last; control register 15 holds the address of the
current entry's descriptor in the home space. ref: PoP 5 Linkage Stack
"""

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Ictl
from worldswitch.engine import typed, u8, u16, u32, u64
from worldswitch.metal.s390x.asn import REUSE_FACILITY, reuse
from worldswitch.metal.s390x.insn import Intercept, insn
from worldswitch.metal.s390x.insns.control_checks import (
    AS_HOME,
    AS_SECONDARY,
    address_space,
    require_dat,
    special_operation,
    use_keys,
)
from worldswitch.metal.s390x.leave import program, specification
from worldswitch.metal.s390x.memory import (
    check_read,
    check_write,
    fetch_u8,
    fetch_u32,
    fetch_u64,
    store_u16,
    store_u32,
    store_u64,
)
from worldswitch.metal.s390x.psw import PSW_BA, PSW_EA, assemble_psw_mask
from worldswitch.metal.s390x.regs import set_low
from worldswitch.metal.s390x.state import HOME, SCRATCH1, Cpu

ENTRY_SIZE = 296
DESCRIPTOR = 288
"""Offset of the descriptor in a state entry."""
AUTHORITY = 128
"""Offsets in a state entry: key mask, secondary ASN, extended index, primary ASN."""
PSW_MASK = 136
CALLED = 144
MODIFIABLE = 152
PSW_ADDRESS = 168
INSTANCES = 176
ACCESS_REGISTERS = 224

UNSTACK_SUPPRESSION = 0x80
HEADER = 0x09
BRANCH_STATE = 0x0C
CALL_STATE = 0x0D
NO_MODE = 0xFFFF_FFFE_7FFF_FFFF
"""All PSW bits but 31 and 32."""
STACK = SCRATCH1
"""Context of the home space, without protection by keys."""


@typed(leaves=True)
def use_stack(cpu: Cpu) -> None:
    """Make STACK the home space as the stack is accessed."""
    use_keys(cpu, u32(HOME), u8(0), u32(HOME), u8(0))


@typed
def with_mode(cpu: Cpu, address: u64) -> u64:
    """An address with the current addressing mode in its bits 63 or 32."""
    if cpu.psw_mask & PSW_EA != 0:
        return address | 1
    return address | (cpu.psw_mask & PSW_BA)


@typed(leaves=True, inline=False)
def form_entry(cpu: Cpu, kind: u64, back: u64, called: u64) -> None:
    """Stack a state entry; `back` is the return address with its mode. ref: PoP 5 Stacking."""
    use_stack(cpu)
    current = cpu.cr[15] & ~u64(7)
    descriptor = fetch_u64(cpu, STACK, current)
    free = (descriptor >> 32) & 0xFFFF
    header: u64 = 0
    if free < ENTRY_SIZE:
        if free & 7 != 0:
            program(cpu, ProgramCode.STACK_SPECIFICATION)
        # The trailer entry behind the free space leads to the next section.
        forward = fetch_u64(cpu, STACK, current + 8 + free)
        if forward & 1 == 0:
            program(cpu, ProgramCode.STACK_FULL)
        header = cpu.cr[15] & ~u64(7)
        current = forward & ~u64(7)
        descriptor = fetch_u64(cpu, STACK, current)
        free = (descriptor >> 32) & 0xFFFF
        if free < ENTRY_SIZE:
            program(cpu, ProgramCode.STACK_SPECIFICATION)
        check_write(cpu, STACK, current - 8, u64(8))
    check_write(cpu, STACK, current, u64(8))
    check_write(cpu, STACK, current + 8, u64(ENTRY_SIZE))
    if header != 0:
        store_u64(cpu, STACK, current - 8, header | 1)
    fill_entry(cpu, current + 8, back, called)
    section = (descriptor >> 48) & 0xFF
    latest = (kind << 56) | (section << 48) | ((free - ENTRY_SIZE) << 32)
    store_u64(cpu, STACK, current + 8 + DESCRIPTOR, latest)
    store_u16(cpu, STACK, current + 4, u16(ENTRY_SIZE))
    cpu.cr[15] = current + 8 + DESCRIPTOR


@typed(leaves=True, inline=False)
def fill_entry(cpu: Cpu, at: u64, back: u64, called: u64) -> None:
    """Store registers and state into a state entry."""
    n: u64 = 0
    while n < 16:
        store_u64(cpu, STACK, at + n * 8, cpu.gr[n])
        store_u32(cpu, STACK, at + ACCESS_REGISTERS + n * 4, cpu.ar[n])
        n += 1
    spaces = (cpu.cr[3] << 32) | (cpu.cr[8] & 0xFFFF_0000) | (cpu.cr[4] & 0xFFFF)
    store_u64(cpu, STACK, at + AUTHORITY, spaces)
    mask = assemble_psw_mask(cpu) & NO_MODE
    address = back
    if back & 1 != 0:
        mask = mask | (PSW_EA | PSW_BA)
        address = back & ~u64(1)
    elif back & 0x8000_0000 != 0:
        mask = mask | PSW_BA
        address = back & 0x7FFF_FFFF
    else:
        address = back & 0xFF_FFFF
    store_u64(cpu, STACK, at + PSW_MASK, mask)
    store_u64(cpu, STACK, at + CALLED, called)
    store_u64(cpu, STACK, at + MODIFIABLE, u64(0))
    store_u64(cpu, STACK, at + MODIFIABLE + 8, u64(0))
    store_u64(cpu, STACK, at + PSW_ADDRESS, address)
    if reuse(cpu):
        instances = (cpu.cr[3] & 0xFFFF_FFFF_0000_0000) | (cpu.cr[4] >> 32)
        store_u64(cpu, STACK, at + INSTANCES, instances)


@typed(leaves=True, inline=False)
def last_entry(cpu: Cpu, unstacking: bool) -> u64:
    """Address of the last state entry, readable as a whole. ref: PoP 5 Unstacking Process."""
    require_dat(cpu)
    space = address_space(cpu)
    if space == AS_SECONDARY or (unstacking and space == AS_HOME):
        special_operation(cpu)
    use_stack(cpu)
    current = cpu.cr[15] & ~u64(7)
    kind = fetch_u8(cpu, STACK, current)
    if kind & 0x7F == HEADER:
        if unstacking and kind & UNSTACK_SUPPRESSION != 0:
            program(cpu, ProgramCode.STACK_OPERATION)
        backward = fetch_u64(cpu, STACK, current - 8)
        if backward & 1 == 0:
            program(cpu, ProgramCode.STACK_EMPTY)
        current = backward & ~u64(7)
        kind = fetch_u8(cpu, STACK, current)
        if kind & 0x7F == HEADER:
            program(cpu, ProgramCode.STACK_SPECIFICATION)
    if kind & 0x7F != BRANCH_STATE and kind & 0x7F != CALL_STATE:
        program(cpu, ProgramCode.STACK_TYPE)
    if unstacking and kind & UNSTACK_SUPPRESSION != 0:
        program(cpu, ProgramCode.STACK_OPERATION)
    check_read(cpu, STACK, current - DESCRIPTOR, u64(ENTRY_SIZE))
    return current - DESCRIPTOR


@typed(leaves=True, inline=False)
def extract_registers(cpu: Cpu, entry: u64, first: u8, last: u8, wide: bool) -> None:
    """Load general and access registers `first` to `last`, wrapping around, from a state entry."""
    n: u64 = 0
    count = u64((last - first) & 15) + 1
    while n < count:
        r = (u64(first) + n) & 15
        value = fetch_u64(cpu, STACK, entry + r * 8)
        if wide:
            cpu.gr[r] = value
        else:
            set_low(cpu, u8(r), u32(value))
        cpu.ar[r] = fetch_u32(cpu, STACK, entry + ACCESS_REGISTERS + r * 4)
        n += 1


@insn("BAKR", "B240", "RRE", ref="PoP 10 BRANCH AND STACK", control=True,
      intercept=Intercept("ictl", int(Ictl.BAKR)))  # fmt: skip
def bakr(cpu: Cpu, r1: u8, r2: u8, pc: u64) -> None:
    """Stack a branch state entry and branch to R2 unless it is 0.

    The entry's return address is R1's with its mode, or the next instruction's if R1 is 0.
    """
    require_dat(cpu)
    if address_space(cpu) & AS_SECONDARY != 0:
        special_operation(cpu)
    back = with_mode(cpu, cpu.psw_addr)
    if r1 != 0:
        back = cpu.gr[r1]
    target = cpu.psw_addr
    if r2 != 0:
        target = cpu.gr[r2] & cpu.address_mask
    form_entry(cpu, u64(BRANCH_STATE), back, with_mode(cpu, target))
    if r2 != 0:
        cpu.psw_addr = target
        cpu.breaking = pc


@insn("EREG", "B249", "RRE", ref="PoP 10 EXTRACT STACKED REGISTERS")
def ereg(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Load bits 32-63 of general registers, and access registers, from the last entry."""
    extract_registers(cpu, last_entry(cpu, False), r1, r2, False)


@insn("EREGG", "B90E", "RRE", ref="PoP 10 EXTRACT STACKED REGISTERS")
def eregg(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Load general and access registers from the last entry."""
    extract_registers(cpu, last_entry(cpu, False), r1, r2, True)


@insn("ESTA", "B24A", "RRE", ref="PoP 10 EXTRACT STACKED STATE")
def esta(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Load a field of the last entry, by the code in R2, into the pair R1.

    Condition code 0 for a branch state entry, 1 for a program-call state entry.
    """
    code = cpu.gr[r2] & 0xFF
    last_code: u64 = 4
    if cpu.facilities[0] & REUSE_FACILITY != 0:
        last_code = 5
    if r1 & 1 != 0 or code > last_code:
        specification(cpu)
    entry = last_entry(cpu, False)
    kind = fetch_u8(cpu, STACK, entry + DESCRIPTOR)
    cpu.cc = u64(kind & 0x7F == CALL_STATE)
    if code == 1 or code == 4:
        mask = fetch_u64(cpu, STACK, entry + PSW_MASK)
        address = fetch_u64(cpu, STACK, entry + PSW_ADDRESS)
        if code == 4:
            cpu.gr[r1] = mask
            cpu.gr[r1 + 1] = address
        else:
            # The short format; an address that does not fit is marked by its last bit.
            set_low(cpu, r1, u32(mask >> 32) | 0x8_0000)
            short = u32((mask & PSW_BA) | (address & 0x7FFF_FFFF))
            if address > 0x7FFF_FFFF:
                short = short | 1
            set_low(cpu, r1 + 1, short)
    elif code == 5:
        value = fetch_u64(cpu, STACK, entry + INSTANCES)
        cpu.gr[r1] = (cpu.gr[r1] & 0xFFFF_FFFF) | (value & 0xFFFF_FFFF_0000_0000)
        cpu.gr[r1 + 1] = (cpu.gr[r1 + 1] & 0xFFFF_FFFF) | (value << 32)
    else:
        value = fetch_u64(cpu, STACK, entry + AUTHORITY + code * 8)
        set_low(cpu, r1, u32(value >> 32))
        set_low(cpu, r1 + 1, u32(value))


@insn("MSTA", "B247", "RRE", ref="PoP 10 MODIFY STACKED STATE")
def msta(cpu: Cpu, r1: u8) -> None:
    """Store the pair R1, bits 32-63 of each, into the modifiable area of the last entry."""
    if r1 & 1 != 0:
        specification(cpu)
    entry = last_entry(cpu, False)
    value = (cpu.gr[r1] << 32) | (cpu.gr[r1 + 1] & 0xFFFF_FFFF)
    store_u64(cpu, STACK, entry + MODIFIABLE, value)
