"""Storage-to-storage instructions: moves, comparisons, translation, strings. ref: PoP chapter 7.

A long operation is cut at page boundaries. Where both operands have to be accessible before
anything changes, they are checked first; an interruptible one does one unit at a time and
stays at its own address until it is done.
"""

from worldswitch.engine import (
    Leave,
    copy_bytes,
    fill_bytes,
    peek_u8,
    peek_u64,
    poke_u8,
    typed,
    u8,
    u16,
    u32,
    u64,
)
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.leave import LEAVE_RETRY, Exit, specification
from worldswitch.metal.s390x.memory import (
    check_read,
    check_write,
    fetch_u8,
    fetch_u16,
    read_page,
    store_u8,
    write_page,
)
from worldswitch.metal.s390x.psw import PSW_BA, PSW_EA
from worldswitch.metal.s390x.regs import low
from worldswitch.metal.s390x.state import OP1, OP2, Cpu

PAGE = 4096


@typed(inline=True)
def to_page_end(address: u64) -> u64:
    """Bytes from `address` to the end of its page."""
    return PAGE - (address & (PAGE - 1))


@typed(inline=True)
def least(a: u64, b: u64) -> u64:
    """The smaller one."""
    return a if a < b else b


@typed
def move_forward(to: u64, source: u64, count: u64) -> None:
    """Copy byte by byte, left to right, between host addresses: overlap propagates."""
    if to <= source or to >= source + count:
        copy_bytes(to, source, count)
    elif to == source + 1:
        fill_bytes(to, peek_u8(source), count)
    else:
        i: u64 = 0
        while i < count:
            poke_u8(to + i, peek_u8(source + i))
            i += 1


@typed(leaves=True, inline=False)
def move_pages(cpu: Cpu, to: u64, source: u64, count: u64) -> None:
    """MVC's move of up to 256 bytes, where it crosses pages: checks all, then goes by pieces."""
    check_read(cpu, OP2, source, count)
    check_write(cpu, OP1, to, count)
    done: u64 = 0
    while done < count:
        a = (to + done) & cpu.address_mask
        b = (source + done) & cpu.address_mask
        n = least(count - done, least(to_page_end(a), to_page_end(b)))
        move_forward(write_page(cpu, OP1, a, n), read_page(cpu, OP2, b), n)
        done += n


@insn("MVC", "D2", "SS_a", ref="PoP 7 MOVE")
def mvc(cpu: Cpu, l1: u8, addr1: u64, addr2: u64) -> None:
    """L1 + 1 bytes, left to right."""
    count = u64(l1) + 1
    if to_page_end(addr1) >= count and to_page_end(addr2) >= count:
        source = read_page(cpu, OP2, addr2)
        move_forward(write_page(cpu, OP1, addr1, count), source, count)
    else:
        move_pages(cpu, addr1, addr2, count)


@insn("MVCIN", "E8", "SS_a", ref="PoP 7 MOVE INVERSE")
def mvcin(cpu: Cpu, l1: u8, addr1: u64, addr2: u64) -> None:
    """The second operand right to left."""
    count = u64(l1) + 1
    check_write(cpu, OP1, addr1, count)
    check_read(cpu, OP2, (addr2 - u64(l1)) & cpu.address_mask, count)
    i: u64 = 0
    while i < count:
        byte = fetch_u8(cpu, OP2, (addr2 - i) & cpu.address_mask)
        store_u8(cpu, OP1, (addr1 + i) & cpu.address_mask, byte)
        i += 1


def _bytewise(mnemonic: str, opcode: str, op: str) -> None:
    """NC, OC, XC, MVN, MVZ: each byte from both operands."""
    is_and, is_or, is_xor = op == "and", op == "or", op == "xor"
    is_numerics = op == "numerics"
    logical = is_and or is_or or is_xor

    @insn(mnemonic, opcode, "SS_a", ref=f"PoP 7 {mnemonic}")
    def combine(cpu: Cpu, l1: u8, addr1: u64, addr2: u64) -> None:
        """First operand := first op second, left to right."""
        count = u64(l1) + 1
        if is_xor and addr1 == addr2 and cpu.ctx[OP1] == cpu.ctx[OP2]:
            if to_page_end(addr1) >= count:
                fill_bytes(write_page(cpu, OP1, addr1, count), 0, count)
                cpu.cc = 0
                return
        check_read(cpu, OP2, addr2, count)
        check_read(cpu, OP1, addr1, count)
        check_write(cpu, OP1, addr1, count)
        seen: u8 = 0
        i: u64 = 0
        while i < count:
            a = fetch_u8(cpu, OP1, (addr1 + i) & cpu.address_mask)
            b = fetch_u8(cpu, OP2, (addr2 + i) & cpu.address_mask)
            if is_and:
                a = a & b
            elif is_or:
                a = a | b
            elif is_xor:
                a = a ^ b
            elif is_numerics:
                a = (a & 0xF0) | (b & 0x0F)
            else:
                a = (a & 0x0F) | (b & 0xF0)
            seen = seen | a
            store_u8(cpu, OP1, (addr1 + i) & cpu.address_mask, a)
            i += 1
        if logical:
            cpu.cc = u64(seen != 0)


_bytewise("NC", "D4", "and")
_bytewise("OC", "D6", "or")
_bytewise("XC", "D7", "xor")
_bytewise("MVN", "D1", "numerics")
_bytewise("MVZ", "D3", "zones")


@typed(leaves=True, inline=False)
def compare_slowly(cpu: Cpu, a: u64, b: u64, count: u64) -> None:
    """CLC byte by byte."""
    i: u64 = 0
    while i < count:
        x = fetch_u8(cpu, OP1, (a + i) & cpu.address_mask)
        y = fetch_u8(cpu, OP2, (b + i) & cpu.address_mask)
        if x != y:
            cpu.cc = 1 if x < y else 2
            return
        i += 1
    cpu.cc = 0


@insn("CLC", "D5", "SS_a", ref="PoP 7 COMPARE LOGICAL")
def clc(cpu: Cpu, l1: u8, addr1: u64, addr2: u64) -> None:
    """L1 + 1 bytes, left to right."""
    count = u64(l1) + 1
    if to_page_end(addr1) >= count and to_page_end(addr2) >= count:
        a = read_page(cpu, OP1, addr1)
        b = read_page(cpu, OP2, addr2)
        i: u64 = 0
        while i + 8 <= count and peek_u64(a + i) == peek_u64(b + i):
            i += 8
        while i < count:
            x = peek_u8(a + i)
            y = peek_u8(b + i)
            if x != y:
                cpu.cc = 1 if x < y else 2
                return
            i += 1
        cpu.cc = 0
    else:
        compare_slowly(cpu, addr1, addr2, count)


def _under_mask(mnemonic: str, opcode: str, format: str, base: int) -> None:
    @insn(mnemonic, opcode, format, ref="PoP 7 COMPARE LOGICAL CHARACTERS UNDER MASK")
    def compare(cpu: Cpu, r1: u8, m3: u8, addr2: u64) -> None:
        """Selected register bytes with contiguous storage."""
        at = addr2
        cc: u64 = 0
        if m3 == 0:
            fetch_u8(cpu, OP2, addr2)
        for i in range(4):
            if m3 & (8 >> i) != 0:
                a = u8(cpu.gr[r1] >> (base - 8 * i))
                b = fetch_u8(cpu, OP2, at)
                if cc == 0 and a != b:
                    cc = 1 if a < b else 2
                at = (at + 1) & cpu.address_mask
        cpu.cc = cc


_under_mask("CLM", "BD", "RS_b", 24)
_under_mask("CLMY", "EB21", "RSY_b", 24)
_under_mask("CLMH", "EB20", "RSY_b", 56)


@typed(inline=True)
def address_in(cpu: Cpu, r: u8) -> u64:
    """The address in general register `r`."""
    return cpu.gr[r] & cpu.address_mask


@typed(inline=True)
def set_address(cpu: Cpu, r: u8, value: u64) -> None:
    """Update an address register: bits 0-31 stay outside the 64-bit mode."""
    if cpu.psw_mask & PSW_EA != 0:
        cpu.gr[r] = value
    else:
        cpu.gr[r] = (cpu.gr[r] & 0xFFFF_FFFF_0000_0000) | (value & cpu.address_mask)


@typed
def set_mark(cpu: Cpu, r: u8, value: u64) -> None:
    """Put an address into a register as TRT and EDMK do: bits 0-39 stay in the 24-bit mode."""
    if cpu.psw_mask & PSW_BA != 0:
        set_address(cpu, r, value)
    else:
        cpu.gr[r] = (cpu.gr[r] & 0xFFFF_FFFF_FF00_0000) | value


@typed(inline=True)
def length_in(cpu: Cpu, r: u8) -> u64:
    """A 64-bit length, or a 32-bit one outside the 64-bit mode."""
    if cpu.psw_mask & PSW_EA != 0:
        return cpu.gr[r]
    return u64(low(cpu, r))


@typed(inline=True)
def set_length(cpu: Cpu, r: u8, value: u64) -> None:
    """Update a length register; bits 0-31 stay outside the 64-bit mode."""
    if cpu.psw_mask & PSW_EA != 0:
        cpu.gr[r] = value
    else:
        cpu.gr[r] = (cpu.gr[r] & 0xFFFF_FFFF_0000_0000) | (value & 0xFFFF_FFFF)


@typed(leaves=True)
def again(cpu: Cpu) -> None:
    """A unit of an interruptible instruction is done: look at pending work, then go on with it."""
    cpu.leave = LEAVE_RETRY
    cpu.exit_reason = u32(Exit.BUDGET)
    raise Leave


@typed(leaves=True, inline=True)
def even_pair(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Specification exception unless both registers are even."""
    if (r1 | r2) & 1 != 0:
        specification(cpu)


@insn("MVCL", "0E", "RR", ref="PoP 7 MOVE LONG", access_registers=("r1", "r2"))
def mvcl(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Up to 16 MiB with padding; interruptible after each unit within a page."""
    even_pair(cpu, r1, r2)
    to_count = cpu.gr[r1 + 1] & 0xFF_FFFF
    from_count = cpu.gr[r2 + 1] & 0xFF_FFFF
    pad = u8(cpu.gr[r2 + 1] >> 24)
    to = address_in(cpu, r1)
    source = address_in(cpu, r2)
    cc: u64 = 0
    if to_count != from_count:
        cc = 1 if to_count < from_count else 2
    overlap = least(to_count, from_count)
    if overlap > 1:
        ahead = (to - source) & cpu.address_mask
        if ahead != 0 and ahead < overlap:
            set_address(cpu, r1, to)
            set_address(cpu, r2, source)
            cpu.cc = 3
            return
    units: u64 = 0
    set_address(cpu, r1, to)
    set_address(cpu, r2, source)
    while to_count != 0:
        if from_count != 0:
            n = least(least(to_count, from_count), least(to_page_end(to), to_page_end(source)))
            origin = read_page(cpu, OP2, source)
            copy_bytes(write_page(cpu, OP1, to, n), origin, n)
            source = (source + n) & cpu.address_mask
            from_count -= n
        else:
            n = least(to_count, to_page_end(to))
            fill_bytes(write_page(cpu, OP1, to, n), pad, n)
        to = (to + n) & cpu.address_mask
        to_count -= n
        set_address(cpu, r1, to)
        set_address(cpu, r2, source)
        cpu.gr[r1 + 1] = (cpu.gr[r1 + 1] & 0xFFFF_FFFF_FF00_0000) | to_count
        cpu.gr[r2 + 1] = (cpu.gr[r2 + 1] & 0xFFFF_FFFF_FF00_0000) | from_count
        units += 1
        if units == 64 and to_count != 0:
            again(cpu)
    cpu.cc = cc


@insn("MVCLE", "A8", "RS_a", ref="PoP 7 MOVE LONG EXTENDED", access_registers=("r1", "r3"))
def mvcle(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
    """Any length with padding; condition code 3 after a unit, to be issued again."""
    even_pair(cpu, r1, r3)
    to_count = length_in(cpu, r1 + 1)
    from_count = length_in(cpu, r3 + 1)
    pad = u8(addr2)
    to = address_in(cpu, r1)
    source = address_in(cpu, r3)
    cc: u64 = 0
    if to_count != from_count:
        cc = 1 if to_count < from_count else 2
    units: u64 = 0
    while to_count != 0 and units < 16:
        if from_count != 0:
            n = least(least(to_count, from_count), least(to_page_end(to), to_page_end(source)))
            origin = read_page(cpu, OP2, source)
            copy_bytes(write_page(cpu, OP1, to, n), origin, n)
            source = (source + n) & cpu.address_mask
            from_count -= n
        else:
            n = least(to_count, to_page_end(to))
            fill_bytes(write_page(cpu, OP1, to, n), pad, n)
        to = (to + n) & cpu.address_mask
        to_count -= n
        set_address(cpu, r1, to)
        set_address(cpu, r3, source)
        set_length(cpu, r1 + 1, to_count)
        set_length(cpu, r3 + 1, from_count)
        units += 1
    cpu.cc = 3 if to_count != 0 else cc


def _compare_long(mnemonic: str, opcode: str, format: str, extended: bool) -> None:
    second = "r3" if extended else "r2"

    @typed(leaves=True, inline=False, name=f"compare_long_{mnemonic.lower()}")
    def compare(cpu: Cpu, r1: u8, r2: u8, padding: u8) -> None:
        even_pair(cpu, r1, r2)
        if extended:
            n1 = length_in(cpu, r1 + 1)
            n2 = length_in(cpu, r2 + 1)
            pad = padding
        else:
            n1 = cpu.gr[r1 + 1] & 0xFF_FFFF
            n2 = cpu.gr[r2 + 1] & 0xFF_FFFF
            pad = u8(cpu.gr[r2 + 1] >> 24)
        a = address_in(cpu, r1)
        b = address_in(cpu, r2)
        cc: u64 = 0
        steps: u64 = 0
        while (n1 != 0 or n2 != 0) and cc == 0 and steps < 4096:
            x = pad
            y = pad
            if n1 != 0:
                x = fetch_u8(cpu, OP1, a)
            if n2 != 0:
                y = fetch_u8(cpu, OP2, b)
            if x != y:
                cc = 1 if x < y else 2
            else:
                if n1 != 0:
                    a = (a + 1) & cpu.address_mask
                    n1 -= 1
                if n2 != 0:
                    b = (b + 1) & cpu.address_mask
                    n2 -= 1
            steps += 1
        set_address(cpu, r1, a)
        set_address(cpu, r2, b)
        if extended:
            set_length(cpu, r1 + 1, n1)
            set_length(cpu, r2 + 1, n2)
            if cc == 0 and (n1 != 0 or n2 != 0):
                cc = 3
        else:
            cpu.gr[r1 + 1] = (cpu.gr[r1 + 1] & 0xFFFF_FFFF_FF00_0000) | n1
            cpu.gr[r2 + 1] = (cpu.gr[r2 + 1] & 0xFFFF_FFFF_FF00_0000) | n2
            if cc == 0 and (n1 != 0 or n2 != 0):
                again(cpu)
        cpu.cc = cc

    if extended:

        @insn(mnemonic, opcode, format, ref="PoP 7 COMPARE LOGICAL LONG EXTENDED",
              access_registers=("r1", second))  # fmt: skip
        def clcle(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
            """Any lengths with padding; condition code 3 after a unit."""
            compare(cpu, r1, r3, u8(addr2))

    else:

        @insn(mnemonic, opcode, format, ref="PoP 7 COMPARE LOGICAL LONG",
              access_registers=("r1", second))  # fmt: skip
        def clcl(cpu: Cpu, r1: u8, r2: u8) -> None:
            """Up to 16 MiB with padding."""
            compare(cpu, r1, r2, u8(0))


_compare_long("CLCL", "0F", "RR", False)
_compare_long("CLCLE", "A9", "RS_a", True)

UNIT = 4096
"""Bytes that a string instruction looks at before it ends with condition code 3."""


@typed(leaves=True, inline=True)
def terminator(cpu: Cpu) -> u8:
    """The byte in bits 56-63 of register 0; bits 32-55 have to be zero."""
    if low(cpu, 0) & 0xFFFF_FF00 != 0:
        specification(cpu)
    return u8(cpu.gr[0])


@insn("SRST", "B25E", "RRE", ref="PoP 7 SEARCH STRING", access_registers=("r1", "r2"))
def srst(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Search from R2 to R1 for the byte in register 0."""
    wanted = terminator(cpu)
    end = address_in(cpu, r1)
    at = address_in(cpu, r2)
    n: u64 = 0
    while n < UNIT:
        if at == end:
            cpu.cc = 2
            return
        if fetch_u8(cpu, OP2, at) == wanted:
            set_address(cpu, r1, at)
            cpu.cc = 1
            return
        at = (at + 1) & cpu.address_mask
        n += 1
    set_address(cpu, r2, at)
    cpu.cc = 3


@insn("SRSTU", "B9BE", "RRE", ref="PoP 7 SEARCH STRING UNICODE", access_registers=("r1", "r2"))
def srstu(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Search two-byte characters."""
    if low(cpu, 0) & 0xFFFF_0000 != 0:
        specification(cpu)
    wanted = u16(cpu.gr[0])
    end = address_in(cpu, r1)
    at = address_in(cpu, r2)
    n: u64 = 0
    while n < UNIT:
        if (end - at) & cpu.address_mask < 2:
            cpu.cc = 2
            return
        if fetch_u16(cpu, OP2, at) == wanted:
            set_address(cpu, r1, at)
            cpu.cc = 1
            return
        at = (at + 2) & cpu.address_mask
        n += 1
    set_address(cpu, r2, at)
    cpu.cc = 3


@insn("MVST", "B255", "RRE", ref="PoP 7 MOVE STRING", access_registers=("r1", "r2"))
def mvst(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Move up to and with the terminating byte."""
    end = terminator(cpu)
    to = address_in(cpu, r1)
    source = address_in(cpu, r2)
    n: u64 = 0
    while n < UNIT:
        byte = fetch_u8(cpu, OP2, source)
        store_u8(cpu, OP1, to, byte)
        if byte == end:
            set_address(cpu, r1, to)
            cpu.cc = 1
            return
        to = (to + 1) & cpu.address_mask
        source = (source + 1) & cpu.address_mask
        n += 1
    set_address(cpu, r1, to)
    set_address(cpu, r2, source)
    cpu.cc = 3


@insn("CLST", "B25D", "RRE", ref="PoP 7 COMPARE LOGICAL STRING", access_registers=("r1", "r2"))
def clst(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Compare up to the terminating byte of either."""
    end = terminator(cpu)
    a = address_in(cpu, r1)
    b = address_in(cpu, r2)
    n: u64 = 0
    while n < UNIT:
        x = fetch_u8(cpu, OP1, a)
        y = fetch_u8(cpu, OP2, b)
        if x == end and y == end:
            cpu.cc = 0
            return
        if x == end or (y != end and x < y):
            set_address(cpu, r1, a)
            set_address(cpu, r2, b)
            cpu.cc = 1
            return
        if y == end or x > y:
            set_address(cpu, r1, a)
            set_address(cpu, r2, b)
            cpu.cc = 2
            return
        a = (a + 1) & cpu.address_mask
        b = (b + 1) & cpu.address_mask
        n += 1
    set_address(cpu, r1, a)
    set_address(cpu, r2, b)
    cpu.cc = 3
