"""AES rounds and carry-less multiplication. ref: APM4 AESENC ...; FIPS 197"""

from typing import Any

from worldswitch.engine import peek_u8, rotl, typed, u8, u32, u64, u128
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.lanes import repeated
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.vector_memory import high_of, wide

ONES = repeated(1, 8)
SHIFTED = repeated(0xFE, 8)


@typed(inline=True)
def doubled(a: u64) -> u64:
    """Each byte times x, modulo x**8 + x**4 + x**3 + x + 1."""
    return ((a << 1) & SHIFTED) ^ (((a >> 7) & ONES) * 0x1B)


@typed(inline=False)
def looked_up(table: u64, a: u64) -> u64:
    """Eight bytes, each replaced by what a table at a host address has for it."""
    result: u64 = 0
    for n in range(0, 64, 8):
        result = result | (u64(peek_u8(table + ((a >> n) & 0xFF))) << n)
    return result


@typed(inline=True)
def substituted(cpu: Cpu, a: u64) -> u64:
    """SubBytes of eight bytes."""
    return looked_up(cpu.constants, a)


@typed(inline=True)
def unsubstituted(cpu: Cpu, a: u64) -> u64:
    """InvSubBytes of eight bytes."""
    return looked_up(cpu.constants + 256, a)


@typed(inline=False)
def rows_shifted(a: u128) -> u128:
    """ShiftRows: byte 4 * column + row comes from `row` columns further."""
    result: u128 = 0
    for n in range(16):
        byte = (a >> (((n + 4 * (n % 4)) % 16) * 8)) & 0xFF
        result = result | (byte << (n * 8))
    return result


@typed(inline=False)
def rows_unshifted(a: u128) -> u128:
    """InvShiftRows."""
    result: u128 = 0
    for n in range(16):
        byte = (a >> (((n - 4 * (n % 4)) % 16) * 8)) & 0xFF
        result = result | (byte << (n * 8))
    return result


LOW_COLUMN = 0xFFFF_FFFF


def _column_rotation(count: int) -> Any:
    """Both columns of 64 bits rotated right by `count` bits."""
    high, low = repeated(LOW_COLUMN >> count, 32), repeated(LOW_COLUMN >> (32 - count), 32)

    @typed(inline=True, name=f"rotate_columns{count}")
    def rotate(a: u64) -> u64:
        return ((a >> count) & high) | ((a & low) << (32 - count))

    return rotate


next_row, after_next, before = (_column_rotation(n) for n in (8, 16, 24))


@typed(inline=False)
def columns_mixed(a: u64) -> u64:
    """MixColumns of two columns."""
    following = next_row(a)
    return doubled(a ^ following) ^ following ^ after_next(a) ^ before(a)


@typed(inline=False)
def columns_unmixed(a: u64) -> u64:
    """InvMixColumns of two columns."""
    return columns_mixed(a ^ doubled(doubled(a ^ after_next(a))))


@typed(inline=True)
def sub_bytes(cpu: Cpu, a: u128) -> u128:
    """SubBytes."""
    return wide(substituted(cpu, u64(a)), substituted(cpu, high_of(a)))


@typed(inline=True)
def unsub_bytes(cpu: Cpu, a: u128) -> u128:
    """InvSubBytes."""
    return wide(unsubstituted(cpu, u64(a)), unsubstituted(cpu, high_of(a)))


@insn("AESENC", "66 0F 38 DC /r Vx,Wx", ref="APM4 AESENC", unit="sse", feature="aes")
def aesenc() -> Any:
    """A round of encryption."""

    @typed(inline=True)
    def aesenc(cpu: Cpu, a: u128, key: u128) -> u128:
        s = sub_bytes(cpu, rows_shifted(a))
        return wide(columns_mixed(u64(s)), columns_mixed(high_of(s))) ^ key

    return aesenc


@insn("AESENCLAST", "66 0F 38 DD /r Vx,Wx", ref="APM4 AESENCLAST", unit="sse", feature="aes")
def aesenclast() -> Any:
    """The last round of encryption."""

    @typed(inline=True)
    def aesenclast(cpu: Cpu, a: u128, key: u128) -> u128:
        return sub_bytes(cpu, rows_shifted(a)) ^ key

    return aesenclast


@insn("AESDEC", "66 0F 38 DE /r Vx,Wx", ref="APM4 AESDEC", unit="sse", feature="aes")
def aesdec() -> Any:
    """A round of decryption."""

    @typed(inline=True)
    def aesdec(cpu: Cpu, a: u128, key: u128) -> u128:
        s = unsub_bytes(cpu, rows_unshifted(a))
        return wide(columns_unmixed(u64(s)), columns_unmixed(high_of(s))) ^ key

    return aesdec


@insn("AESDECLAST", "66 0F 38 DF /r Vx,Wx", ref="APM4 AESDECLAST", unit="sse", feature="aes")
def aesdeclast() -> Any:
    """The last round of decryption."""

    @typed(inline=True)
    def aesdeclast(cpu: Cpu, a: u128, key: u128) -> u128:
        return unsub_bytes(cpu, rows_unshifted(a)) ^ key

    return aesdeclast


@insn("AESIMC", "66 0F 38 DB /r Vx,Wx", ref="APM4 AESIMC", unit="sse", feature="aes")
def aesimc() -> Any:
    """A round key for decryption."""

    @typed(inline=True)
    def aesimc(cpu: Cpu, key: u128) -> u128:
        return wide(columns_unmixed(u64(key)), columns_unmixed(high_of(key)))

    return aesimc


@insn("AESKEYGENASSIST", "66 0F 3A DF /r Vx,Wx,Ib", ref="APM4 AESKEYGENASSIST", unit="sse",
      feature="aes")  # fmt: skip
def aeskeygenassist() -> Any:
    """Substituted and rotated words of a key, with a round constant."""

    @typed(inline=True)
    def aeskeygenassist(cpu: Cpu, key: u128, constant: u8) -> u128:
        words = substituted(cpu, (u64(key) >> 32) | (high_of(key) & 0xFFFF_FFFF_0000_0000))
        low = u32(words)
        high = u32(words >> 32)
        first = u64(low) | (u64(rotl(low, 24) ^ u32(constant)) << 32)
        return wide(first, u64(high) | (u64(rotl(high, 24) ^ u32(constant)) << 32))

    return aeskeygenassist


APART = sum(1 << n for n in range(0, 64, 5))
APART_WIDE = sum(1 << n for n in range(0, 128, 5))


@typed(inline=False)
def carryless(a: u64, b: u64) -> u128:
    """The product of polynomials over GF(2).

    Of numbers in which only every fifth bit is set, the product's sums of up to 13 ones stay
    apart: their lowest bits are the carry-less product.
    """
    result: u128 = 0
    for k in range(5):
        total: u128 = 0
        for n in range(5):
            x = a & (u64(APART) << n)
            y = b & (u64(APART) << ((k - n) % 5))
            total = total ^ (u128(x) * u128(y))
        result = result | (total & (u128(APART_WIDE) << k))
    return result


@insn("PCLMULQDQ", "66 0F 3A 44 /r Vx,Wx,Ib", ref="APM4 PCLMULQDQ", unit="sse",
      feature="pclmulqdq")  # fmt: skip
def pclmulqdq() -> Any:
    """The carry-less product of two chosen quadwords."""

    @typed(inline=True)
    def pclmulqdq(cpu: Cpu, a: u128, b: u128, which: u8) -> u128:
        x = high_of(a) if which & 1 != 0 else u64(a)
        y = high_of(b) if which & 16 != 0 else u64(b)
        return carryless(x, y)

    return pclmulqdq
