"""Division of wide integers by words, by which other quotients are made."""

from worldswitch.engine import typed, u64, u128

HALF_WORD = 0xFFFF_FFFF
LOW = 0xFFFF_FFFF_FFFF_FFFF


@typed(inline=True)
def half_quotient(high: u64, next_digit: u64, d: u64) -> tuple[u64, u64]:
    """A 32-bit digit of (high * 2**32 + next_digit) / d and the remainder; d has its bit 63."""
    d1 = d >> 32
    d0 = d & HALF_WORD
    q = high // d1
    rest = high - q * d1
    # The estimate is at most two too large.
    while q > HALF_WORD or q * d0 > ((rest << 32) | next_digit):
        q -= 1
        rest += d1
        if rest > HALF_WORD:
            break
    return q, ((high << 32) | next_digit) - q * d


@typed(inline=False)
def divide_wide(n: u128, d: u64) -> tuple[u64, u64]:
    """Quotient and remainder of n / d; d has its bit 63, and the quotient fits 64 bits."""
    low = u64(n)
    q1, rest = half_quotient(u64(n >> 64), low >> 32, d)
    q0, rest0 = half_quotient(rest, low & HALF_WORD, d)
    return (q1 << 32) | q0, rest0


@typed(inline=False)
def multiply_high(a: u128, b: u128) -> u128:
    """The upper half of a * b."""
    a1 = a >> 64
    a0 = a & LOW
    b1 = b >> 64
    b0 = b & LOW
    middle = ((a0 * b0) >> 64) + ((a1 * b0) & LOW) + ((a0 * b1) & LOW)
    return a1 * b1 + ((a1 * b0) >> 64) + ((a0 * b1) >> 64) + (middle >> 64)
