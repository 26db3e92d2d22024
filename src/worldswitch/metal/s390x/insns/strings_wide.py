"""Moves and comparisons of two-byte characters, substrings, and codewords of sorting.

ref: PoP chapter 7
"""

from worldswitch.engine import typed, u8, u16, u64
from worldswitch.metal.s390x.access import space_of
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.insns.strings import (
    UNIT,
    address_in,
    again,
    even_pair,
    length_in,
    set_address,
    set_length,
)
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.memory import (
    fetch_u8,
    fetch_u16,
    fetch_u32,
    fetch_u128,
    store_u16,
    store_u64,
)
from worldswitch.metal.s390x.mode import MODE_ACCESS_REGISTER
from worldswitch.metal.s390x.psw import PSW_EA
from worldswitch.metal.s390x.state import OP1, OP2, Cpu

EXTENDED_TRANSLATION_2 = 16


@typed(leaves=True)
def even_lengths(cpu: Cpu, r1: u8, r3: u8) -> None:
    """Specification exception for odd registers or odd lengths."""
    even_pair(cpu, r1, r3)
    if (cpu.gr[r1 + 1] | cpu.gr[r3 + 1]) & 1 != 0:
        specification(cpu)


@insn("MVCLU", "EB8E", "RSY_a", ref="PoP 7 MOVE LONG UNICODE", facility=EXTENDED_TRANSLATION_2,
      access_registers=("r1", "r3"))  # fmt: skip
def mvclu(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
    """Move two-byte characters, padded with the right two bytes of the address."""
    even_lengths(cpu, r1, r3)
    to_count = length_in(cpu, r1 + 1)
    from_count = length_in(cpu, r3 + 1)
    to = address_in(cpu, r1)
    source = address_in(cpu, r3)
    cc: u64 = 0
    if to_count != from_count:
        cc = 1 if to_count < from_count else 2
    n: u64 = 0
    while to_count != 0 and n < UNIT:
        value = u16(addr2)
        if from_count != 0:
            value = fetch_u16(cpu, OP2, source)
            store_u16(cpu, OP1, to, value)
            source = (source + 2) & cpu.address_mask
            from_count -= 2
        else:
            store_u16(cpu, OP1, to, value)
        to = (to + 2) & cpu.address_mask
        to_count -= 2
        set_address(cpu, r1, to)
        set_length(cpu, r1 + 1, to_count)
        set_address(cpu, r3, source)
        set_length(cpu, r3 + 1, from_count)
        n += 1
    set_address(cpu, r1, to)
    set_address(cpu, r3, source)
    cpu.cc = 3 if to_count != 0 else cc


@insn("CLCLU", "EB8F", "RSY_a", ref="PoP 7 COMPARE LOGICAL LONG UNICODE",
      facility=EXTENDED_TRANSLATION_2, access_registers=("r1", "r3"))  # fmt: skip
def clclu(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
    """Compare two-byte characters, the shorter operand padded."""
    even_lengths(cpu, r1, r3)
    n1 = length_in(cpu, r1 + 1)
    n2 = length_in(cpu, r3 + 1)
    a = address_in(cpu, r1)
    b = address_in(cpu, r3)
    cc: u64 = 0
    n: u64 = 0
    while (n1 != 0 or n2 != 0) and cc == 0 and n < UNIT:
        x = u16(addr2)
        y = u16(addr2)
        if n1 != 0:
            x = fetch_u16(cpu, OP1, a)
        if n2 != 0:
            y = fetch_u16(cpu, OP2, b)
        if x != y:
            cc = 1 if x < y else 2
        else:
            if n1 != 0:
                a = (a + 2) & cpu.address_mask
                n1 -= 2
            if n2 != 0:
                b = (b + 2) & cpu.address_mask
                n2 -= 2
        n += 1
    set_address(cpu, r1, a)
    set_address(cpu, r3, b)
    set_length(cpu, r1 + 1, n1)
    set_length(cpu, r3 + 1, n2)
    if cc == 0 and (n1 != 0 or n2 != 0):
        cc = 3
    cpu.cc = cc


@typed
def signed_length(cpu: Cpu, r: u8) -> u64:
    """A length that is a signed number: a negative one counts as zero."""
    if cpu.psw_mask & PSW_EA != 0:
        return u64(0) if cpu.gr[r] >> 63 != 0 else cpu.gr[r]
    return u64(0) if cpu.gr[r] & 0x8000_0000 != 0 else cpu.gr[r] & 0xFFFF_FFFF


@typed
def set_operands(cpu: Cpu, r1: u8, r2: u8, a: u64, n1: u64, b: u64, n2: u64) -> None:
    """Put addresses and lengths of both operands into their pairs."""
    set_address(cpu, r1, a)
    set_length(cpu, r1 + 1, n1)
    set_address(cpu, r2, b)
    set_length(cpu, r2 + 1, n2)


@insn("CUSE", "B257", "RRE", ref="PoP 7 COMPARE UNTIL SUBSTRING EQUAL",
      access_registers=("r1", "r2"))  # fmt: skip
def cuse(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Find as many equal bytes in a row, at equal places, as register 0 says.

    Condition codes: 0 found, 1 and 2 ended with the last bytes equal and unequal, 3 more.
    """
    even_pair(cpu, r1, r2)
    wanted = cpu.gr[0] & 0xFF
    pad = u8(cpu.gr[1])
    a = address_in(cpu, r1)
    b = address_in(cpu, r2)
    n1 = signed_length(cpu, r1 + 1)
    n2 = signed_length(cpu, r2 + 1)
    if wanted == 0:
        cpu.cc = 0
        return
    # Where the equal bytes began, as it goes into the registers in the end.
    first_a = a
    first_b = b
    first_n1 = n1
    first_n2 = n2
    equal: u64 = 0
    n: u64 = 0
    while (n1 != 0 or n2 != 0) and equal != wanted and (n < UNIT or equal != 0):
        x = pad
        y = pad
        if n1 != 0:
            x = fetch_u8(cpu, OP1, a)
        if n2 != 0:
            y = fetch_u8(cpu, OP2, b)
        if n1 != 0:
            a = (a + 1) & cpu.address_mask
            n1 -= 1
        if n2 != 0:
            b = (b + 1) & cpu.address_mask
            n2 -= 1
        if x == y:
            equal += 1
        else:
            equal = 0
            first_a = a
            first_b = b
            first_n1 = n1
            first_n2 = n2
        n += 1
    set_operands(cpu, r1, r2, first_a, first_n1, first_b, first_n2)
    if equal == wanted:
        cpu.cc = 0
    elif n1 == 0 and n2 == 0:
        cpu.cc = 1 if equal != 0 else 2
    else:
        cpu.cc = 3


@typed(leaves=True)
def use_register(cpu: Cpu, r: u8) -> None:
    """Make OP1 and OP2 the space of an operand that general register `r` designates."""
    if cpu.mode & MODE_ACCESS_REGISTER != 0:
        cpu.ctx[OP1] = space_of(cpu, r)
        cpu.ctx[OP2] = cpu.ctx[OP1]


@typed(leaves=True)
def sort_bytes(cpu: Cpu, at: u64, wide: bool) -> u64:
    """Six bytes, or two, of a sort key."""
    high = u64(fetch_u16(cpu, OP1, at))
    if wide:
        return (high << 32) | u64(fetch_u32(cpu, OP1, (at + 2) & cpu.address_mask))
    return high


@insn("CFC", "B21A", "S", ref="PoP 7 COMPARE AND FORM CODEWORD")
def cfc(cpu: Cpu, addr2: u64) -> None:
    """Compare the keys at registers 1 and 3 from the index in register 2, and form a codeword.

    The address gives the last index (bits 49-62) and the direction (bit 63: descending). In the
    64-bit mode six bytes are compared at a time, otherwise two.
    """
    if (cpu.gr[1] | cpu.gr[2] | cpu.gr[3]) & 1 != 0:
        specification(cpu)
    use_register(cpu, u8(1))
    wide = cpu.psw_mask & PSW_EA != 0
    step: u64 = 6 if wide else 2
    last = addr2 & 0x7FFE
    n: u64 = 0
    index = cpu.gr[2] & 0xFFFF
    while index <= last:
        x = sort_bytes(cpu, (cpu.gr[1] + index) & cpu.address_mask, wide)
        y = sort_bytes(cpu, (cpu.gr[3] + index) & cpu.address_mask, wide)
        set_length(cpu, u8(2), cpu.gr[2] + step)
        index = cpu.gr[2] & 0xFFFF
        if x != y:
            descending = addr2 & 1 != 0
            in_order = (x > y) == descending
            lower = x if x < y else y
            higher = y if x < y else x
            word = lower if descending else ~higher
            if wide:
                cpu.gr[2] = (index << 48) | (word & 0xFFFF_FFFF_FFFF)
            else:
                set_length(cpu, u8(2), (index << 16) | (word & 0xFFFF))
            cpu.cc = 1
            if not in_order:
                first = length_in(cpu, u8(1))
                set_length(cpu, u8(1), length_in(cpu, u8(3)))
                set_length(cpu, u8(3), first)
                cpu.cc = 2
            return
        n += 1
        if n == UNIT:
            again(cpu)
    high_bit: u64 = 0x8000_0000
    if wide:
        high_bit = high_bit << 32
    set_length(cpu, u8(2), length_in(cpu, u8(3)) | high_bit)
    cpu.cc = 0


@insn("UPT", "0102", "E", ref="PoP 7 UPDATE TREE")
def upt(cpu: Cpu) -> None:
    """Move the codewords along a path of a tournament tree up to its root.

    Registers 0 and 1 hold a node, 4 the tree's address less a node, 5 the displacement of the
    node to start from. Condition codes: 0 an equal codeword met, 1 the root reached, 3 the
    codeword in register 0 is negative.
    """
    wide = cpu.psw_mask & PSW_EA != 0
    below: u64 = 15 if wide else 7
    if (cpu.gr[4] | cpu.gr[5]) & below != 0:
        specification(cpu)
    use_register(cpu, u8(4))
    negative: u64 = 0x8000_0000
    if wide:
        negative = negative << 32
    while True:
        index = (length_in(cpu, u8(5)) >> 1) & ~below
        if index == 0:
            set_length(cpu, u8(5), u64(0))
            cpu.cc = 1
            return
        if cpu.gr[0] & negative != 0:
            set_length(cpu, u8(5), index)
            cpu.cc = 3
            return
        at = (cpu.gr[4] + index) & cpu.address_mask
        if wide:
            node = fetch_u128(cpu, OP1, at)
            code = u64(node >> 64)
            data = u64(node)
        else:
            code = u64(fetch_u32(cpu, OP1, at))
            data = u64(fetch_u32(cpu, OP1, (at + 4) & cpu.address_mask))
        mine = length_in(cpu, u8(0))
        if code == mine:
            set_length(cpu, u8(2), code)
            set_length(cpu, u8(3), data)
            set_length(cpu, u8(5), index)
            cpu.cc = 0
            return
        if code > mine:
            if wide:
                store_u64(cpu, OP1, at, cpu.gr[0])
                store_u64(cpu, OP1, (at + 8) & cpu.address_mask, cpu.gr[1])
            else:
                store_u64(cpu, OP1, at, (mine << 32) | length_in(cpu, u8(1)))
            set_length(cpu, u8(0), code)
            set_length(cpu, u8(1), data)
        set_length(cpu, u8(5), index)
