"""Floating-point instructions of SSE: as the host, with all roundings and any masked flags."""

import random
import struct

import pytest

from tests.semantics.x86.native import Vectors
from tests.semantics.x86.vector_bench import compare, forms, integer_state

SINGLES = (
    0, 1, 0x7FFFFF, 0x800000, 0x800001, 0x3F800000, 0x3F7FFFFF, 0x3F800001, 0x40000000, 0x3F000000,
    0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FC12345, 0x7FBFFFFF, 0x4F000000, 0x4EFFFFFF,
    0x5F000000, 0x5EFFFFFF, 0x3EAAAAAB, 0x40490FDB, 0x4B7FFFFF, 0x4B000001, 0x33800000, 0x00000123,
)  # fmt: skip
DOUBLES = (
    0, 1, 0xF_FFFF_FFFF_FFFF, 1 << 52, (1 << 52) + 1, 0x3FF << 52, (0x3FF << 52) - 1,
    (0x3FF << 52) + 1, 0x400 << 52, 0x3FE << 52, (0x7FF << 52) - 1, 0x7FF << 52, (0x7FF << 52) + 1,
    0x7FF8 << 48, 0x7FF8_1234_5678_9ABC, 0x7FF7_FFFF_FFFF_FFFF, 0x41DF_FFFF_FFC0_0000,
    0x41E0_0000_0000_0000, 0x43E0_0000_0000_0000, 0x43DF_FFFF_FFFF_FFFF, 0x3FD5_5555_5555_5555,
    0x4009_21FB_5444_2D18, 0x432F_FFFF_FFFF_FFFF, 0x36A0_0000_0000_0000, 0x47EF_FFFF_E000_0000,
    0x47EF_FFFF_F000_0000, 0x380F_FFFF_FFFF_FFFF,
)  # fmt: skip


def single(rng: random.Random) -> int:
    """A binary32 number, often a special one."""
    match rng.randrange(4):
        case 0:
            return rng.choice(SINGLES) | rng.randrange(2) << 31
        case 1:
            return rng.getrandbits(32)
        case 2:
            return struct.unpack("<I", struct.pack("<f", rng.uniform(-4, 4)))[0]
        case _:
            return struct.unpack("<I", struct.pack("<f", float(rng.randrange(-99999, 99999))))[0]


def double(rng: random.Random) -> int:
    """A binary64 number, often a special one."""
    match rng.randrange(5):
        case 0:
            return rng.choice(DOUBLES) | rng.randrange(2) << 63
        case 1:
            return rng.getrandbits(64)
        case 2:
            return struct.unpack("<Q", struct.pack("<d", rng.uniform(-4, 4)))[0]
        case 3:
            return struct.unpack("<Q", struct.pack("<d", rng.uniform(-3e9, 3e9)))[0]
        case _:
            return struct.unpack("<Q", struct.pack("<d", float(rng.randrange(-99999, 99999))))[0]


def numbers(rng: random.Random) -> int:
    """A vector of doubles or of singles."""
    if rng.randrange(2):
        return double(rng) | double(rng) << 64
    return sum(single(rng) << n for n in range(0, 128, 32))


def float_state(rng: random.Random) -> Vectors:
    """Numbers in registers and memory, and any MXCSR with all exceptions masked."""
    state = integer_state(rng)
    state.xmm = [numbers(rng) for _ in range(16)]
    state.memory = b"".join(numbers(rng).to_bytes(16, "little") for _ in range(4))
    if rng.randrange(4) == 0:
        state.xmm[2] = state.xmm[1]
    controls = rng.choice((0x1F80, 0x1FA0, 0x3F80, 0x5F80, 0x7F80, 0x9FC0, 0x1FC0, 0x9F80, 0xFFC0))
    state.mxcsr = controls | rng.choice((0, 0, 0x3F, rng.getrandbits(6)))
    return state


ARITHMETIC = forms(
    "0f51 660f51 f20f51 f30f51 0f58 660f58 f20f58 f30f58 0f59 660f59 f20f59 f30f59 "
    "0f5c 660f5c f20f5c f30f5c 0f5d 660f5d f20f5d f30f5d 0f5e 660f5e f20f5e f30f5e "
    "0f5f 660f5f f20f5f f30f5f 660fd0 f20fd0 660f7c f20f7c 660f7d f20f7d "
    "0f2e 660f2e 0f2f 660f2f"
)
CONVERSIONS = forms(
    "0f5a 660f5a f20f5a f30f5a 0f5b 660f5b f30f5b f30fe6 f20fe6 660fe6 "
    "0f2a 660f2a f20f2a f30f2a f2480f2a f3480f2a 0f2c 660f2c f20f2c f30f2c f2480f2c f3480f2c "
    "0f2d 660f2d f20f2d f30f2d f2480f2d f3480f2d"
)
COMPARISONS = forms("0fc2 660fc2 f20fc2 f30fc2", immediates=(0, 1, 2, 3, 4, 5, 6, 7, 0x1F))
ROUNDINGS = forms(
    "660f3a08 660f3a09 660f3a0a 660f3a0b", immediates=(0, 1, 2, 3, 4, 8, 9, 10, 11, 12)
)


@pytest.mark.parametrize(("engine", "rounds"), [("native", 80), ("python", 1)])
@pytest.mark.parametrize(
    "programs",
    [ARITHMETIC, CONVERSIONS, COMPARISONS, ROUNDINGS],
    ids=["arithmetic", "conversions", "comparisons", "roundings"],
)
def test_float_instruction_random_numbers_like_host(engine, rounds, programs):
    assert compare(engine, programs, rounds, float_state) == []
