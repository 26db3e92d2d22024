"""Conversions between the encodings of Unicode, against Python's codecs and an emulator."""

import random

import pytest

from tests.semantics.bench import PSW_64, Bench
from tests.semantics.emulator import Emulator, ours
from worldswitch.arch.s390x.program import ProgramCode

A, B = 0x2000, 0x3000
OPCODES = {"CU12": "B2A7", "CU21": "B2A6", "CU14": "B9B0", "CU24": "B9B1", "CU41": "B9B2",
           "CU42": "B9B3"}  # fmt: skip
CODECS = {"1": "utf-8", "2": "utf-16-be", "4": "utf-32-be"}
TEXT = "aÀ߿ࠀ퟿￿\U00010000\U0010ffffz"


@pytest.fixture(scope="module", params=["python", "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(engine=request.param)


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return Emulator()


def convert(
    bench: Bench, name: str, source: bytes, room: int = 0x100, m3: int = 1, mask: int = PSW_64
) -> tuple[object, bytes, tuple[int, ...]]:
    """(ending or condition code, what was stored, the four registers less their bases)."""
    bench.write(A, bytes(room or 1))
    bench.write(B, source or b"\0")
    gr = bench.raw.gr
    gr[2], gr[3], gr[4], gr[5] = A, room, B, len(source)
    bench.psw(mask)
    ending = bench.execute(f"{OPCODES[name]} {m3:X}024")
    done = gr[2] - A
    return ending or bench.raw.cc, bench.read(A, done), (done, gr[3], gr[4] - B, gr[5])


@pytest.mark.parametrize("name", OPCODES)
@pytest.mark.parametrize("m3", [0, 1])
def test_well_formed_text_agrees_with_the_codecs(bench: Bench, name: str, m3: int) -> None:
    source, expected = TEXT.encode(CODECS[name[2]]), TEXT.encode(CODECS[name[3]])
    size = len(expected)
    result = convert(bench, name, source, 0x100, m3)
    assert result == (0, expected, (size, 0x100 - size, len(source), 0))


@pytest.mark.parametrize("name", OPCODES)
def test_a_full_result_is_condition_code_1(bench: Bench, name: str) -> None:
    source = "a\U00010000".encode(CODECS[name[2]])
    expected = "a".encode(CODECS[name[3]])
    code, stored, (done, room, _, _) = convert(bench, name, source, len(expected) + 1)
    assert (code, stored, done, room) == (1, expected, len(expected), 1)


@pytest.mark.parametrize("name", OPCODES)
def test_an_incomplete_character_is_condition_code_0(bench: Bench, name: str) -> None:
    source = "\U00010000".encode(CODECS[name[2]])[:-1]
    assert convert(bench, name, source) == (0, b"", (0, 0x100, 0, len(source)))


@pytest.mark.parametrize("name", OPCODES)
def test_odd_registers_are_specification_exceptions(bench: Bench, name: str) -> None:
    for registers in ("34", "23"):
        bench.psw(PSW_64)
        assert bench.execute(f"{OPCODES[name]} 00{registers}") == ProgramCode.SPECIFICATION


@pytest.mark.parametrize(
    "source",
    ["80", "BF", "F8", "C080", "C241", "E08080", "E09FBF", "EDA080", "F0808080", "F4908080",
     "F5808080", "C1BF", "E18041", "F1808041"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["CU12", "CU14"])
def test_malformed_utf_8_is_condition_code_2_if_checked(
    bench: Bench, name: str, source: str
) -> None:
    data = bytes.fromhex(source)
    assert convert(bench, name, b"a" + data)[0::2] == (2, (int(name[3]), 0x100 - int(name[3]), 1,
                                                          len(data)))  # fmt: skip
    always = data[0] in (0x80, 0xBF, 0xF8)
    assert (convert(bench, name, data, m3=0)[0] == 2) == always


def test_e0a080_is_well_formed(bench: Bench) -> None:
    assert convert(bench, "CU12", bytes.fromhex("E0A080"))[:2] == (0, b"\x08\x00")


@pytest.mark.parametrize("name", ["CU21", "CU24"])
def test_a_lone_high_surrogate_is_condition_code_2_if_checked(bench: Bench, name: str) -> None:
    assert convert(bench, name, bytes.fromhex("D8000041"))[0] == 2
    assert convert(bench, name, bytes.fromhex("D8000041"), m3=0)[0] == 0


@pytest.mark.parametrize("name", ["CU41", "CU42"])
@pytest.mark.parametrize(
    ("value", "cc"), [(0xD7FF, 0), (0xD800, 2), (0xDBFF, 2), (0xDC00, 0), (0x110000, 2)]
)
def test_utf_32_ranges(bench: Bench, name: str, value: int, cc: int) -> None:
    assert convert(bench, name, value.to_bytes(4, "big"), m3=0)[0] == cc


def test_a_long_text_ends_with_condition_code_3_and_goes_on(bench: Bench) -> None:
    source = b"x" * 3000
    cc, stored, (done, _, used, left) = convert(bench, "CU12", source, 8000)
    assert (cc, done, used, left) == (3, 2048, 1024, 1976)
    assert stored == "x".encode("utf-16-be") * 1024


def test_31_bit_mode_keeps_the_left_halves(bench: Bench) -> None:
    bench.write(B, b"ab")
    gr = bench.raw.gr
    high = 0x7777_7777 << 32
    gr[2], gr[3], gr[4], gr[5] = high | A, high | 10, high | B, high | 2
    bench.psw(0x8000_0000)
    assert bench.execute("B2A7 0024") is None
    assert [gr[n] for n in range(2, 6)] == [high | A + 4, high | 6, high | B + 2, high]


def pieces(rng: random.Random, name: str) -> bytes:
    """Well-formed and random code units of a source encoding."""
    data = b""
    while len(data) < 40:
        if rng.random() < 0.7:
            data += rng.choice(TEXT).encode(CODECS[name[2]])
        else:
            data += bytes(rng.getrandbits(8) for _ in range(int(name[2])))
    return data


@pytest.mark.parametrize("name", OPCODES)
def test_random_agrees_with_the_emulator(bench: Bench, emulator: Emulator, name: str) -> None:
    """QEMU 5 takes checked characters 0800 to 0FFF of UTF-8 for malformed; they do not occur."""
    rng = random.Random(name)
    for _ in range(300):
        source = pieces(rng, name)
        data = bytes(0x100) + source
        gr = [rng.getrandbits(64) for _ in range(16)]
        gr[2], gr[3] = A, rng.choice((0x100, rng.randrange(80)))
        gr[4], gr[5] = A + 0x100, rng.randrange(len(source))
        m3 = rng.randint(0, 1)
        text = f"{OPCODES[name]} {m3:X}024"
        expected = emulator.run(text, gr, A, data)
        if name in ("CU12", "CU14") and m3 and expected.cc == 2:
            continue
        assert ours(bench, text, gr, A, data) == expected, (text, source.hex(), gr[3], gr[5])
