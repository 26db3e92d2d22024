"""PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM: comparison of strings in XMM registers. ref: APM4

Each element of the first operand is compared with all of the second at once; the result is a mask
with a bit for each element of the second.
"""

from typing import Any

from worldswitch.arch.x86.registers import Rflags
from worldswitch.engine import clz, ctz, i32, i64, typed, u8, u16, u32, u64, u128
from worldswitch.metal.x86.decode_bits import PREFIX_REX_W
from worldswitch.metal.x86.flags import set_status
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.lanes import L8, L16, repeated, signs_of_bytes
from worldswitch.metal.x86.state import RAX, RCX, RDX, Cpu, Record
from worldswitch.metal.x86.vector_memory import high_of, wide
from worldswitch.metal.x86.vector_operands import READ_W_ANYWHERE, put_xmm, xmm

WORDS = 1
SIGNED = 2
EQUAL_ANY = 0
RANGES = 1
EQUAL_EACH = 2
NEGATED = 0x10
MASKED = 0x20
LAST = 0x40
"""The most significant index, or a mask of whole elements."""
EVERY_BYTE = repeated(1, 8)
EVERY_WORD = repeated(1, 16)


@typed(inline=True)
def signs_of_words(a: u64) -> u64:
    """The sign bits of four words, as four bits."""
    return ((((a >> 15) & EVERY_WORD) * 0x0001_0002_0004_0008) >> 48) & 15


@typed(inline=False)
def equal_mask(element: u64, b: u128, words: bool) -> u64:
    """A bit for each element of b that is equal to `element`."""
    if words:
        x = element * EVERY_WORD
        low = signs_of_words(L16.equal(x, u64(b)))
        return low | (signs_of_words(L16.equal(x, high_of(b))) << 4)
    x = element * EVERY_BYTE
    return signs_of_bytes(L8.equal(x, u64(b))) | (signs_of_bytes(L8.equal(x, high_of(b))) << 8)


@typed(inline=False)
def less_mask(element: u64, b: u128, words: bool, swapped: bool, bias: u64) -> u64:
    """A bit for each element of b that is greater than `element`, or less if `swapped`.

    bias: the sign bit of every element for a signed comparison, else zero.
    """
    low: u64 = 0
    high: u64 = 0
    x = u64(b) ^ bias
    y = high_of(b) ^ bias
    if words:
        e = (element * EVERY_WORD) ^ bias
        low = L16.below(e, x)
        high = L16.below(e, y)
        if swapped:
            low = L16.below(x, e)
            high = L16.below(y, e)
        return signs_of_words(low) | (signs_of_words(high) << 4)
    f = (element * EVERY_BYTE) ^ bias
    low = L8.below(f, x)
    high = L8.below(f, y)
    if swapped:
        low = L8.below(x, f)
        high = L8.below(y, f)
    return signs_of_bytes(low) | (signs_of_bytes(high) << 8)


@typed(inline=True)
def element_of(value: u128, number: u64, words: bool) -> u64:
    """An element, extended with zeros."""
    if words:
        return u64(u16(value >> (number * 16)))
    return u64(u8(value >> (number * 8)))


@typed(inline=False)
def compared(a: u128, b: u128, a_length: u64, b_length: u64, how: u64) -> u64:
    """The mask before its polarity is applied. ref: APM4 PCMPESTRI"""
    words = how & WORDS != 0
    count: u64 = 16
    if words:
        count = 8
    all = (u64(1) << count) - 1
    valid = (u64(1) << b_length) - 1
    kind = (how >> 2) & 3
    result: u64 = 0
    n: u64 = 0
    if kind == EQUAL_ANY:
        while n < a_length:
            result = result | equal_mask(element_of(a, n, words), b, words)
            n += 1
        return result & valid
    if kind == RANGES:
        bias: u64 = 0
        if how & SIGNED != 0:
            bias = EVERY_BYTE << 7
            if words:
                bias = EVERY_WORD << 15
        while n + 1 < a_length:
            outside = less_mask(element_of(a, n, words), b, words, True, bias)
            above = less_mask(element_of(a, n + 1, words), b, words, False, bias)
            result = result | ~(outside | above)
            n += 2
        return result & valid
    if kind == EQUAL_EACH:
        low = L8.equal(u64(a), u64(b))
        high = L8.equal(high_of(a), high_of(b))
        result = signs_of_bytes(low) | (signs_of_bytes(high) << 8)
        if words:
            low = L16.equal(u64(a), u64(b))
            high = L16.equal(high_of(a), high_of(b))
            result = signs_of_words(low) | (signs_of_words(high) << 4)
        a_valid = (u64(1) << a_length) - 1
        return ((result & a_valid & valid) | (~a_valid & ~valid)) & all
    result = all
    while n < a_length:
        found = equal_mask(element_of(a, n, words), b, words) & valid
        result = result & ((found >> n) | (all << (count - n)))
        n += 1
    return result & all


@typed(inline=True)
def explicit_length(cpu: Cpu, number: u64, wide_register: bool, count: u64) -> u64:
    """The absolute value of a length in a register, at most the number of elements."""
    value = i64(cpu.gr[number])
    if not wide_register:
        value = i64(i32(u32(cpu.gr[number])))
    if value < 0:
        value = -value
    # The least number of 64 bits stays negative: as unsigned it is large.
    if u64(value) > count:
        return count
    return u64(value)


@typed(inline=True)
def implicit_length(value: u128, words: bool) -> u64:
    """Elements before the first zero."""
    zeros = equal_mask(u64(0), value, words)
    if words:
        return ctz(zeros | 0x100)
    return ctz(zeros | 0x1_0000)


@typed(inline=True)
def bytes_of(bits: u64) -> u64:
    """Eight bits to the signs of eight bytes."""
    result: u64 = 0
    for n in range(8):
        result = result | (((bits >> n) & 1) << (n * 8 + 7))
    return result


@typed(inline=True)
def words_of(bits: u64) -> u64:
    """Four bits to the signs of four words."""
    result: u64 = 0
    for n in range(4):
        result = result | (((bits >> n) & 1) << (n * 16 + 15))
    return result


@typed(inline=False)
def spread_mask(bits: u64, words: bool) -> u128:
    """A whole element of ones for each bit."""
    if words:
        return wide(L16.spread(words_of(bits)), L16.spread(words_of(bits >> 4)))
    return wide(L8.spread(bytes_of(bits)), L8.spread(bytes_of(bits >> 8)))


@typed(inline=False)
def compare_strings(cpu: Cpu, rec: Record, b: u128, explicit: bool, index: bool) -> None:
    """All of the four instructions, with the second operand read."""
    a = xmm(cpu, u64(rec.reg))
    how = u64(rec.imm) & 0xFF
    words = how & WORDS != 0
    count: u64 = 16
    if words:
        count = 8
    a_length = implicit_length(a, words)
    b_length = implicit_length(b, words)
    if explicit:
        big = rec.prefixes & PREFIX_REX_W != 0
        a_length = explicit_length(cpu, u64(RAX), big, count)
        b_length = explicit_length(cpu, u64(RDX), big, count)
    result = compared(a, b, a_length, b_length, how)
    if how & NEGATED != 0:
        if how & MASKED != 0:
            result = result ^ ((u64(1) << b_length) - 1)
        else:
            result = result ^ ((u64(1) << count) - 1)
    status: u64 = 0
    if result != 0:
        status = Rflags.CF
    if b_length < count:
        status = status | Rflags.ZF
    if a_length < count:
        status = status | Rflags.SF
    if result & 1 != 0:
        status = status | Rflags.OF
    set_status(cpu, status)
    if index:
        where = count
        if result != 0:
            where = ctz(result)
            if how & LAST != 0:
                where = 63 - clz(result)
        cpu.gr[RCX] = where
    elif how & LAST != 0:
        put_xmm(cpu, u64(0), spread_mask(result, words))
    else:
        put_xmm(cpu, u64(0), u128(result))


def _string(name: str, opcode: str, explicit: bool, index: bool) -> None:
    @insn(name, f"66 0F 3A {opcode} /r Vx,Wx,Ib", ref=f"APM4 {name}", unit="sse",
          feature="sse4_2", raw=True)  # fmt: skip
    def string() -> Any:
        """Compare strings: lengths in EAX and EDX or up to a zero; to ECX or XMM0."""

        @typed(leaves=True, inline=True)
        def string(cpu: Cpu, rec: Record) -> None:
            compare_strings(cpu, rec, READ_W_ANYWHERE(cpu, rec), explicit, index)

        return string


_string("PCMPESTRM", "60", True, False)
_string("PCMPESTRI", "61", True, True)
_string("PCMPISTRM", "62", False, False)
_string("PCMPISTRI", "63", False, True)
