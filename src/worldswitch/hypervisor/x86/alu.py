"""Integer operations and the status flags that they set. ref: APM3 1.1; APM2 3.1.6."""

from collections.abc import Callable

from worldswitch.arch.x86.registers import RFLAGS_STATUS, Rflags

CF, PF, AF, ZF, SF, OF = (
    int(flag) for flag in (Rflags.CF, Rflags.PF, Rflags.AF, Rflags.ZF, Rflags.SF, Rflags.OF)
)
STATUS = int(RFLAGS_STATUS)
Operation = Callable[[int, int, int, int], tuple[int, int]]
"""First operand, second operand, flags before and bytes: the result and the flags after."""


def _result_flags(result: int, size: int) -> int:
    flags = 0 if (result & 0xFF).bit_count() & 1 else PF
    if not result:
        flags |= ZF
    return flags | (SF if result >> (8 * size - 1) else 0)


def _added(a: int, b: int, carry: int, size: int) -> tuple[int, int]:
    mask = (1 << 8 * size) - 1
    total = a + b + carry
    result = total & mask
    flags = _result_flags(result, size) | ((a ^ b ^ result) & AF)
    if total > mask:
        flags |= CF
    if (a ^ result) & (b ^ result) & (mask ^ mask >> 1):
        flags |= OF
    return result, flags


def _subtracted(a: int, b: int, borrow: int, size: int) -> tuple[int, int]:
    mask = (1 << 8 * size) - 1
    total = a - b - borrow
    result = total & mask
    flags = _result_flags(result, size) | ((a ^ b ^ result) & AF)
    if total < 0:
        flags |= CF
    if (a ^ b) & (a ^ result) & (mask ^ mask >> 1):
        flags |= OF
    return result, flags


def _status(flags: int, status: int) -> int:
    return flags & ~STATUS | status


def add(a: int, b: int, flags: int, size: int) -> tuple[int, int]:
    """ADD and XADD."""
    result, status = _added(a, b, 0, size)
    return result, _status(flags, status)


def adc(a: int, b: int, flags: int, size: int) -> tuple[int, int]:
    """ADC."""
    result, status = _added(a, b, flags & CF, size)
    return result, _status(flags, status)


def sub(a: int, b: int, flags: int, size: int) -> tuple[int, int]:
    """SUB, CMP and what compares."""
    result, status = _subtracted(a, b, 0, size)
    return result, _status(flags, status)


def sbb(a: int, b: int, flags: int, size: int) -> tuple[int, int]:
    """SBB."""
    result, status = _subtracted(a, b, flags & CF, size)
    return result, _status(flags, status)


def and_(a: int, b: int, flags: int, size: int) -> tuple[int, int]:
    """AND and TEST."""
    return a & b, _status(flags, _result_flags(a & b, size))


def or_(a: int, b: int, flags: int, size: int) -> tuple[int, int]:
    """OR."""
    return a | b, _status(flags, _result_flags(a | b, size))


def xor(a: int, b: int, flags: int, size: int) -> tuple[int, int]:
    """XOR."""
    return a ^ b, _status(flags, _result_flags(a ^ b, size))


def mov(_a: int, b: int, flags: int, _size: int) -> tuple[int, int]:
    """MOV and what extends."""
    return b, flags


def inc(a: int, _b: int, flags: int, size: int) -> tuple[int, int]:
    """INC, which leaves CF."""
    result, status = _added(a, 1, 0, size)
    return result, _status(flags, status & ~CF | flags & CF)


def dec(a: int, _b: int, flags: int, size: int) -> tuple[int, int]:
    """DEC, which leaves CF."""
    result, status = _subtracted(a, 1, 0, size)
    return result, _status(flags, status & ~CF | flags & CF)


def neg(a: int, _b: int, flags: int, size: int) -> tuple[int, int]:
    """NEG."""
    return sub(0, a, flags, size)


def not_(a: int, _b: int, flags: int, size: int) -> tuple[int, int]:
    """NOT, which sets no flags."""
    return a ^ (1 << 8 * size) - 1, flags


def _bit(change: Callable[[int, int], int]) -> Operation:
    def operation(a: int, b: int, flags: int, size: int) -> tuple[int, int]:
        bit = 1 << (b & (8 * size - 1))
        return change(a, bit), flags & ~CF | (CF if a & bit else 0)

    return operation


OPERATIONS: dict[str, Operation] = {
    "mov": mov,
    "movzx": mov,
    "movsx": mov,
    "add": add,
    "or": or_,
    "adc": adc,
    "sbb": sbb,
    "and": and_,
    "sub": sub,
    "xor": xor,
    "cmp": sub,
    "test": and_,
    "inc": inc,
    "dec": dec,
    "neg": neg,
    "not": not_,
    "bt": _bit(lambda a, bit: a),
    "bts": _bit(lambda a, bit: a | bit),
    "btr": _bit(lambda a, bit: a & ~bit),
    "btc": _bit(lambda a, bit: a ^ bit),
}
WITHOUT_RESULT = frozenset({"cmp", "test", "bt"})
"""Operations that set flags alone."""
WITHOUT_FIRST = frozenset({"mov", "movzx", "movsx"})
"""Operations that do not read what they write."""
