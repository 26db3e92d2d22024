"""Instructions on vectors outside of 64-bit mode: segments, limits, sizes, half the registers."""

import pytest

from tests.semantics.x86.bench import DATA, DF, Bench
from worldswitch.arch.x86.exceptions import Vector

PATTERN = bytes(range(64))
VALUE = int.from_bytes(PATTERN[:16], "little")
DS, SS = 3, 2


@pytest.fixture(scope="module")
def protected() -> Bench:
    return Bench("protected32")


@pytest.fixture(scope="module")
def real() -> Bench:
    return Bench("real16")


def test_load_in_32_bit_segment_with_base(protected):
    protected.write(DATA, PATTERN)
    protected.reset()
    protected.raw.seg_base[DS] = 0x1000
    protected.processor.call("update_mode")
    result = protected.run("0f100b", fresh=False, rbx=DATA - 0x1000)
    assert (result.exception, result.xmm[1]) == (None, VALUE)


@pytest.mark.parametrize(
    ("code", "vector", "last"),
    [
        ("0f1003", Vector.GP, 15),
        ("660fefc3", None, 0),
        ("660fef03", Vector.GP, 15),
        ("f30f7e03", Vector.GP, 7),
        ("0fae03", Vector.GP, 511),
        ("0fae0b", Vector.GP, 511),
        ("0f6f03", Vector.GP, 7),
    ],
    ids=["movups", "register", "pxor", "movq", "fxsave", "fxrstor", "mmx"],
)
def test_operand_beyond_segment_limit_gp(protected, code, vector, last):
    protected.write(DATA, bytes(512))
    for limit, expected in ((DATA + last, None), (DATA + last - 1, vector)):
        protected.reset()
        protected.raw.seg_limit[DS] = limit
        protected.processor.call("update_mode")
        assert protected.run(code, fresh=False, rbx=DATA).exception == expected


def test_operand_beyond_stack_segment_limit_ss(protected):
    protected.reset()
    protected.raw.seg_limit[SS] = 0x8FFF
    protected.processor.call("update_mode")
    result = protected.run("0f104500", fresh=False, rbp=0x8FF8)
    assert (result.exception, result.error) == (Vector.SS, 0)


def test_store_into_segment_that_is_not_writable_gp(protected):
    protected.write(DATA, PATTERN)
    protected.reset()
    protected.raw.seg_attr[DS] = 0xC91
    protected.processor.call("update_mode")
    result = protected.run("0f1103", fresh=False, rbx=DATA)
    assert result.exception == Vector.GP
    assert protected.read(DATA, 64) == PATTERN


def test_fxsave_32_bit_saves_eight_registers(protected):
    protected.write(DATA, b"\xaa" * 512)
    xmm = {n: n + 1 << 100 | 5 for n in range(16)}
    assert protected.run("0fae03", rbx=DATA, xmm=xmm).exception is None
    image = protected.read(DATA, 512)
    for n in range(8):
        assert int.from_bytes(image[160 + 16 * n : 176 + 16 * n], "little") == xmm[n]
    assert image[288:] == b"\xaa" * 224


def test_fxrstor_32_bit_loads_eight_registers(protected):
    image = bytearray(512)
    image[24:26] = b"\x80\x1f"
    image[160:416] = bytes(range(256))
    protected.write(DATA, bytes(image))
    xmm = dict.fromkeys(range(16), 7)
    result = protected.run("0fae0b", rbx=DATA, xmm=xmm)
    assert result.xmm[7] == int.from_bytes(bytes(range(112, 128)), "little")
    assert result.xmm[8] == 7


def test_movd_16_bit_code_moves_32_bits(real):
    result = real.run("660f6ec8 660f7eca", rax=0x1234_5678)
    assert result.xmm[1] == 0x1234_5678
    assert result.rdx == 0x1234_5678


def test_load_16_bit_addressing(real):
    real.write(DATA, PATTERN)
    result = real.run("0f1040 04", rbx=DATA - 8, rsi=4)
    assert result.xmm[0] == VALUE


def test_maskmovdqu_16_bit_stores_at_ds_di(real):
    real.write(DATA, bytes(32))
    value, mask = int.from_bytes(b"x" * 16, "little"), 0x80 << 8 | 0x80 << 120
    result = real.run("660ff7ca", rdi=0xABCD_0000 | DATA, xmm={1: value, 2: mask}, flags=DF)
    assert result.exception is None
    assert real.read(DATA, 32) == b"\0x" + bytes(13) + b"x" + bytes(16)
