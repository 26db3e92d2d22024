"""Decimal arithmetic on packed operands of up to 31 digits. ref: PoP chapter 8.

A number is a magnitude of 31 binary-coded digits in the right of a u128, and whether it is
negative. Sums of such magnitudes are formed digit-parallel.
"""

from worldswitch.arch.s390x.program import DataExceptionCode, ProgramCode
from worldswitch.engine import i64, typed, u8, u32, u64, u128
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.leave import data_exception, program, specification
from worldswitch.metal.s390x.memory import check_write, fetch_u8, store_u8
from worldswitch.metal.s390x.state import OP1, OP2, Cpu

DECIMAL_OPERAND = int(DataExceptionCode.DECIMAL_OPERAND)
SIXES = 0x0666_6666_6666_6666_6666_6666_6666_6666
CARRIES = 0x1111_1111_1111_1111_1111_1111_1111_1110
DECIMAL_OVERFLOW_MASK = 1 << 42
"""PSW bit 21."""
PLUS = 0xC
MINUS = 0xD


@typed
def add_digits(a: u128, b: u128) -> u128:
    """The sum of two magnitudes of up to 31 digits: up to 32 digits."""
    raised = a + SIXES
    total = raised + b
    carried = (raised ^ b ^ total) & CARRIES
    keep = carried ^ CARRIES
    # A digit that produced no carry gives its six back.
    return total - ((keep >> 2) | (keep >> 3))


@typed
def subtract_digits(a: u128, b: u128) -> u128:
    """The difference of two magnitudes, the first not the smaller."""
    difference = a - b
    borrowed = (difference ^ a ^ b) & CARRIES
    return difference - ((borrowed >> 2) | (borrowed >> 3))


@typed
def has_bad_digit(digits: u128) -> bool:
    """Whether one of the 31 right digits is above 9."""
    return ((digits + SIXES) ^ digits ^ SIXES) & CARRIES != 0


@typed
def is_minus(sign: u8) -> bool:
    """Whether a valid sign code is a minus."""
    return sign == 0xB or sign == 0xD


@typed(leaves=True, inline=False)
def fetch_packed(cpu: Cpu, space: u32, address: u64, last: u64) -> u128:
    """The `last` + 1 (up to 16) bytes at `address`, right-aligned, not checked."""
    value: u128 = 0
    n: u64 = 0
    while n <= last:
        value = (value << 8) | u128(fetch_u8(cpu, space, (address + n) & cpu.address_mask))
        n += 1
    return value


@typed(leaves=True, inline=False)
def store_packed(cpu: Cpu, space: u32, address: u64, last: u64, value: u128) -> None:
    """Store the right `last` + 1 (up to 16) bytes of a value."""
    n: u64 = 0
    while n <= last:
        byte = u8(value >> (8 * (last - n)))
        store_u8(cpu, space, (address + n) & cpu.address_mask, byte)
        n += 1


@typed(leaves=True, inline=False)
def fetch_decimal(cpu: Cpu, space: u32, address: u64, last: u64) -> tuple[u128, bool]:
    """Magnitude and sign of a packed operand; data exception for an invalid code."""
    value = fetch_packed(cpu, space, address, last)
    sign = u8(value & 15)
    if sign < 10 or has_bad_digit(value >> 4):
        data_exception(cpu, u8(DECIMAL_OPERAND))
    return value >> 4, is_minus(sign)


@typed(leaves=True, inline=False)
def store_decimal(cpu: Cpu, address: u64, last: u64, digits: u128, minus: bool) -> None:
    """Store a result with its preferred sign and set the condition code.

    Digits that do not fit are an overflow. A zero is positive unless digits were lost.
    """
    room = 8 * last + 4
    lost = digits >> room != 0
    kept = digits & ((u128(1) << room) - 1)
    negative = minus and (lost or kept != 0)
    sign: u128 = MINUS if negative else PLUS
    store_packed(cpu, OP1, address, last, (kept << 4) | sign)
    if lost:
        cpu.cc = 3
        if cpu.psw_mask & DECIMAL_OVERFLOW_MASK != 0:
            program(cpu, ProgramCode.DECIMAL_OVERFLOW)
    elif kept == 0:
        cpu.cc = 0
    else:
        cpu.cc = 1 if minus else 2


@typed(leaves=True, inline=False)
def add_decimal(cpu: Cpu, l1: u8, l2: u8, addr1: u64, addr2: u64, subtract: bool) -> None:
    """First operand := first plus or minus second."""
    check_write(cpu, OP1, addr1, u64(l1) + 1)
    b, b_minus = fetch_decimal(cpu, OP2, addr2, u64(l2))
    a, a_minus = fetch_decimal(cpu, OP1, addr1, u64(l1))
    if subtract:
        b_minus = not b_minus
    if a_minus == b_minus:
        store_decimal(cpu, addr1, u64(l1), add_digits(a, b), a_minus)
    elif a >= b:
        store_decimal(cpu, addr1, u64(l1), subtract_digits(a, b), a_minus)
    else:
        store_decimal(cpu, addr1, u64(l1), subtract_digits(b, a), b_minus)


@insn("AP", "FA", "SS_b", ref="PoP 8 ADD DECIMAL")
def ap(cpu: Cpu, l1: u8, l2: u8, addr1: u64, addr2: u64) -> None:
    """Add."""
    add_decimal(cpu, l1, l2, addr1, addr2, False)


@insn("SP", "FB", "SS_b", ref="PoP 8 SUBTRACT DECIMAL")
def sp(cpu: Cpu, l1: u8, l2: u8, addr1: u64, addr2: u64) -> None:
    """Subtract."""
    add_decimal(cpu, l1, l2, addr1, addr2, True)


@insn("ZAP", "F8", "SS_b", ref="PoP 8 ZERO AND ADD")
def zap(cpu: Cpu, l1: u8, l2: u8, addr1: u64, addr2: u64) -> None:
    """Put the second operand in place of the first, whatever that holds."""
    check_write(cpu, OP1, addr1, u64(l1) + 1)
    digits, minus = fetch_decimal(cpu, OP2, addr2, u64(l2))
    store_decimal(cpu, addr1, u64(l1), digits, minus)


@insn("CP", "F9", "SS_b", ref="PoP 8 COMPARE DECIMAL")
def cp(cpu: Cpu, l1: u8, l2: u8, addr1: u64, addr2: u64) -> None:
    """Compare as signed numbers; both zeros are equal."""
    b, b_minus = fetch_decimal(cpu, OP2, addr2, u64(l2))
    a, a_minus = fetch_decimal(cpu, OP1, addr1, u64(l1))
    if a == b and (a_minus == b_minus or a == 0):
        cpu.cc = 0
    elif a_minus != b_minus:
        cpu.cc = 1 if a_minus else 2
    else:
        cpu.cc = 1 if (a < b) != a_minus else 2


@typed(leaves=True)
def require_short(cpu: Cpu, l1: u8, l2: u8) -> None:
    """Multiplier and divisor have up to 8 bytes and are shorter than the first operand."""
    if l2 > 7 or l2 >= l1:
        specification(cpu)


@insn("MP", "FC", "SS_b", ref="PoP 8 MULTIPLY DECIMAL")
def mp(cpu: Cpu, l1: u8, l2: u8, addr1: u64, addr2: u64) -> None:
    """Multiply; the first operand has to have as many leading zeros as the second has bytes."""
    require_short(cpu, l1, l2)
    check_write(cpu, OP1, addr1, u64(l1) + 1)
    b, b_minus = fetch_decimal(cpu, OP2, addr2, u64(l2))
    a, a_minus = fetch_decimal(cpu, OP1, addr1, u64(l1))
    if a >> (8 * (u64(l1) - u64(l2)) - 4) != 0:
        data_exception(cpu, u8(DECIMAL_OPERAND))
    product: u128 = 0
    position: u64 = 64
    while position != 0:
        position -= 4
        product = product << 4
        times = (b >> position) & 15
        while times != 0:
            product = add_digits(product, a)
            times -= 1
    # The sign follows algebra even if the product is zero.
    sign: u128 = MINUS if a_minus != b_minus else PLUS
    store_packed(cpu, OP1, addr1, u64(l1), (product << 4) | sign)


@insn("DP", "FD", "SS_b", ref="PoP 8 DIVIDE DECIMAL")
def dp(cpu: Cpu, l1: u8, l2: u8, addr1: u64, addr2: u64) -> None:
    """Divide: the quotient in the left, the remainder, as long as the divisor, in the right."""
    require_short(cpu, l1, l2)
    check_write(cpu, OP1, addr1, u64(l1) + 1)
    b, b_minus = fetch_decimal(cpu, OP2, addr2, u64(l2))
    rest, a_minus = fetch_decimal(cpu, OP1, addr1, u64(l1))
    position = 8 * (u64(l1) - u64(l2)) - 4
    if b == 0 or rest >= b << position:
        program(cpu, ProgramCode.DECIMAL_DIVIDE)
    quotient: u128 = 0
    while position != 0:
        position -= 4
        part = b << position
        times: u128 = 0
        while rest >= part:
            rest = subtract_digits(rest, part)
            times += 1
        quotient = (quotient << 4) | times
    sign: u128 = MINUS if a_minus != b_minus else PLUS
    rest_sign: u128 = MINUS if a_minus else PLUS
    size = u64(l1) - u64(l2)
    store_packed(cpu, OP1, addr1, size - 1, (quotient << 4) | sign)
    at = (addr1 + size) & cpu.address_mask
    store_packed(cpu, OP1, at, u64(l2), (rest << 4) | rest_sign)


@insn("SRP", "F0", "SS_c", ref="PoP 8 SHIFT AND ROUND DECIMAL")
def srp(cpu: Cpu, l1: u8, i3: u8, addr1: u64, addr2: u64) -> None:
    """Shift left or right by the signed six-bit address; a right shift rounds with I3."""
    check_write(cpu, OP1, addr1, u64(l1) + 1)
    digits, minus = fetch_decimal(cpu, OP1, addr1, u64(l1))
    if i3 > 9:
        data_exception(cpu, u8(DECIMAL_OPERAND))
    shift = i64(addr2 << 58) >> 58
    if shift >= 0:
        room = 8 * u64(l1) + 4
        moved = u64(shift) * 4
        lost: u128 = 0
        if moved >= room:
            lost = digits
            digits = 0
        else:
            lost = digits >> (room - moved)
            digits = (digits << moved) & ((u128(1) << room) - 1)
        if lost != 0:
            # A digit beyond the operand's room says that some were lost.
            digits = digits | (u128(1) << room)
    else:
        away = u64(-shift) * 4
        last: u128 = 0
        if away <= 124:
            last = (digits >> (away - 4)) & 15
            digits = digits >> away
        else:
            digits = 0
        if last + u128(i3) > 9:
            digits = add_digits(digits, 1)
    store_decimal(cpu, addr1, u64(l1), digits, minus)
