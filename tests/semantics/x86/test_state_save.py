"""FXSAVE, XSAVE and their kin: images as the host's processor writes and reads them."""

import random
import struct

import pytest

from tests.semantics.x86.native import Vectors
from tests.semantics.x86.test_sse_float import float_state
from tests.semantics.x86.vector_bench import MEMORY, bench, compare

X87, SSE = 1, 2
SAVES = {
    "fxsave": "0fae07",
    "fxsave64": "480fae07",
    "xsave": "0fae27",
    "xsave64": "480fae27",
    "xsaveopt": "0fae37",
    "xsavec": "0fc727",
    "xsavec64": "480fc727",
    "stmxcsr": "0fae1f",
}
"""To RDI."""
COPIES = {
    "fxrstor": "0fae0f 480fae8700040000",
    "fxrstor64": "480fae0f 480fae8700040000",
    "xrstor": "0fae2f 480fc7a700040000",
    "xrstor64": "480fae2f 480fc7a700040000",
    "xrstor, xsaveopt": "480fae2f 480faeb700040000",
    "ldmxcsr": "0fae5718",
}
"""From RDI, and then what can be read back to RDI + 400h."""


def programs(texts: dict[str, str]) -> dict[str, bytes]:
    """Machine code of texts."""
    return {name: bytes.fromhex(text) for name, text in texts.items()}


def saved_state(rng: random.Random) -> Vectors:
    """A state in which nothing is as after reset, over memory that is not clear."""
    state = float_state(rng)
    state.xmm = [value | 1 for value in state.xmm]
    state.exponents = [rng.getrandbits(16) for _ in range(8)]
    state.tags, state.status = rng.getrandbits(8), rng.getrandbits(16) & 0x7F00
    state.general[0], state.general[2] = rng.choice((0, 1, 2, 3, 3, 3)), 0
    state.memory = bytearray(rng.randbytes(2048))
    state.memory[512:1024] = bytes(512)
    state.memory[512] = rng.randrange(4)
    state.memory = bytes(state.memory)
    return state


def image_state(rng: random.Random) -> Vectors:
    """A valid image in memory, standard or compacted, with some components absent."""
    state = saved_state(rng)
    image = bytearray(state.memory)
    control = rng.choice((0x37F, 0x340, rng.getrandbits(16)))
    struct.pack_into("<HHBB", image, 0, control, rng.getrandbits(16), rng.getrandbits(8), 0)
    struct.pack_into("<H", image, 6, rng.getrandbits(11))
    struct.pack_into("<QQ", image, 8, rng.getrandbits(47), rng.getrandbits(47))
    struct.pack_into("<I", image, 24, rng.getrandbits(16))
    if rng.randrange(2):
        layout = rng.randrange(4)
        struct.pack_into("<QQ", image, 512, rng.randrange(4) & layout, layout | 1 << 63)
    state.memory = bytes(image)
    return state


@pytest.mark.parametrize("engine", ["native", "python"])
@pytest.mark.parametrize(
    ("texts", "state"), [(SAVES, saved_state), (COPIES, image_state)], ids=["save", "restore"]
)
def test_state_image_random_contents_like_host(engine, texts, state):
    rounds = 100 if engine == "native" else 5
    assert compare(engine, programs(texts), rounds, state) == []


@pytest.mark.parametrize(
    ("text", "where", "value"),
    [
        ("480fae4f08", 0, 0),
        ("480fae4708", 0, 0),
        ("480fae6710", 0, 0),
        ("480fae0f", 24, 0x1_0000),
        ("0fae5718", 24, 0x1_0000),
        ("480fae2f", 24, 0x1_0000),
        ("480fae2f", 512, 4),
        ("480fae2f", 520, 1),
        ("480fae2f", 528, 1),
        ("480fae2f", 524, 0x8000_0000),
    ],
    ids=[
        "fxrstor not aligned", "fxsave not aligned", "xsave not aligned", "fxrstor MXCSR",
        "ldmxcsr", "xrstor MXCSR", "xrstor disabled component", "xrstor compaction bits",
        "xrstor reserved byte", "xrstor component that is not in the area",
    ],
)  # fmt: skip
def test_state_image_invalid_general_protection(text, where, value):
    state = Vectors(general={0: 3, 2: 0})
    image = bytearray(1024)
    struct.pack_into("<I", image, 24, 0x1F80)
    image[512] = 3
    struct.pack_into("<I", image, where, value)
    state.memory = bytes(image)
    machine = bench("native")
    assert machine.run(bytes.fromhex(text), state) is None
    assert machine.vector == 13
    assert machine.storage.read(MEMORY, 1024) == state.memory
