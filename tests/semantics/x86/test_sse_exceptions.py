"""When instructions on vectors are refused, and that nothing has changed then."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.semantics.x86.native import Vectors
from tests.semantics.x86.vector_bench import MEMORY, VectorBench, bench

UD, NM, GP, PF, MF, XF = 6, 7, 13, 14, 16, 19
ADDPS, ADDPD, PADDB, MMX_PADDB = "0f58ca", "660f58ca", "660ffcca", "0ffcca"
ONE, ZERO, DENORMAL, INFINITY = 0x3FF << 52, 0, 1, 0x7FF << 52
SIGNALLING = INFINITY + 1
UNMAPPED = 1 << 46


@contextmanager
def control(machine: VectorBench, **registers: int) -> Iterator[None]:
    """Control registers with other values for a while."""
    raw = machine.processor.raw
    before = {name: getattr(raw, name) for name in registers}
    for name, value in registers.items():
        setattr(raw, name, value)
    machine.processor.call("update_mode")
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(raw, name, value)
        machine.processor.call("update_mode")


@pytest.mark.parametrize(
    ("text", "cr0", "cr4", "vector"),
    [
        (PADDB, 0x8001_0035, 0x620, UD),
        (PADDB, 0x8001_0039, 0x620, NM),
        (PADDB, 0x8001_0031, 0x420, UD),
        (MMX_PADDB, 0x8001_0035, 0x620, UD),
        (MMX_PADDB, 0x8001_0039, 0x620, NM),
        ("0fae07", 0x8001_0035, 0x620, NM),
        ("0fae07", 0x8001_0039, 0x620, NM),
        ("0fae27", 0x8001_0031, 0x620, UD),
        ("0fae27", 0x8001_0039, 0x4_0620, NM),
        ("0fae17", 0x8001_0039, 0x620, NM),
    ],
    ids=[
        "sse EM", "sse TS", "sse OSFXSR", "mmx EM", "mmx TS", "fxsave EM", "fxsave TS",
        "xsave OSXSAVE", "xsave TS", "ldmxcsr TS",
    ],
)  # fmt: skip
def test_vector_instruction_disabled_exception(text, cr0, cr4, vector):
    machine = bench("native")
    with control(machine, cr0=cr0, cr4=cr4):
        assert machine.run(bytes.fromhex(text), Vectors()) is None
    assert machine.vector == vector


def test_mmx_instruction_without_osfxsr_executes():
    machine = bench("native")
    with control(machine, cr4=0x20):
        assert machine.run(bytes.fromhex(MMX_PADDB), Vectors()) is not None


def test_mmx_instruction_pending_x87_exception_mf():
    machine = bench("native")
    state = Vectors(status=0x8081, control=0x37E, mmx=[7] * 8)
    assert machine.run(bytes.fromhex(MMX_PADDB), state) is None
    assert machine.vector == MF
    assert machine.processor.raw.st[1] == 7
    assert machine.processor.raw.x87_tags == 0


@pytest.mark.parametrize(("status", "vector"), [(0x8081, MF), (0, None)])
@pytest.mark.parametrize(("address", "fault"), [(UNMAPPED, PF), (MEMORY + 4, GP)])
@pytest.mark.parametrize("text", ["660f2c08", "660f2d08", "0f2c08", "0f2d08"])
def test_conversion_to_mmx_pending_x87_exception_comes_before_memory(
    text, address, fault, status, vector
):
    machine = bench("native")
    state = Vectors(general={0: address}, status=status, control=0x37E)
    done = machine.run(bytes.fromhex(text), state)
    if vector is None and fault == GP and not text.startswith("66"):
        assert done is not None  # 8 bytes need no alignment
    else:
        assert done is None and machine.vector == (vector or fault)


@pytest.mark.parametrize(
    ("text", "a", "b", "mask", "flags"),
    [
        ("f20f58ca", SIGNALLING, ONE, 0x1F00, 0x01),
        ("f20f5eca", ONE, ZERO, 0x1D80, 0x04),
        ("f20f58ca", ONE, DENORMAL, 0x1E80, 0x02),
        ("f20f58ca", ONE, ONE - 1, 0x0F80, 0x20),
        ("f20f59ca", INFINITY - 1, INFINITY - 1, 0x1B80, 0x28),
        ("f20f59ca", 1 << 52, 1 << 52, 0x1780, 0x10),
        ("f20f59ca", (1 << 52) + 1, (1 << 52) + 1, 0x1780, 0x30),
        ("660f58ca", SIGNALLING, ONE, 0x1F00, 0x03),
        ("660f2fca", SIGNALLING, ONE, 0x1F00, 0x01),
        ("f2480f2dca", ZERO, SIGNALLING, 0x1F00, 0x01),
    ],
    ids=[
        "invalid", "zero divide", "denormal", "precision", "overflow",
            "underflow", "inexact underflow", "packed",
        "comparison", "conversion",
    ],
)  # fmt: skip
@pytest.mark.parametrize("engine", ["native", "python"])
def test_float_instruction_unmasked_exception_xf(engine, text, a, b, mask, flags):
    machine = bench(engine)
    state = Vectors(general={1: 5}, mxcsr=mask, flags=0x44)
    state.xmm[1], state.xmm[2] = a | 9 << 64, b | ONE << 64
    assert machine.run(bytes.fromhex(text), state) is None
    raw = machine.processor.raw
    assert (machine.vector, raw.mxcsr) == (XF, mask | flags)
    assert raw.xmm[4] | raw.xmm[5] << 64 == state.xmm[1]
    assert raw.gr[1] == 5


def test_float_instruction_unmasked_without_osxmmexcpt_ud():
    machine = bench("native")
    state = Vectors(mxcsr=0x1F00)
    state.xmm[1] = SIGNALLING
    with control(machine, cr4=0x220):
        assert machine.run(bytes.fromhex("f20f58ca"), state) is None
    assert machine.vector == UD


@pytest.mark.parametrize("text", ["0f284f01", "0f294f08", "0f584f04", "660f6f4f01", "660fef4f08"])
def test_aligned_operand_at_odd_address_gp(text):
    machine = bench("native")
    state = Vectors(memory=bytes(range(64)))
    assert machine.run(bytes.fromhex(text), state) is None
    assert machine.vector == GP
    assert machine.storage.read(MEMORY, 64) == state.memory


@pytest.mark.parametrize("text", ["0f104f03", "f30f6f4f0d", "f20ff04f01", "660f3a634f050c"])
def test_unaligned_operand_executes(text):
    assert bench("native").run(bytes.fromhex(text), Vectors()) is not None


def test_store_across_pages_second_not_writable_changes_nothing():
    machine = bench("native")
    storage, raw = machine.storage, machine.processor.raw
    # The region from 2 MiB gets a page table: page 0 is writable, page 1 is not.
    table = 0x14000
    storage.write(table, struct.pack("<QQ", 0x20_0007, 0x20_1005))
    storage.write(0x12008, struct.pack("<Q", table | 7))
    machine.processor.call("purge_all")
    storage.write(0x20_0FF0, b"A" * 32)
    state = Vectors(general={1: 0x20_0FF8})
    state.xmm[1] = (1 << 128) - 1
    assert machine.run(bytes.fromhex("0f1109"), state) is None
    assert (machine.vector, raw.cr2) == (PF, 0x20_1000)
    assert storage.read(0x20_0FF0, 32) == b"A" * 32
    assert machine.run(bytes.fromhex("0f1009"), state) is not None
    assert raw.xmm[4] == int.from_bytes(b"A" * 8, "little")
    storage.write(table, struct.pack("<QQ", 0x20_0007, 0x20_1007))
    machine.processor.call("purge_all")
    assert machine.run(bytes.fromhex("0f1109"), state) is not None
    assert storage.read(0x20_0FF0, 32) == b"A" * 8 + b"\xff" * 16 + b"A" * 8


def test_masked_store_address_prefix_and_selected_bytes():
    machine = bench("native")
    state = Vectors(memory=bytes(range(64)))
    state.xmm[1] = int.from_bytes(bytes(range(0x40, 0x50)), "little")
    state.xmm[2] = 0x80 | 0x80 << 120
    raw = machine.processor.raw
    after = machine.run(bytes.fromhex("67660ff7ca"), state)
    assert after is not None
    assert raw.gr[7] == MEMORY
    assert after.memory[:16] == b"\x40" + bytes(range(1, 15)) + b"\x4f"
