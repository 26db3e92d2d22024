"""LOAD AND TRAP, in its five forms, against an emulator; PCKMO's query."""

import random

import pytest

from tests.semantics.bench import PSW_64, Bench
from tests.semantics.emulator import Emulator, ours
from worldswitch.arch.s390x.program import ProgramCode

A = 0x2000
TEXTS = {"LAT": "9F", "LGAT": "85", "LLGFAT": "9D", "LLGTAT": "9C", "LFHAT": "C8"}


@pytest.fixture(scope="module", params=["python", "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(engine=request.param)


@pytest.mark.parametrize("name", TEXTS)
def test_load_and_trap_random_agrees_with_the_emulator(bench: Bench, name: str) -> None:
    rng, emulator = random.Random(name), Emulator()
    for _ in range(50):
        data = bytes(rng.getrandbits(8) for _ in range(8))
        gr = [rng.getrandbits(64) for _ in range(16)]
        gr[1] = A
        text = f"E340 1000 00{TEXTS[name]}"
        result = ours(bench, text, gr, A, data)
        expected = emulator.run(text, gr, A, data)
        assert (result.gr, result.area) == (expected.gr, expected.area)


@pytest.mark.parametrize(
    ("name", "value", "after"),
    [
        ("LAT", 0x0000_0000_8000_0000, 0x7777_7777_0000_0000),
        ("LGAT", 0, 0),
        ("LLGFAT", 0x0000_0000_8000_0000, 0),
        ("LLGTAT", 0x8000_0000_0000_0001, 0),
        ("LFHAT", 0x0000_0000_8000_0000, 0x0000_0000_7777_7777),
    ],
)
def test_load_and_trap_of_zero_loads_and_traps(
    bench: Bench, name: str, value: int, after: int
) -> None:
    bench.put(A, value)
    bench.raw.gr[1], bench.raw.gr[4] = A, 0x7777_7777_7777_7777
    bench.psw(PSW_64)
    assert bench.execute(f"E340 1000 00{TEXTS[name]}") == ProgramCode.DATA
    assert (bench.raw.gr[4], bench.raw.data_code) == (after, 0xFF)


def test_pckmo_has_the_query_function_alone(bench: Bench) -> None:
    bench.raw.gr[0], bench.raw.gr[1] = 0, A
    bench.psw(PSW_64 | 2 << 44)
    assert bench.execute("B928 0000") is None
    assert (bench.get(A), bench.get(A + 8), bench.raw.cc) == (1 << 63, 0, 2)
    bench.raw.gr[0] = 1
    assert bench.execute("B928 0000") == ProgramCode.SPECIFICATION
    bench.psw(PSW_64 | 1 << 48)
    assert bench.execute("B928 0000") == ProgramCode.PRIVILEGED_OPERATION
