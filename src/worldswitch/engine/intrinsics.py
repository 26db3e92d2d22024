"""Operations of the typed subset that Python has no operator for.

Each is a plain Python function here; `lower.py` has the same name in its table with the LLVM
form. Generic ones keep the class of their first argument.
"""

import ctypes
import math
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeVar

from worldswitch.engine.layout import read_scalar, write_scalar
from worldswitch.engine.types import SIGNED, UNSIGNED, Int, f32, f64, u8, u16, u32, u64, u128

T = TypeVar("T", bound=Int)

INTRINSICS: dict[str, Callable[..., Any]] = {}


def intrinsic(fn: Callable[..., T]) -> Callable[..., T]:
    """Register a function that the compiler replaces by its own lowering."""
    INTRINSICS[fn.__name__] = fn
    fn.intrinsic = True  # type: ignore[attr-defined]
    return fn


@intrinsic
def bswap(x: T) -> T:
    """Reverse the bytes of a 16-, 32-, 64- or 128-bit value."""
    size = x.bits // 8
    return type(x)(int.from_bytes((int(x) & x.mask).to_bytes(size, "little"), "big"))


@intrinsic
def clz(x: T) -> T:
    """Leading zero bits; the width for zero."""
    return type(x)(x.bits - (int(x) & x.mask).bit_length())


@intrinsic
def ctz(x: T) -> T:
    """Trailing zero bits; the width for zero."""
    v = int(x) & x.mask
    return type(x)((v & -v).bit_length() - 1 if v else x.bits)


@intrinsic
def popcount(x: T) -> T:
    """Number of one bits."""
    return type(x)((int(x) & x.mask).bit_count())


@intrinsic
def rotl(x: T, count: Any) -> T:
    """Rotate left; the count (any integer type) is taken modulo the width."""
    n, v = int(count) % x.bits, int(x) & x.mask
    return type(x)(v << n | v >> (x.bits - n))


@intrinsic
def sdiv(a: T, b: T) -> T:
    """Signed quotient towards zero. The divisor is not 0, the result representable."""
    q = abs(int(a)) // abs(int(b))
    return type(a)(q if (int(a) < 0) == (int(b) < 0) else -q)


@intrinsic
def srem(a: T, b: T) -> T:
    """Signed remainder with the dividend's sign."""
    r = abs(int(a)) % abs(int(b))
    return type(a)(-r if int(a) < 0 else r)


@intrinsic
def add_overflows(a: T, b: T) -> bool:
    """True if a + b does not fit the class of the operands (signed or unsigned)."""
    return int(type(a)(int(a) + int(b))) != int(a) + int(b)


@intrinsic
def sub_overflows(a: T, b: T) -> bool:
    """True if a - b does not fit the class of the operands (signed or unsigned)."""
    return int(type(a)(int(a) - int(b))) != int(a) - int(b)


@intrinsic
def mul_overflows(a: T, b: T) -> bool:
    """True if a * b does not fit the class of the operands (signed or unsigned)."""
    return int(type(a)(int(a) * int(b))) != int(a) * int(b)


@intrinsic
def signed(x: Any) -> Any:
    """The same bits in the signed class of the same width."""
    return SIGNED[x.bits](x)


@intrinsic
def unsigned(x: Any) -> Any:
    """The same bits in the unsigned class of the same width."""
    return UNSIGNED[x.bits](x)


@intrinsic
def peek_u8(address: u64) -> u8:
    """The byte at a host address that the caller has checked."""
    return read_scalar(u8, address)


@intrinsic
def peek_u16(address: u64) -> u16:
    """The 16-bit host-order value at a checked host address, of any alignment."""
    return read_scalar(u16, address)


@intrinsic
def peek_u32(address: u64) -> u32:
    """The 32-bit host-order value at a checked host address."""
    return read_scalar(u32, address)


@intrinsic
def peek_u64(address: u64) -> u64:
    """The 64-bit host-order value at a checked host address."""
    return read_scalar(u64, address)


@intrinsic
def peek_u128(address: u64) -> u128:
    """The 128-bit host-order value at a checked host address."""
    return read_scalar(u128, address)


@intrinsic
def poke_u8(address: u64, value: u8) -> None:
    """Store a byte at a checked host address."""
    write_scalar(u8, address, value)


@intrinsic
def poke_u16(address: u64, value: u16) -> None:
    """Store 16 bits in host order at a checked host address."""
    write_scalar(u16, address, value)


@intrinsic
def poke_u32(address: u64, value: u32) -> None:
    """Store 32 bits in host order at a checked host address."""
    write_scalar(u32, address, value)


@intrinsic
def poke_u64(address: u64, value: u64) -> None:
    """Store 64 bits in host order at a checked host address."""
    write_scalar(u64, address, value)


@intrinsic
def poke_u128(address: u64, value: u128) -> None:
    """Store 128 bits in host order at a checked host address."""
    write_scalar(u128, address, value)


@intrinsic
def copy_bytes(to: u64, source: u64, count: u64) -> None:
    """memmove between checked host addresses."""
    ctypes.memmove(int(to), int(source), int(count))


@intrinsic
def fill_bytes(to: u64, value: u8, count: u64) -> None:
    """memset at a checked host address."""
    ctypes.memset(int(to), int(value), int(count))


@intrinsic
def compare_bytes(a: u64, b: u64, count: u64) -> bool:
    """True if `count` bytes at two checked host addresses are equal."""
    return ctypes.string_at(int(a), int(count)) == ctypes.string_at(int(b), int(count))


@intrinsic
def address_of(struct: Any) -> u64:
    """The host address of a Struct."""
    return u64(struct.address)


_entries: dict[int, Callable[[u64], int]] = {}


def entry_in_python(function: Callable[[u64], int]) -> int:
    """A number by which `call_native` finds a function in a run in plain Python."""
    number = len(_entries) + 1
    _entries[number] = function
    return number


@intrinsic
def call_native(address: u64, argument: u64) -> u64:
    """Call a compiled function by its address (`build.compile_function`)."""
    return u64(_entries[int(address)](argument))


@intrinsic
def f64_of_bits(bits: u64) -> f64:
    """The binary64 number that 64 bits encode."""
    return f64(struct.unpack("d", struct.pack("Q", int(bits)))[0])


@intrinsic
def bits_of_f64(value: f64) -> u64:
    """The 64 bits of a binary64 number."""
    return u64(struct.unpack("Q", struct.pack("d", value))[0])


@intrinsic
def f32_of_bits(bits: u32) -> f32:
    """The binary32 number that 32 bits encode."""
    return f32(struct.unpack("f", struct.pack("I", int(bits)))[0])


@intrinsic
def bits_of_f32(value: f32) -> u32:
    """The 32 bits of a binary32 number."""
    return u32(struct.unpack("I", struct.pack("f", value))[0])


@intrinsic
def sqrt(value: f64) -> f64:
    """Square root; a NaN for a negative number."""
    return f64(math.sqrt(value)) if value >= 0 else f64(math.nan)


def _signed(value: f64, rounding: Callable[[float], int]) -> f64:
    """An integral value with the operand's sign, which a zero keeps."""
    return f64(math.copysign(rounding(value), value))


@intrinsic
def round_even(value: f64) -> f64:
    """The nearest integral number, ties to even."""
    return _signed(value, round) if math.isfinite(value) else value


@intrinsic
def truncate(value: f64) -> f64:
    """The integral number towards zero."""
    return _signed(value, math.trunc) if math.isfinite(value) else value


@intrinsic
def floor(value: f64) -> f64:
    """The integral number not above."""
    return _signed(value, math.floor) if math.isfinite(value) else value


@intrinsic
def ceiling(value: f64) -> f64:
    """The integral number not below."""
    return _signed(value, math.ceil) if math.isfinite(value) else value


@intrinsic
def fused(a: f64, b: f64, c: f64) -> f64:
    """a * b + c with one rounding."""
    if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
        return f64(a * b + c)
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    return f64(exact) if exact else f64(a * b + c)


@intrinsic
def likely(condition: bool) -> bool:
    """The condition itself, marked as usually true for the code layout."""
    return condition
