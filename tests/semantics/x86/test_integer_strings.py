"""String instructions: sizes, directions, repetition, overlap, faults in the middle."""

import pytest

from tests.semantics.x86.bench import CF, CODE, DATA, DF, PAGES, ZF, Bench
from worldswitch.arch.x86.exceptions import Vector
from worldswitch.metal.x86.leave import Exit

ONES = 2**64 - 1
FAR = 0x20_0000
"""Start of the second large page."""


@pytest.fixture(scope="module", params=["native", "python"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """64-bit mode."""
    return Bench("long64", engine=request.param)


@pytest.fixture(scope="module")
def native() -> Bench:
    """64-bit mode, compiled."""
    return Bench("long64")


def without_page(bench: Bench, present: bool) -> None:
    """Take the page at FAR away, or give it back."""
    bench.put(PAGES + 0x2008, FAR | 0x87 if present else 0)
    bench.processor.call("purge_all")


@pytest.mark.parametrize(("code", "size"), [("a4", 1), ("66 a5", 2), ("a5", 4), ("48 a5", 8)])
def test_movs_moves_one_element_in_either_direction(bench: Bench, code: str, size: int) -> None:
    """Without a prefix rCX does not count."""
    data = bytes(range(1, 17))
    bench.write(DATA, data + bytes(16))
    after = bench.run(code, rsi=DATA, rdi=DATA + 16, rcx=0)
    assert bench.read(DATA + 16, 16) == data[:size] + bytes(16 - size)
    assert (after.rsi, after.rdi, after.rcx) == (DATA + size, DATA + 16 + size, 0)
    after = bench.run(code, flags=DF, rsi=DATA, rdi=DATA + 16)
    assert (after.rsi, after.rdi) == (DATA - size, DATA + 16 - size)


@pytest.mark.parametrize("count", [0, 1, 7, 511, 512, 513, 5000])
@pytest.mark.parametrize(("code", "size"), [("f3 a4", 1), ("f3 48 a5", 8)])
def test_movs_repeated_moves_all_pages(native: Bench, code: str, size: int, count: int) -> None:
    """Of odd addresses, over many pages."""
    source, target = 0x10_0003, 0x14_0FF9
    data = bytes(n * 7 & 0xFF for n in range(count * size))
    native.write(source, data)
    native.write(target, bytes(len(data) + 8))
    after = native.run(code, rsi=source, rdi=target, rcx=count)
    assert native.read(target, len(data) + 8) == data + bytes(8)
    assert (after.rsi, after.rdi) == (source + len(data), target + len(data))
    assert (after.rcx, after.exception) == (0, None)


@pytest.mark.parametrize("distance", [-3, -1, 1, 2, 5, 8, 9])
@pytest.mark.parametrize(
    ("code", "size", "flags"),
    [("f3 a4", 1, 0), ("f3 48 a5", 8, 0), ("f3 a4", 1, DF), ("f3 66 a5", 2, DF)],
)
def test_movs_overlapping_moves_one_by_one(
    bench: Bench, code: str, size: int, flags: int, distance: int
) -> None:
    """What was written is read again where strings overlap that way."""
    count = 24
    base = DATA + 0x800
    image = bytearray(range(256)) * 2
    step = -size if flags else size
    first = 200
    for n in range(count):
        at = first + step * n
        image[at + distance : at + distance + size] = image[at : at + size]
    bench.write(base, bytes(range(256)) * 2)
    bench.run(code, flags=flags, rsi=base + first, rdi=base + first + distance, rcx=count)
    assert bench.read(base, 512) == bytes(image)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("f3 aa", b"\xef"), ("f3 66 ab", b"\xef\xcd"), ("f3 ab", b"\xef\xcd\xab\x90"),
        ("f3 48 ab", bytes.fromhex("efcdab9078563412")), ("f2 aa", b"\xef"),
    ],
)  # fmt: skip
def test_stos_repeated_fills(native: Bench, code: str, value: bytes) -> None:
    """Across pages; F2 repeats too."""
    target, count = 0x10_0FF1, 3000
    native.write(target, bytes(count * len(value) + 8))
    after = native.run(code, rax=0x1234_5678_90AB_CDEF, rdi=target, rcx=count)
    assert native.read(target, count * len(value) + 8) == value * count + bytes(8)
    assert (after.rdi, after.rcx) == (target + count * len(value), 0)


def test_stos_zeros_clear_page(native: Bench) -> None:
    """As a kernel clears pages."""
    native.write(0x10_0000, b"\xff" * 0x3000)
    native.run("f3 48 ab", rdi=0x10_1000, rcx=512)
    assert native.read(0x10_0000, 0x3000) == b"\xff" * 0x1000 + bytes(0x1000) + b"\xff" * 0x1000


def test_lods_loads_part_of_accumulator(bench: Bench) -> None:
    """By the element's size; 32 bits clear the upper half."""
    bench.put(DATA, 0x8877_6655_4433_2211)
    assert bench.run("ac", rax=ONES, rsi=DATA).rax == ONES - 0xFF + 0x11
    assert bench.run("66 ad", rax=ONES, rsi=DATA).rax == ONES - 0xFFFF + 0x2211
    assert bench.run("ad", rax=ONES, rsi=DATA).rax == 0x4433_2211
    after = bench.run("f3 ac", rsi=DATA, rcx=8)
    assert (after.rax, after.rsi, after.rcx) == (0x88, DATA + 8, 0)


@pytest.mark.parametrize(
    ("code", "left", "flags"),
    [("f3 a6", 3, CF), ("f2 a6", 7, ZF), ("f3 48 a7", 7, CF), ("f3 66 a7", 5, CF)],
)
def test_cmps_repeated_stops_by_zf(bench: Bench, code: str, left: int, flags: int) -> None:
    """The first difference is in byte 4; flags are of source minus destination."""
    bench.write(DATA, b"abcdeXgh" + b"abcdfXgh")
    after = bench.run(code, rsi=DATA, rdi=DATA + 8, rcx=8)
    assert (after.rcx, after.status & (CF | ZF)) == (left, flags)
    size = {"f3 48 a7": 8, "f3 66 a7": 2}.get(code, 1)
    assert after.rsi - DATA == after.rdi - DATA - 8 == (8 - left) * size


def test_scas_repeated_finds_end_of_string(bench: Bench) -> None:
    """As strlen did it."""
    bench.write(DATA, b"a string\0")
    after = bench.run("f2 ae", rax=0, rdi=DATA, rcx=ONES)
    assert (ONES - after.rcx, after.rdi, after.status & ZF) == (9, DATA + 9, ZF)
    after = bench.run("f3 ae", rax=ord("a"), rdi=DATA, rcx=5)
    assert (after.rcx, after.status & ZF) == (3, 0)


def test_string_count_zero_touches_nothing(bench: Bench) -> None:
    """Neither memory nor flags."""
    for code in ("f3 a4", "f3 a6", "f3 aa", "f3 ac", "f2 ae"):
        after = bench.run(code, flags=CF, rsi=1 << 40, rdi=1 << 40)
        assert (after.exception, after.status, after.rsi) == (None, CF, 1 << 40)


def test_string_32_bit_addresses_wrap(bench: Bench) -> None:
    """The address-size prefix: registers are cut to 32 bits when they change."""
    bench.write(DATA, b"\x55")
    high = 0x7_0000_0000
    after = bench.run("67 f3 a4", rsi=high + DATA, rdi=high + DATA + 1, rcx=high + 1)
    assert bench.read(DATA + 1, 1) == b"\x55"
    assert (after.rsi, after.rdi, after.rcx) == (DATA + 1, DATA + 2, 0)


def test_string_source_segment_override_counts(bench: Bench) -> None:
    """FS has a base for the source; the destination never has one."""
    bench.reset()
    bench.raw.seg_base[4] = 0x100
    bench.write(DATA, b"\0" * 0x200)
    bench.write(DATA + 0x100, b"\x77")
    after = bench.run("64 a4", rsi=DATA, rdi=DATA + 8, fresh=False)
    assert (after.exception, bench.read(DATA + 8, 1)) == (None, b"\x77")
    bench.raw.seg_base[4] = 0


@pytest.mark.parametrize(("code", "size"), [("f3 a4", 1), ("f3 48 a5", 8), ("f3 66 a5", 2)])
@pytest.mark.parametrize("which", ["source", "target"])
def test_movs_fault_in_the_middle_leaves_exact_registers(
    bench: Bench, code: str, size: int, which: str
) -> None:
    """Everything up to the page that is not there is done."""
    before = 0x1000 + 3 * size
    near, other = FAR - before, 0x10_0123
    source, target = (near, other) if which == "source" else (other, near)
    bench.write(source, b"\x5a" * before)
    bench.write(target, bytes(before))
    without_page(bench, False)
    after = bench.run(code, rsi=source, rdi=target, rcx=10_000)
    without_page(bench, True)
    assert (after.exception, after.cr2, after.rip) == (Vector.PF, FAR, CODE)
    assert after.error == (2 if which == "target" else 0)
    done = before // size
    assert (after.rcx, after.rsi, after.rdi) == (10_000 - done, source + before, target + before)
    assert bench.read(target, before) == b"\x5a" * before


def test_movs_element_across_missing_page_changes_nothing(bench: Bench) -> None:
    """The part in the page that is there stays as it was."""
    bench.write(FAR - 4, b"1234")
    without_page(bench, False)
    after = bench.run("f3 48 ab", rax=ONES, rdi=FAR - 4, rcx=3)
    without_page(bench, True)
    assert (after.exception, after.cr2, after.rcx) == (Vector.PF, FAR, 3)
    assert bench.read(FAR - 4, 4) == b"1234"


def test_movs_long_gives_way_and_goes_on(native: Bench) -> None:
    """A budget that is used up in the middle of the instruction."""
    native.write(0x10_0000, b"\xaa" * 0x20_000)
    native.write(0x18_0000, bytes(0x20_000))
    after = native.run("f3 a4", rsi=0x10_0000, rdi=0x18_0000, rcx=0x20_000, limit=5)
    assert (after.exit, after.rip) == (Exit.BUDGET, CODE)
    assert 0 < after.rcx < 0x20_000
    assert after.rsi - 0x10_0000 == after.rdi - 0x18_0000 == 0x20_000 - after.rcx
    while native.processor.run(7) == Exit.BUDGET:
        pass
    assert native.raw.gr[1] == 0
    assert native.read(0x18_0000, 0x20_000) == b"\xaa" * 0x20_000


def test_stos_over_its_own_code_is_seen(bench: Bench) -> None:
    """REP STOSB writes NOPs over the UD2 behind it."""
    bench.run("48 8d 3d 02 00 00 00 f3 aa 0f 0b f4", rax=0x90, rcx=2)
    after = bench.run("48 8d 3d 02 00 00 00 f3 aa 0f 0b f4", rax=0x90, rcx=2)
    assert (after.exception, after.rip) == (None, CODE + 11)


def test_string_single_steps_stop_after_each_iteration(bench: Bench) -> None:
    """Processor.step executes one iteration."""
    bench.run("f4")
    bench.raw.halted = 0
    bench.write(CODE, bytes.fromhex("f3 a4 f4"))
    raw = bench.raw
    raw.gr[6], raw.gr[7], raw.gr[1], raw.rip = DATA, DATA + 64, 3, CODE
    bench.processor.call("code_written", CODE, 16)
    for left in (2, 1, 0):
        bench.processor.step()
        assert raw.gr[1] == left
        assert raw.rip == (CODE if left else CODE + 2)


def test_string_real_mode_wraps_offsets_and_checks_limits() -> None:
    """16-bit offsets: SI wraps within its 64 KiB, and a word at FFFFh is #GP."""
    bench = Bench("real16")
    bench.write(0xFFFE, b"\x11\x22")
    bench.write(0, b"\x33")
    after = bench.run("f3 a4", rsi=0x5_FFFE, rdi=DATA, rcx=2)
    assert (after.rsi, after.rdi & 0xFFFF) == (0x5_0000, DATA + 2)
    assert bench.read(DATA, 2) == b"\x11\x22"
    after = bench.run("ad", rsi=0xFFFF)
    assert after.exception == Vector.GP


def test_string_protected_mode_checks_destination_rights() -> None:
    """ES as a read-only segment: #GP for STOS, none for SCAS."""
    bench = Bench("protected32")
    for code, vector in (("aa", Vector.GP), ("ae", None)):
        bench.reset()
        bench.raw.seg_attr[0] = 0xC91
        bench.processor.call("update_mode")
        assert bench.run(code, rdi=DATA, fresh=False).exception == vector


def test_string_expand_down_segment_goes_above_its_limit() -> None:
    """Offsets up to the limit are outside."""
    bench = Bench("protected32")
    for at, vector in ((0x10_0FFF, Vector.GP), (0x10_1000, None)):
        bench.reset()
        bench.raw.seg_attr[0], bench.raw.seg_limit[0] = 0xC97, 0x10_0FFF
        bench.processor.call("update_mode")
        after = bench.run("f3 ab", rdi=at, rcx=4, rax=7, fresh=False)
        assert after.exception == vector
        assert after.rdi == (at if vector else at + 16)
