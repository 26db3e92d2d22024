"""Bit tests, bit scans, counts, CRC32, and the instructions of BMI1 and BMI2."""

import pytest

from tests.semantics.x86.bench import CF, CODE, DATA, OF, PF, SF, STATUS, ZF, Bench
from worldswitch.arch.x86.exceptions import Vector

ONES = 2**64 - 1
BIT_OPS = {"bt": (4, 0xA3), "bts": (5, 0xAB), "btr": (6, 0xB3), "btc": (7, 0xBB)}


@pytest.fixture(scope="module", params=["native", "python"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """64-bit mode."""
    return Bench("long64", engine=request.param)


def changed(name: str, value: int, bit: int) -> int:
    """What BT, BTS, BTR or BTC makes of a value."""
    mask = 1 << bit
    return {"bt": value, "bts": value | mask, "btr": value & ~mask, "btc": value ^ mask}[name]


@pytest.mark.parametrize("name", BIT_OPS)
def test_bit_test_register_takes_number_modulo_width(bench: Bench, name: str) -> None:
    """By an immediate and by a register; CF alone changes."""
    digit, opcode = BIT_OPS[name]
    for prefix, width in (("66", 16), ("", 32), ("48", 64)):
        for value in (0, 2**width - 1):
            modrm = 0xC0 | digit << 3
            after = bench.run(f"{prefix} 0f ba {modrm:02x} 45", flags=ZF | OF, rax=value)
            assert after.rax == changed(name, value, 0x45 % width)
            assert after.status == ZF | OF | (value & 1)
            after = bench.run(f"{prefix} 0f {opcode:02x} c8", rax=value, rcx=0x1_0000_0003)
            assert (after.rax, after.status) == (changed(name, value, 3), value & 1)


@pytest.mark.parametrize("name", BIT_OPS)
@pytest.mark.parametrize(
    ("prefix", "number", "place", "bit"),
    [
        ("48", ONES, -8, 63),
        ("48", 64 * 600 + 5, 4800, 5),
        ("", 0xFFFF_FFDF, -8, 31),
        ("", 0x1_0000_0021, 4, 1),
        ("66", 0xFFEF, -4, 15),
        ("66", 0x1_0011, 2, 1),
    ],
)
def test_bit_test_memory_reaches_whole_string(
    bench: Bench, name: str, prefix: str, number: int, place: int, bit: int
) -> None:
    """A signed number of a bit, as wide as the operand, counted from the operand's address."""
    _digit, opcode = BIT_OPS[name]
    base = DATA + 0x800
    size = {"66": 2, "": 4, "48": 8}[prefix]
    for value in (0, 2 ** (8 * size) - 1):
        bench.put(base + place, value, size)
        after = bench.run(f"{prefix} 0f {opcode:02x} 0f", rcx=number, rdi=base)
        assert bench.get(base + place, size) == changed(name, value, bit)
        assert after.status & CF == value & 1


def test_bit_test_locked_load_is_undefined(bench: Bench) -> None:
    """LOCK is for BTS, BTR, BTC with memory."""
    assert bench.run("f0 0f a3 0f", rdi=DATA).exception == Vector.UD
    assert bench.run("f0 0f ab c8").exception == Vector.UD
    assert bench.run("f0 0f ba 2f 01", rdi=DATA).exception is None


@pytest.mark.parametrize(
    ("code", "rcx", "rax", "zero"),
    [
        ("48 0f bc c1", 1 << 40, 40, 0),
        ("0f bc c1", 0x8000_0000, 31, 0),
        ("66 0f bd c1", 0xF_4000, 0x7777_7777_7777_000E, 0),
        ("48 0f bd c1", ONES, 63, 0),
        ("0f bc c1", 1 << 32, 0x7777_7777_7777_7777, ZF),
        ("48 0f bd c1", 0, 0x7777_7777_7777_7777, ZF),
    ],
)
def test_bit_scan_of_zero_leaves_register(
    bench: Bench, code: str, rcx: int, rax: int, zero: int
) -> None:
    """BSF and BSR; not even the upper half changes."""
    after = bench.run(code, rax=0x7777_7777_7777_7777, rcx=rcx)
    assert (after.rax, after.status & ZF) == (rax, zero)


@pytest.mark.parametrize(
    ("code", "rcx", "rax", "flags"),
    [
        ("f3 48 0f bc c1", 0, 64, CF),
        ("f3 0f bc c1", 1, 0, ZF),
        ("66 f3 0f bc c1", 0, 16, CF),
        ("f3 48 0f bd c1", 0, 64, CF),
        ("f3 0f bd c1", 0x8000_0000, 0, ZF),
        ("66 f3 0f bd c1", 1, 15, 0),
    ],
)
def test_count_zeros_of_zero_gives_width(
    bench: Bench, code: str, rcx: int, rax: int, flags: int
) -> None:
    """TZCNT and LZCNT."""
    after = bench.run(code, rcx=rcx)
    assert (after.rax, after.status & (CF | ZF)) == (rax, flags)


def test_count_zeros_without_feature_is_a_scan() -> None:
    """The prefix is ignored by a processor that does not have them."""
    assert Bench("long64", model="x86-64-v2").run("f3 0f bc c1", rax=9, rcx=0).rax == 9


def test_population_count_clears_flags(bench: Bench) -> None:
    """ZF for none, everything else zero."""
    after = bench.run("f3 48 0f b8 c1", flags=STATUS, rcx=ONES)
    assert (after.rax, after.status) == (64, 0)
    after = bench.run("f3 0f b8 c1", flags=STATUS, rcx=1 << 32)
    assert (after.rax, after.status) == (0, ZF)


def test_crc32_of_digits_is_the_known_one(bench: Bench) -> None:
    """The check value of CRC-32C over "123456789", in all widths."""
    bench.write(DATA, b"123456789")
    code = "48 0f 38 f1 07"  # CRC32 RAX, qword [RDI]; F2 in front
    after = bench.run("f2" + code + "f2 0f 38 f0 47 08", rax=0xFFFF_FFFF, rdi=DATA)
    assert after.rax ^ 0xFFFF_FFFF == 0xE306_9283
    after = bench.run(
        "66 f2 0f 38 f1 07 66 f2 0f 38 f1 47 02 f2 0f 38 f1 47 04 f2 48 0f 38 f0 47 08",
        rax=0xFFFF_FFFF_FFFF_FFFF, rdi=DATA,
    )  # fmt: skip
    assert after.rax ^ 0xFFFF_FFFF == 0xE306_9283


@pytest.mark.parametrize(
    ("code", "rcx", "rdx", "rax", "flags"),
    [
        # Intel's syntax: ANDN RAX, RDX, RCX and so on; W is VEX.W.
        ("c4 e2 e8 f2 c1", 0xFF, 0xF0, 0x0F, 0),
        ("c4 e2 68 f2 c1", ONES, 0, 0xFFFF_FFFF, SF),
        ("c4 e2 e8 f7 c1", 0xABCD_EF01, 0x0808, 0xEF, 0),
        ("c4 e2 e8 f7 c1", ONES, 0xFF40, 0, ZF),
        ("c4 e2 e8 f7 c1", 1 << 63, 0x403F, 1, 0),
        ("c4 e2 f8 f3 d9", 0x50, 0, 0x10, CF),
        ("c4 e2 f8 f3 d9", 0, 0, 0, ZF),
        ("c4 e2 f8 f3 d1", 0x50, 0, 0x1F, 0),
        ("c4 e2 f8 f3 d1", 0, 0, ONES, CF | SF),
        ("c4 e2 f8 f3 c9", 0x50, 0, 0x40, 0),
        ("c4 e2 78 f3 c9", 0, 0, 0, CF | ZF),
        ("c4 e2 e8 f5 c1", ONES, 8, 0xFF, 0),
        ("c4 e2 e8 f5 c1", ONES, 64, ONES, CF | SF),
    ],
)
def test_bmi_sets_defined_flags(
    bench: Bench, code: str, rcx: int, rdx: int, rax: int, flags: int
) -> None:
    """ANDN, BEXTR, BLSI, BLSMSK, BLSR, BZHI with RCX as rm; the one of /digit writes RAX."""
    after = bench.run(code, flags=STATUS, rcx=rcx, rdx=rdx)
    mask = CF | OF | ZF if " f7 " in code else CF | OF | ZF | SF
    assert (after.rax, after.status & mask) == (rax, flags)


@pytest.mark.parametrize(
    ("code", "rcx", "rdx", "rax"),
    [
        ("c4 e2 eb f5 c1", 0xF0F0, 0xAB, 0xA0B0),
        ("c4 e2 ea f5 c1", 0xF0F0, 0xA5B6, 0xAB),
        ("c4 e3 fb f0 c1 04", 0x12, 0, 0x2000_0000_0000_0001),
        ("c4 e3 7b f0 c1 24", 0x12, 0, 0x2000_0001),
        ("c4 e2 ea f7 c1", 1 << 63, 0x7F, ONES),
        ("c4 e2 6a f7 c1", 0x8000_0000, 4, 0xF800_0000),
        ("c4 e2 e9 f7 c1", 1, 0x44, 0x10),
        ("c4 e2 eb f7 c1", 1 << 63, 63, 1),
    ],
)
def test_bmi2_changes_no_flag(bench: Bench, code: str, rcx: int, rdx: int, rax: int) -> None:
    """PDEP, PEXT, RORX, SARX, SHLX, SHRX."""
    for flags in (0, STATUS):
        after = bench.run(code, flags=flags, rcx=rcx, rdx=rdx)
        assert (after.rax, after.status) == (rax, flags)


@pytest.mark.parametrize(
    ("code", "flags", "result", "after"),
    [
        ("66 48 0f 38 f6 c1", STATUS, 0, STATUS),
        ("66 48 0f 38 f6 c1", OF, ONES, OF),
        ("f3 48 0f 38 f6 c1", STATUS & ~CF, 0, STATUS & ~CF),
        ("f3 48 0f 38 f6 c1", CF, ONES, CF),
        ("66 0f 38 f6 c1", CF, 0, CF),
    ],
)
def test_adx_changes_its_carry_alone(
    bench: Bench, code: str, flags: int, result: int, after: int
) -> None:
    """ADCX with CF, ADOX with OF: all ones and zero, and the carry that was there."""
    found = bench.run(code, flags=flags, rax=ONES, rcx=0)
    assert (found.rax, found.status) == (result, after)


def test_adx_carry_out_is_set(bench: Bench) -> None:
    """All ones twice."""
    assert bench.run("66 48 0f 38 f6 c1", rax=ONES, rcx=ONES).status == CF
    assert bench.run("f3 0f 38 f6 c1", rax=ONES, rcx=ONES).status == OF


def test_mulx_same_destinations_keeps_upper_half(bench: Bench) -> None:
    """MULX RAX, RBX, RCX, and with RAX for both."""
    after = bench.run("c4 e2 e3 f6 c1", rdx=ONES, rcx=ONES)
    assert (after.rax, after.rbx) == (ONES - 1, 1)
    assert bench.run("c4 e2 fb f6 c1", rdx=ONES, rcx=ONES).rax == ONES - 1


@pytest.mark.parametrize(
    "code",
    ["c4 e2 ec f2 c1", "c4 e3 eb f0 c1 04", "66 c4 e2 e8 f2 c1", "f0 c4 e2 e8 f2 c1"],
)
def test_bmi_malformed_prefix_is_undefined(bench: Bench, code: str) -> None:
    """VEX.L of one, a register in VEX.vvvv for RORX, prefixes before VEX."""
    after = bench.run(code)
    assert (after.exception, after.rip) == (Vector.UD, CODE)


def test_parity_after_scan_is_deterministic(bench: Bench) -> None:
    """Undefined, but the same in every run."""
    flags = {bench.run("0f bc c1", rcx=0x30).status & (PF | SF) for _ in range(3)}
    assert len(flags) == 1
