"""String comparison, AES rounds, carry-less products and dot products: as the host's processor."""

import random

import pytest

from tests.semantics.x86.native import Vectors
from tests.semantics.x86.test_sse_float import float_state
from tests.semantics.x86.vector_bench import compare, forms, integer_state


def text_state(rng: random.Random) -> Vectors:
    """Operands of few different characters, with zeros among them, and lengths around theirs."""
    state = integer_state(rng)
    alphabet = rng.choice(
        (b"ab", b"ab\0", b"abcdefgh\0", bytes(range(256)), b"\x00\x7f\x80\xff\x01")
    )

    def text() -> bytes:
        return bytes(rng.choice(alphabet) for _ in range(16))

    state.xmm = [int.from_bytes(text(), "little") for _ in range(16)]
    state.memory = b"".join(text() for _ in range(4))
    for number in (0, 2):
        length = rng.choice((rng.randrange(20), -rng.randrange(20), rng.getrandbits(64), 1 << 63))
        state.general[number] = length & 2**64 - 1
    return state


def product_state(rng: random.Random) -> Vectors:
    """Numbers without NaNs: processors differ about which of several a dot product gives."""
    state = float_state(rng)

    def without(value: int) -> int:
        for n in range(0, 128, 32):
            if value >> n & 0x7F80_0000 == 0x7F80_0000:
                value &= ~(0x7F_FFFF << n)
        for n in range(0, 128, 64):
            if value >> n & 0x7FF << 52 == 0x7FF << 52:
                value &= ~(0xF_FFFF_FFFF_FFFF << n)
        return value

    state.xmm = [without(x) for x in state.xmm]
    parts = [int.from_bytes(state.memory[n : n + 16], "little") for n in range(0, 64, 16)]
    state.memory = b"".join(without(x).to_bytes(16, "little") for x in parts)
    return state


STRINGS = forms(
    "660f3a60 660f3a61 660f3a62 660f3a63 66480f3a61 66480f3a60", immediates=tuple(range(0, 128))
) | {"not aligned": bytes.fromhex("660f3a634f030c")}
CIPHERS = forms("660f38db 660f38dc 660f38dd 660f38de 660f38df") | forms(
    "660f3adf 660f3a44", immediates=(0, 1, 0x10, 0x11, 0x36, 0xFF)
)
PRODUCTS = forms("660f3a40 660f3a41", immediates=(0xFF, 0x31, 0x71, 0xF1, 0xA5, 0x5A, 0x0F, 0xC3))


@pytest.mark.parametrize(
    ("programs", "state", "rounds"),
    [(STRINGS, text_state, 8), (CIPHERS, integer_state, 50), (PRODUCTS, product_state, 80)],
    ids=["strings", "ciphers", "products"],
)
def test_special_instruction_random_operands_like_host(programs, state, rounds):
    assert compare("native", programs, rounds, state) == []


@pytest.mark.parametrize(
    ("programs", "state"),
    [(dict(list(STRINGS.items())[::7]), text_state), (CIPHERS, integer_state)],
    ids=["strings", "ciphers"],
)
def test_special_instruction_in_python_like_host(programs, state):
    assert compare("python", programs, 1, state) == []
