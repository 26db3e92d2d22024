"""COMPARE AND SWAP AND STORE and PERFORM LOCKED OPERATION."""

import pytest

from tests.semantics.bench import PSW_64, Bench
from worldswitch.arch.s390x.program import ProgramCode

FIRST, SECOND, LIST = 0x2000, 0x2100, 0x2200
OPERANDS = (0x2300, 0x2400, 0x2500)
SIZES = (4, 8, 8, 16)
"""By function code modulo 4: words, doublewords in the list, in registers, quadwords."""
OLD = 0xA1A2_A3A4_A5A6_A7A8_B1B2_B3B4_B5B6_B7B8
NEW = 0xC1C2_C3C4_C5C6_C7C8_D1D2_D3D4_D5D6_D7D8
OTHER = 0xE1E2_E3E4_E5E6_E7E8_F1F2_F3F4_F5F6_F7F8
NAMES = ("CL", "CS", "DCS", "CSST", "CSDST", "CSTST")


@pytest.fixture(scope="module", params=["python", "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(engine=request.param)


def cut(value: int, size: int) -> int:
    """The right `size` bytes."""
    return value & (1 << 8 * size) - 1


def ends(bench: Bench, text: str, mask: int = PSW_64) -> object:
    """The condition code, or how the instruction ended otherwise."""
    bench.psw(mask)
    ending = bench.execute(text)
    return bench.raw.cc if ending is None else ending


def pair(bench: Bench, r: int, value: int, size: int) -> None:
    """Put a value into a register or, if it has 16 bytes, a pair."""
    if size == 16:
        bench.raw.gr[r], bench.raw.gr[r + 1] = value >> 64, value & (1 << 64) - 1
    else:
        bench.raw.gr[r] = cut(value, size) | (0x7777_7777 << 32 if size == 4 else 0)


def in_pair(bench: Bench, r: int, size: int) -> int:
    if size == 16:
        return bench.raw.gr[r] << 64 | bench.raw.gr[r + 1]
    if size == 4:
        assert bench.raw.gr[r] >> 32 == 0x7777_7777
    return cut(bench.raw.gr[r], size)


@pytest.mark.parametrize("function", [0, 1, 2])
@pytest.mark.parametrize("characteristic", range(5))
@pytest.mark.parametrize("equal", [True, False])
def test_csst(bench: Bench, function: int, characteristic: int, equal: bool) -> None:
    size, stored = 4 << function, 1 << characteristic
    bench.put(FIRST, cut(OLD, size), size)
    bench.put(SECOND, 0, 16)
    bench.write(LIST, cut(NEW, size).to_bytes(size, "big").ljust(16, b"\0"))
    bench.put(LIST + 16, cut(OTHER, stored) << 8 * (16 - stored), 16)
    bench.raw.gr[0] = characteristic << 8 | function
    bench.raw.gr[1], bench.raw.gr[4], bench.raw.gr[5] = LIST, FIRST, SECOND
    pair(bench, 2, OLD if equal else 5, size)
    assert ends(bench, "C822 4000 5000") == (0 if equal else 1)
    assert in_pair(bench, 2, size) == cut(OLD, size)
    assert bench.get(FIRST, size) == cut(NEW if equal else OLD, size)
    assert bench.get(SECOND, 16) >> 8 * (16 - stored) == (cut(OTHER, stored) if equal else 0)


@pytest.mark.parametrize(
    ("code", "text"),
    [(3, "C822 4000 5000"), (0x500, "C822 4000 5000"), (2, "C832 4000 5000"),
     (0, "C822 4002 5000"), (1, "C822 4004 5000"), (2, "C822 4008 5000"),
     (0x100, "C822 4000 5001"), (0x400, "C822 4000 5008")],
)  # fmt: skip
def test_csst_specification_exceptions(bench: Bench, code: int, text: str) -> None:
    gr = bench.raw.gr
    gr[0], gr[1], gr[4], gr[5] = code, LIST, FIRST, SECOND
    assert ends(bench, text) == ProgramCode.SPECIFICATION


def test_csst_second_operand_protected_changes_nothing(bench: Bench) -> None:
    gr = bench.raw.gr
    bench.controls(cr0=1 << (63 - 35))
    bench.put(FIRST, 5, 4)
    gr[0], gr[1], gr[2], gr[4] = 0, LIST, 5, FIRST
    assert ends(bench, "C822 4000 0100") == ProgramCode.PROTECTION
    assert bench.get(FIRST, 4) == 5
    bench.controls(cr0=0)


def listed(bench: Bench, offset: int, value: int, size: int) -> None:
    bench.put(LIST + offset + 16 - size, cut(value, size), size)


def in_list(bench: Bench, offset: int, size: int) -> int:
    return bench.get(LIST + offset + 16 - size, size)


def address_4(bench: Bench, code: int) -> str:
    """The text of PLO R1=2, R3=6, with operand 4 or the list as the fourth operand."""
    uses_list = code & 1 or code >= 16
    bench.raw.gr[8], bench.raw.gr[9] = SECOND, LIST if uses_list else OPERANDS[0]
    return "EE26 8000 9000"


def prepare(bench: Bench, code: int, equal: bool, mask: int = PSW_64) -> str:
    """Operand 2 is OLD and the replacement NEW; operands 3, 5, 7 are OTHER plus 0, 1, 2."""
    size = SIZES[code & 3]
    bench.write(LIST, bytes(0x90))
    bench.put(SECOND, cut(OLD, size), size)
    bench.raw.gr[0] = code
    first = OLD if equal else 5
    if code & 1:
        listed(bench, 0, first, size)
        listed(bench, 16, NEW, size)
    else:
        pair(bench, 2, first, size)
        pair(bench, 3, NEW, size)
    for n, where in enumerate(OPERANDS):
        bench.put(where, n, size)
        listed(bench, 48 + 32 * n, OTHER + n, size)
        if mask == PSW_64:
            bench.put(LIST + 72 + 32 * n, where)
        else:
            bench.put(LIST + 76 + 32 * n, where, 4)
    return address_4(bench, code)


@pytest.mark.parametrize("code", range(24))
def test_plo_unequal_loads_operand_2(bench: Bench, code: int) -> None:
    text = prepare(bench, code, False)
    size = SIZES[code & 3]
    assert ends(bench, text) == 1
    loaded = in_list(bench, 0, size) if code & 1 else in_pair(bench, 2, size)
    assert loaded == cut(OLD, size)
    assert bench.get(SECOND, size) == cut(OLD, size)
    assert [bench.get(where, size) for where in OPERANDS] == [0, 1, 2]


@pytest.mark.parametrize("mask", [PSW_64, 0x8000_0000])
@pytest.mark.parametrize("code", range(4))
def test_plo_compare_and_load(bench: Bench, code: int, mask: int) -> None:
    text = prepare(bench, code, True, mask)
    size = SIZES[code & 3]
    bench.put(OPERANDS[0], cut(OTHER, size), size)
    pair(bench, 6, 0, size)
    assert ends(bench, text, mask) == 0
    loaded = in_list(bench, 32, size) if code & 1 else in_pair(bench, 6, size)
    assert loaded == cut(OTHER, size)
    assert bench.get(SECOND, size) == cut(OLD, size)


@pytest.mark.parametrize("code", range(4, 8))
def test_plo_compare_and_swap(bench: Bench, code: int) -> None:
    text = prepare(bench, code, True)
    size = SIZES[code & 3]
    assert ends(bench, text) == 0
    assert bench.get(SECOND, size) == cut(NEW, size)
    assert [bench.get(where, size) for where in OPERANDS] == [0, 1, 2]


@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("code", range(8, 12))
def test_plo_double_compare_and_swap(bench: Bench, code: int, equal: bool) -> None:
    text = prepare(bench, code, True)
    size = SIZES[code & 3]
    bench.put(OPERANDS[0], cut(OLD + 1, size), size)
    third = OLD + 1 if equal else 9
    if code & 1:
        listed(bench, 32, third, size)
    else:
        pair(bench, 6, third, size)
        pair(bench, 7, OTHER, size)
    assert ends(bench, text) == (0 if equal else 2)
    assert bench.get(SECOND, size) == cut(NEW if equal else OLD, size)
    assert bench.get(OPERANDS[0], size) == cut(OTHER if equal else OLD + 1, size)
    loaded = in_list(bench, 32, size) if code & 1 else in_pair(bench, 6, size)
    assert loaded == cut(OLD + 1, size)


@pytest.mark.parametrize("mask", [PSW_64, 0x8000_0000])
@pytest.mark.parametrize("code", range(12, 24))
def test_plo_swap_and_stores(bench: Bench, code: int, mask: int) -> None:
    text = prepare(bench, code, True, mask)
    size = SIZES[code & 3]
    if code in (12, 14):
        pair(bench, 6, OTHER, size)
    assert ends(bench, text, mask) == 0
    assert bench.get(SECOND, size) == cut(NEW, size)
    count = code // 4 - 2
    expected = [cut(OTHER + n, size) if n < count else n for n in range(3)]
    assert [bench.get(where, size) for where in OPERANDS] == expected


@pytest.mark.parametrize("code", range(12, 24))
def test_plo_store_to_a_protected_operand_changes_nothing(bench: Bench, code: int) -> None:
    text = prepare(bench, code, True)
    size = SIZES[code & 3]
    last = (code // 4 - 3) * 32 + 72
    if code in (12, 14):
        bench.raw.gr[9] = 0x100
    else:
        bench.put(LIST + last, 0x100)
    bench.controls(cr0=1 << (63 - 35))
    assert ends(bench, text) == ProgramCode.PROTECTION
    bench.controls(cr0=0)
    assert bench.get(SECOND, size) == cut(OLD, size)
    assert [bench.get(where, size) for where in OPERANDS] == [0, 1, 2]


def test_plo_test_bit_says_which_codes_exist(bench: Bench) -> None:
    for code in range(256):
        bench.raw.gr[0] = 0xFFFF_FFFF << 32 | 0x100 | code
        assert ends(bench, "EE37 0001 0001") == (0 if code < 24 else 3)


@pytest.mark.parametrize(
    ("code", "text"),
    [(24, "EE26 8000 9000"), (0x200, "EE26 8000 9000"), (4, "EE36 8000 9000"),
     (8, "EE27 8000 9000"), (14, "EE36 8000 9000"), (0, "EE26 8002 9000"), (2, "EE26 8004 9000"),
     (3, "EE26 8008 9000"), (0, "EE26 8000 9002"), (5, "EE26 8000 9004"), (16, "EE26 8000 9004")],
)  # fmt: skip
def test_plo_specification_exceptions(bench: Bench, code: int, text: str) -> None:
    prepare(bench, code & 0x17, True)
    bench.raw.gr[0] = code
    bench.raw.gr[9] = LIST
    assert ends(bench, text) == ProgramCode.SPECIFICATION


def test_plo_of_odd_r1_is_allowed_for_compare_and_load_and_lists(bench: Bench) -> None:
    prepare(bench, 0, False)
    assert ends(bench, "EE36 8000 9000") == 1
    prepare(bench, 5, True)
    assert ends(bench, "EE37 8000 9000") == 0
