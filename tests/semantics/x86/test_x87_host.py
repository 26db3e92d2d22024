"""x87 instructions do to the whole state what the host's processor does."""

import random
import struct
from collections.abc import Iterator

import pytest

from tests.semantics.x86.native import Native, Vectors, available
from tests.semantics.x86.oracle.compare import Comparer
from tests.semantics.x86.oracle.disagreements import HOST
from tests.semantics.x86.oracle.groups import groups
from tests.semantics.x86.oracle.values import Values
from tests.semantics.x86.vector_bench import bench, differences

SEEDS = 2
SPINS = 4
LONG_SPINS = 100
ROUNDS = 40
ENVIRONMENTS = {
    "fnstenv": "d937", "fldenv": "d927", "fnsave": "dd37", "frstor": "dd27",
    "fnstenv of 16 bits": "66d937", "fldenv of 16 bits": "66d927",
    "fnsave of 16 bits": "66dd37", "frstor of 16 bits": "66dd27",
    "fnstenv with REX.W": "6648d937",
}  # fmt: skip
"""All at RDI."""
SEQUENCES = {
    "pi squared": "d9eb d8c8 dd1f",
    "quadratic": "d9e8 d907 dec9 d8c0 d9fa df3f",
    "logarithm": "d9ed db2f d9f1 db3f",
    "decimal": "df27 d9e1 df37",
    "compare and move": "d9e8 d9ee dbf1 dac1 dcc1 ddd9 dfe0",
    "free and turn": "ddc0 d9f7 ddc3 d9f6 d9c1 d9ca",
}
"""Programs whose instructions pass the stack on to each other."""


@pytest.fixture(scope="module")
def comparer() -> Iterator[Comparer]:
    """With the host alone: of the emulator's x87 too much is another."""
    found = Comparer()
    for side in set(found.others) - {HOST}:
        found.others.pop(side).close()
    yield found
    found.close()


def compare(comparer: Comparer, narrow: bool, spins: int) -> None:
    """Random instructions from random states."""
    items = groups(narrow)["x87"]
    assert len({item.mnemonic for item in items}) > 70
    for seed in range(SEEDS):
        result = comparer.batch(items, seed, spins=spins, narrow=narrow)
        assert not result.crashes
        assert not result.found, "\n".join(str(one) for one in result.found[:5])


@pytest.mark.parametrize("narrow", [False, True], ids=["64 bits", "32 bits"])
def test_x87_instructions_on_random_states_match_processor(
    comparer: Comparer, narrow: bool
) -> None:
    compare(comparer, narrow, SPINS)


@pytest.mark.long
@pytest.mark.parametrize("narrow", [False, True], ids=["64 bits", "32 bits"])
def test_x87_instructions_on_many_states_match_processor(comparer: Comparer, narrow: bool) -> None:
    compare(comparer, narrow, LONG_SPINS)


def state(rng: random.Random) -> Vectors:
    """A random state without a pending exception, and memory that may be an environment."""
    values = Values(rng)
    image = values.floating()
    before = Vectors()
    before.control, before.status, before.tags = struct.unpack_from("<HHB", image)
    # The native runner must not fault.
    before.status &= 0x7F00 | before.control & 0x3F
    for n in range(8):
        before.mmx[n], before.exponents[n] = struct.unpack_from("<QH", image, 32 + 16 * n)
    before.memory = values.memory(128)
    if rng.randrange(2):
        words = [rng.getrandbits(16) | 0x3F, 0, rng.getrandbits(16), 0, rng.getrandbits(16), 0]
        before.memory = struct.pack("<6H", *words) + before.memory[12:]
    return before


def check_programs(engine: str, programs: dict[str, str], rounds: int) -> None:
    """Programs leave the same state on both sides."""
    if not available():
        return
    machine, rng = bench(engine), random.Random(87)
    raw = machine.processor.raw
    for name, digits in programs.items():
        program = bytes.fromhex(digits)
        native = Native(program)
        for _ in range(rounds):
            before = state(rng)
            if name in SEQUENCES:
                before.control |= 0x3F
            raw.x87_ip = raw.x87_dp = raw.x87_opcode = raw.x87_cs = raw.x87_ds = 0
            different = differences(machine.run(program, before), native.run(before))
            assert not different, f"{name}: {different} from {before}"


def test_environment_in_each_layout_matches_processor() -> None:
    check_programs("native", ENVIRONMENTS, ROUNDS)


def test_sequences_of_instructions_match_processor() -> None:
    check_programs("native", SEQUENCES, ROUNDS)


def test_x87_instructions_in_python_match_processor() -> None:
    check_programs("python", ENVIRONMENTS | SEQUENCES, 2)
