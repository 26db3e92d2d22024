"""Interlocked updates of several places: CSST and PERFORM LOCKED OPERATION. ref: PoP chapter 7.

Processors take turns between instructions, so that each instruction is one step for the others.
"""

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.engine import typed, u8, u16, u32, u64, u128
from worldswitch.metal.s390x.access import space_of
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.insns.translate_wide import use_register_1
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.memory import (
    check_write,
    fetch_u8,
    fetch_u16,
    fetch_u32,
    fetch_u64,
    fetch_u128,
    store_u8,
    store_u16,
    store_u32,
    store_u64,
    store_u128,
)
from worldswitch.metal.s390x.mode import MODE_ACCESS_REGISTER
from worldswitch.metal.s390x.psw import PSW_EA
from worldswitch.metal.s390x.regs import set_low
from worldswitch.metal.s390x.state import OP1, OP2, SCRATCH1, Cpu


@typed(leaves=True, inline=False)
def fetch_sized(cpu: Cpu, space: u32, address: u64, size: u64) -> u128:
    """1, 2, 4, 8 or 16 bytes as a number."""
    if size == 16:
        return fetch_u128(cpu, space, address)
    if size == 8:
        return u128(fetch_u64(cpu, space, address))
    if size == 4:
        return u128(fetch_u32(cpu, space, address))
    if size == 2:
        return u128(fetch_u16(cpu, space, address))
    return u128(fetch_u8(cpu, space, address))


@typed(leaves=True, inline=False)
def store_sized(cpu: Cpu, space: u32, address: u64, size: u64, value: u128) -> None:
    """Store the right 1, 2, 4, 8 or 16 bytes of a number."""
    if size == 16:
        store_u128(cpu, space, address, value)
    elif size == 8:
        store_u64(cpu, space, address, u64(value))
    elif size == 4:
        store_u32(cpu, space, address, u32(value))
    elif size == 2:
        store_u16(cpu, space, address, u16(value))
    else:
        store_u8(cpu, space, address, u8(value))


@insn("CSST", "C82", "SSF", ref="PoP 7 COMPARE AND SWAP AND STORE", facility=Facility.CSST)
def csst(cpu: Cpu, r3: u8, addr1: u64, addr2: u64) -> None:
    """Compare R3 with the first operand; if equal swap, and store into the second operand.

    Register 0: function code (how wide the comparison is) and store characteristic. Register 1:
    a parameter list of the replacement and the value to store.
    """
    function = cpu.gr[0] & 0xFF
    characteristic = (cpu.gr[0] >> 8) & 0xFF
    second = cpu.facilities[0] & CSST_2 != 0
    if function > 2 or characteristic > 4:
        specification(cpu)
    if not second and (function > 1 or characteristic > 3):
        specification(cpu)
    size = u64(4) << function
    stored = u64(1) << characteristic
    if addr1 & (size - 1) != 0 or addr2 & (stored - 1) != 0 or (size == 16 and r3 & 1 != 0):
        specification(cpu)
    use_register_1(cpu)
    parameters = cpu.gr[1] & ~u64(15) & cpu.address_mask
    replacement = fetch_sized(cpu, SCRATCH1, parameters, size)
    value = fetch_sized(cpu, SCRATCH1, (parameters + 16) & cpu.address_mask, stored)
    check_write(cpu, OP1, addr1, size)
    check_write(cpu, OP2, addr2, stored)
    old = fetch_sized(cpu, OP1, addr1, size)
    if old == register_value(cpu, r3, size):
        store_sized(cpu, OP1, addr1, size, replacement)
        store_sized(cpu, OP2, addr2, stored, value)
        cpu.cc = 0
    else:
        set_register_value(cpu, r3, size, old)
        cpu.cc = 1


CSST_2 = 1 << (63 - Facility.CSST_2)


@typed
def register_value(cpu: Cpu, r: u8, size: u64) -> u128:
    """A register's right word, a register, or a pair."""
    if size == 16:
        return (u128(cpu.gr[r]) << 64) | u128(cpu.gr[r + 1])
    if size == 8:
        return u128(cpu.gr[r])
    return u128(cpu.gr[r] & 0xFFFF_FFFF)


@typed
def set_register_value(cpu: Cpu, r: u8, size: u64, value: u128) -> None:
    """Replace what `register_value` reads."""
    if size == 16:
        cpu.gr[r] = u64(value >> 64)
        cpu.gr[r + 1] = u64(value)
    elif size == 8:
        cpu.gr[r] = u64(value)
    else:
        set_low(cpu, r, u32(value))


TEST = 0x100
LAST_FUNCTION = 23
COMPARE_AND_LOAD = 0
COMPARE_AND_SWAP = 1
DOUBLE_COMPARE_AND_SWAP = 2
SWAP_AND_STORE = 3
SWAP_AND_DOUBLE_STORE = 4
SWAP_AND_TRIPLE_STORE = 5
WORD = 0
LIST_DOUBLEWORD = 1
LIST_QUADWORD = 3
"""Function code = 4 * operation + width; width 2 is doublewords in registers."""


@typed(leaves=True)
def list_value(cpu: Cpu, at: u64, offset: u64, size: u64) -> u128:
    """A value of the parameter list: right-aligned in the 16 bytes at `offset`."""
    return fetch_sized(cpu, OP1, (at + offset + 16 - size) & cpu.address_mask, size)


@typed(leaves=True, inline=False)
def list_address(cpu: Cpu, at: u64, offset: u64) -> u64:
    """An address of the parameter list, at 72, 104 or 136."""
    if cpu.psw_mask & PSW_EA != 0:
        return fetch_u64(cpu, OP1, (at + offset) & cpu.address_mask)
    return u64(fetch_u32(cpu, OP1, (at + offset + 4) & cpu.address_mask)) & cpu.address_mask


@typed(leaves=True, inline=False)
def list_context(cpu: Cpu, r3: u8, at: u64, offset: u64) -> u64:
    """The context of an operand whose ALET lies at `offset` of the list; R3 gets the ALET."""
    if cpu.mode & MODE_ACCESS_REGISTER == 0:
        return cpu.ctx[OP1]
    if r3 == 0:
        specification(cpu)
    cpu.ar[r3] = fetch_u32(cpu, OP1, (at + offset) & cpu.address_mask)
    return space_of(cpu, r3)


@typed(leaves=True)
def require_aligned(cpu: Cpu, address: u64, size: u64) -> None:
    """Specification exception unless the address is a multiple of the size."""
    if address & (size - 1) != 0:
        specification(cpu)


@typed(leaves=True, inline=False)
def store_listed(cpu: Cpu, r3: u8, at: u64, n: u64, size: u64, storing: bool) -> None:
    """Store operand 3, 5 or 7 (n is 0, 1, 2) at operand 4, 6 or 8; or only check that it can be.

    A value begins in the list at 48 + 32n if it has 16 bytes, and ends where that would. Of the
    operations on words and registers operand 3 lies in the list too.
    """
    value = list_value(cpu, at, 48 + 32 * n, size)
    address = list_address(cpu, at, 72 + 32 * n)
    require_aligned(cpu, address, size)
    cpu.ctx[SCRATCH1] = list_context(cpu, r3, at, 68 + 32 * n)
    if storing:
        store_sized(cpu, SCRATCH1, address, size, value)
    else:
        check_write(cpu, SCRATCH1, address, size)


@typed(leaves=True, inline=False)
def plo_specification(
    cpu: Cpu, operation: u64, width: u64, r1: u8, r3: u8, addr2: u64, addr4: u64
) -> u64:
    """The operands' size in bytes, after the checks of registers and alignment."""
    in_list = width & 1 != 0
    size: u64 = 8
    if width == WORD:
        size = 4
    elif width == LIST_QUADWORD:
        size = 16
    if not in_list:
        if operation != COMPARE_AND_LOAD and r1 & 1 != 0:
            specification(cpu)
        if operation == DOUBLE_COMPARE_AND_SWAP and r3 & 1 != 0:
            specification(cpu)
    require_aligned(cpu, addr2, size)
    if in_list or operation >= SWAP_AND_DOUBLE_STORE:
        require_aligned(cpu, addr4, u64(8))
    elif operation != COMPARE_AND_SWAP:
        require_aligned(cpu, addr4, size)
    return size


@insn("PLO", "EE", "SS_e", ref="PoP 7 PERFORM LOCKED OPERATION", access_registers=("b1", "b2"))
def plo(cpu: Cpu, r1: u8, r3: u8, addr2: u64, addr4: u64) -> None:
    """Compare, and if equal load, swap or store, as the function code in register 0 says."""
    code = cpu.gr[0] & 0xFF
    if cpu.gr[0] & 0xFFFF_FE00 != 0:
        specification(cpu)
    if cpu.gr[0] & TEST != 0:
        cpu.cc = 0 if code <= LAST_FUNCTION else 3
        return
    if code > LAST_FUNCTION:
        specification(cpu)
    operation = code >> 2
    width = code & 3
    in_list = width & 1 != 0
    size = plo_specification(cpu, operation, width, r1, r3, addr2, addr4)
    if in_list:
        expected = list_value(cpu, addr4, u64(0), size)
    else:
        expected = register_value(cpu, r1, size)
    if operation != COMPARE_AND_LOAD:
        check_write(cpu, OP2, addr2, size)
    old = fetch_sized(cpu, OP2, addr2, size)
    if old != expected:
        if in_list:
            store_sized(cpu, OP1, (addr4 + 16 - size) & cpu.address_mask, size, old)
        else:
            set_register_value(cpu, r1, size, old)
        cpu.cc = 1
        return
    replacement: u128 = 0
    if operation != COMPARE_AND_LOAD:
        if in_list:
            replacement = list_value(cpu, addr4, u64(16), size)
        else:
            replacement = register_value(cpu, r1 + 1, size)
    cpu.cc = 0
    if operation == COMPARE_AND_LOAD:
        plo_load(cpu, r3, addr4, size, in_list)
    elif operation == DOUBLE_COMPARE_AND_SWAP:
        plo_second_swap(cpu, r3, addr2, addr4, size, in_list, replacement)
    else:
        plo_stores(cpu, r3, addr4, size, in_list, operation, False)
        store_sized(cpu, OP2, addr2, size, replacement)
        plo_stores(cpu, r3, addr4, size, in_list, operation, True)


@typed(leaves=True, inline=False)
def plo_load(cpu: Cpu, r3: u8, addr4: u64, size: u64, in_list: bool) -> None:
    """Operand 3 := operand 4."""
    if in_list:
        address = list_address(cpu, addr4, u64(72))
        require_aligned(cpu, address, size)
        cpu.ctx[SCRATCH1] = list_context(cpu, r3, addr4, u64(68))
        value = fetch_sized(cpu, SCRATCH1, address, size)
        store_sized(cpu, OP1, (addr4 + 48 - size) & cpu.address_mask, size, value)
    else:
        set_register_value(cpu, r3, size, fetch_sized(cpu, OP1, addr4, size))


@typed(leaves=True, inline=False)
def plo_second_swap(
    cpu: Cpu, r3: u8, addr2: u64, addr4: u64, size: u64, in_list: bool, replacement: u128
) -> None:
    """Compare operand 4 too; both operands are swapped if it is equal."""
    address = addr4
    if in_list:
        expected = list_value(cpu, addr4, u64(32), size)
        second = list_value(cpu, addr4, u64(48), size)
        address = list_address(cpu, addr4, u64(72))
        require_aligned(cpu, address, size)
        cpu.ctx[SCRATCH1] = list_context(cpu, r3, addr4, u64(68))
    else:
        expected = register_value(cpu, r3, size)
        second = register_value(cpu, r3 + 1, size)
        cpu.ctx[SCRATCH1] = cpu.ctx[OP1]
    check_write(cpu, SCRATCH1, address, size)
    old = fetch_sized(cpu, SCRATCH1, address, size)
    if old == expected:
        store_sized(cpu, OP2, addr2, size, replacement)
        store_sized(cpu, SCRATCH1, address, size, second)
        return
    if in_list:
        store_sized(cpu, OP1, (addr4 + 48 - size) & cpu.address_mask, size, old)
    else:
        set_register_value(cpu, r3, size, old)
    cpu.cc = 2


@typed(leaves=True, inline=False)
def plo_stores(
    cpu: Cpu, r3: u8, addr4: u64, size: u64, in_list: bool, operation: u64, storing: bool
) -> None:
    """The stores of the operations with one to three of them; `storing` False only checks."""
    if operation == SWAP_AND_STORE and not in_list:
        if storing:
            store_sized(cpu, OP1, addr4, size, register_value(cpu, r3, size))
        else:
            check_write(cpu, OP1, addr4, size)
    elif operation >= SWAP_AND_STORE:
        store_listed(cpu, r3, addr4, u64(0), size, storing)
        if operation >= SWAP_AND_DOUBLE_STORE:
            store_listed(cpu, r3, addr4, u64(1), size, storing)
        if operation == SWAP_AND_TRIPLE_STORE:
            store_listed(cpu, r3, addr4, u64(2), size, storing)
