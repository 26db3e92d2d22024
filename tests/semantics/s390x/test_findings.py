"""Cases in which the independent emulator or the plain engine showed a mistake."""

import pytest

from tests.semantics.bench import PSW_64, Bench

PSW_24 = 0


@pytest.fixture(params=["python", "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(engine=request.param)


def test_lzer_keeps_right_half_of_register(bench: Bench) -> None:
    bench.raw.vr[2 * 4] = 0x1234_5678_9ABC_DEF0
    assert bench.execute("B374 0040") is None
    assert bench.raw.vr[2 * 4] == 0x9ABC_DEF0


def test_risbhg_changes_high_half_only(bench: Bench) -> None:
    bench.raw.gr[1] = 0x0000_003D_1111_2222
    bench.raw.gr[2] = 0xAABB_CCDD_0000_0000
    assert bench.execute("EC12 000F 005D") is None
    assert bench.raw.gr[1] == 0xAABB_003D_1111_2222


def test_unpk_overlapping_byte_is_fetched_once(bench: Bench) -> None:
    # The first byte stored over the source's last one leaves its digits as they were fetched.
    bench.write(0x2000, bytes.fromhex("0000 0012 34"))
    bench.raw.gr[1] = 0x2000
    assert bench.execute("F341 1000 1003") is None
    assert bench.read(0x2000, 5).hex() == "f0f0f1f243"


def test_trt_in_24_bit_mode_keeps_bits_32_to_39(bench: Bench) -> None:
    bench.psw(PSW_24, 0x1000)
    bench.raw.gr[1] = 0x1111_1111_2222_2222
    bench.raw.gr[3] = 0x2000
    bench.raw.gr[4] = 0x3000
    bench.write(0x2000, b"\x05")
    bench.write(0x3005, b"\x07")
    assert bench.execute("DD00 3000 4000") is None
    assert bench.raw.gr[1] == 0x1111_1111_2200_2000
    assert bench.raw.gr[2] & 0xFF == 7
    assert bench.raw.cc == 2


def test_balr_in_24_bit_mode_links_length_condition_and_mask(bench: Bench) -> None:
    bench.psw(PSW_24 | 2 << 44, 0x1000)
    assert bench.execute("0510") is None
    assert bench.raw.gr[1] == 0x6000_1002


def test_tr_second_table_page_missing_changes_nothing(bench: Bench) -> None:
    size = bench.storage.size
    bench.raw.gr[1], bench.raw.gr[2] = 0x2000, size - 0x10
    bench.write(0x2000, b"\x01\xff")
    bench.write(size - 0x10, bytes(range(0x40, 0x50)))
    bench.psw(PSW_64, 0x1000)
    assert bench.execute("DC01 1000 2000") == 5
    assert bench.read(0x2000, 2) == b"\x01\xff"
