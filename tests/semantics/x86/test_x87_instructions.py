"""Exceptions, pointers and environments of the x87 unit, in all modes."""

import struct
from functools import cache

import pytest

from tests.semantics.x86.bench import CODE, DATA, Bench, Result
from worldswitch.arch.x86.exceptions import Vector

ZERO_DIVIDE = "d9e8 d9ee def9"
"""fld1; fldz; fdivp: -1 / 0 and such."""
UNMASKED = 0x340
CR0_MP, CR0_EM, CR0_TS, CR0_NE = 2, 4, 8, 0x20
ES_B = 0x8080
WAITING = {
    "fld1": "d9e8", "fwait": "9b", "fadd": "d8c1", "fldcw": "d92b", "fxam": "d9e5", "fst": "dd13",
    "fldenv": "d923", "frstor": "dd23", "fnop": "d9d0", "ffree": "ddc0", "fcomi": "dbf1",
    "fincstp": "d9f7", "fsin": "d9fe", "fild": "db03", "fistp": "df3b", "fxch": "d9c9",
}  # fmt: skip
NOT_WAITING = {
    "fnstsw": "dfe0", "fnstsw m": "dd3b", "fnstcw": "d93b", "fnclex": "dbe2", "fninit": "dbe3",
    "fnstenv": "d933", "fnsave": "dd33", "fneni": "dbe0",
}  # fmt: skip


@cache
def machine(mode: str, engine: str = "native") -> Bench:
    return Bench(mode, engine=engine)


def run(code: str, mode: str = "long64", control: int = 0x37F, cr0: int = 0) -> Result:
    """Run code with RBX pointing to DATA, and CR0 bits flipped."""
    bench = machine(mode)
    bench.reset()
    raw = bench.raw
    raw.x87_control, raw.cr0 = control, raw.cr0 ^ cr0
    for name in ("x87_ip", "x87_dp", "x87_opcode", "x87_cs", "x87_ds"):
        setattr(raw, name, 0)
    bench.processor.call("update_mode")
    return bench.run(code, rbx=DATA, rdi=DATA, fresh=False)


@pytest.mark.parametrize("name", WAITING)
def test_waiting_instruction_with_pending_exception_raises_mf(name: str) -> None:
    result = run(f"{ZERO_DIVIDE} {WAITING[name]}", control=UNMASKED)
    assert result.exception == Vector.MF
    assert result.rip == CODE + 6
    assert machine("long64").raw.x87_status & (ES_B | 4) == ES_B | 4


@pytest.mark.parametrize("name", NOT_WAITING)
def test_instruction_that_does_not_wait_with_pending_exception_completes(name: str) -> None:
    assert run(f"{ZERO_DIVIDE} {NOT_WAITING[name]}", control=UNMASKED).exception is None


def test_masked_exception_leaves_infinity_and_no_summary() -> None:
    assert run(f"{ZERO_DIVIDE} 9b").exception is None
    raw = machine("long64").raw
    assert raw.x87_status & 0xFF == 4
    assert (raw.st_exponent[7], raw.st[7]) == (0x7FFF, 1 << 63)


def test_unmasked_division_by_zero_keeps_operands_and_stack() -> None:
    run(ZERO_DIVIDE, control=UNMASKED)
    raw = machine("long64").raw
    assert raw.x87_status >> 11 & 7 == 6
    assert (raw.st_exponent[7], raw.st[7], raw.st[6]) == (0x3FFF, 1 << 63, 0)


def test_fldcw_that_unmasks_a_flag_makes_it_pending() -> None:
    machine("long64").put(DATA, UNMASKED, 2)
    result = run(f"{ZERO_DIVIDE} d92b 9b")
    assert result.exception == Vector.MF and result.rip == CODE + 8


def test_fldcw_that_masks_the_flag_takes_the_exception_back() -> None:
    machine("long64").put(DATA, 0x37F, 2)
    assert run(f"{ZERO_DIVIDE} dbe2 d92b d9e8", control=UNMASKED).exception is None


@pytest.mark.parametrize("flip", [CR0_TS, CR0_EM], ids=["TS", "EM"])
@pytest.mark.parametrize("code", ["d9e8", "dfe0", "dbe3", "d93b", "dd33", "db03"])
def test_x87_instruction_with_ts_or_em_raises_nm(code: str, flip: int) -> None:
    assert run(code, cr0=flip).exception == Vector.NM


def test_fwait_with_em_or_ts_alone_completes() -> None:
    assert run("9b", cr0=CR0_EM).exception is None
    assert run("9b", cr0=CR0_TS | CR0_MP).exception is None
    assert run("9b", cr0=CR0_TS).exception == Vector.NM


@pytest.mark.parametrize("code", ["d9d1", "d9e2", "d9e6", "d9ef", "dae8", "daea", "dbe5", "dbf8",
                                  "ddf0", "ddf8", "ded8", "deda", "dfe1", "dff8", "d90b", "db23",
                                  "db33", "dd2b"])  # fmt: skip
def test_undefined_encoding_raises_ud(code: str) -> None:
    assert run(code).exception == Vector.UD


def test_pointers_after_memory_operand_in_64_bit_mode_are_its_address_and_rip() -> None:
    run("90 dc4308")
    raw = machine("long64").raw
    assert (raw.x87_ip, raw.x87_dp, raw.x87_opcode) == (CODE + 1, DATA + 8, 0x443)


def test_pointers_after_register_form_keep_the_operand() -> None:
    run("dc4308 d8c1")
    raw = machine("long64").raw
    assert (raw.x87_ip, raw.x87_dp, raw.x87_opcode) == (CODE + 3, DATA + 8, 0x0C1)


def test_pointers_after_control_instructions_stay() -> None:
    run("d9e8 dfe0 d93b d92b d933 9b")
    raw = machine("long64").raw
    assert (raw.x87_ip, raw.x87_opcode) == (CODE, 0x1E8)


def test_pointers_of_a_segment_with_a_base_are_its_offset_and_selector() -> None:
    bench = machine("protected32")
    bench.reset()
    bench.raw.seg_base[0] = 0x1000
    bench.processor.call("update_mode")
    bench.put(DATA + 4, 0x4049_0FDB, 4)
    bench.run("26 d983 04f0ffff", rbx=DATA, fresh=False)
    raw = bench.raw
    assert (raw.x87_dp, raw.x87_ds, raw.x87_cs) == (DATA - 0xFFC, 16, 48)
    assert raw.st[7] == 0xC90F_DB00_0000_0000 and raw.x87_opcode == 0x183


def test_environment_in_32_bit_protected_mode_has_selectors_and_opcode() -> None:
    run("d903 d933", "protected32")
    words = struct.unpack("<7I", machine("protected32").read(DATA, 28))
    assert words == (
        0xFFFF_037F, 0xFFFF_3800, 0xFFFF_7FFF, CODE, 0x0103_0030, DATA, 0xFFFF_0010,
    )  # fmt: skip


def test_environment_in_16_bit_protected_layout_has_no_opcode() -> None:
    machine("protected32").write(DATA, bytes(4))
    run("d903 66d933", "protected32")
    words = struct.unpack("<7H", machine("protected32").read(DATA, 14))
    assert words == (0x37F, 0x3800, 0x7FFF, CODE, 0x30, DATA, 0x10)


@pytest.mark.parametrize("wide", [False, True], ids=["16 bits", "32 bits"])
def test_environment_in_real_mode_has_linear_addresses_and_opcode(wide: bool) -> None:
    bench = machine("real16")
    bench.write(0x14020, bytes(4))
    bench.reset()
    raw = bench.raw
    for name in ("x87_ip", "x87_dp", "x87_opcode", "x87_cs", "x87_ds"):
        setattr(raw, name, 0)
    raw.seg_selector[3], raw.seg_base[3] = 0x1400, 0x14000
    raw.seg_limit[3] = 0xFFFF
    bench.processor.call("update_mode")
    bench.run("d907" + ("66" if wide else "") + "d9b70001", rbx=0x20, fresh=False)
    linear = 0x14020
    at = 0x14000 + 0x120
    if wide:
        assert struct.unpack("<7I", bench.read(at, 28)) == (
            0xFFFF_037F, 0xFFFF_3800, 0xFFFF_7FFF, 0xFFFF_0000 | CODE, 0x107,
            0xFFFF_0000 | linear & 0xFFFF, 0x1000,
        )  # fmt: skip
    else:
        assert struct.unpack("<7H", bench.read(at, 14)) == (
            0x37F, 0x3800, 0x7FFF, CODE, 0x107, linear & 0xFFFF, 0x1000,
        )  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "66"], ids=["default", "other size"])
@pytest.mark.parametrize("mode", ["long64", "protected32", "real16"])
def test_fnsave_and_frstor_bring_the_state_back(mode: str, prefix: str) -> None:
    bench = machine(mode)
    run(f"d9eb d9e8 d9ee {prefix}dd37 {prefix}dd27", mode)
    raw = bench.raw
    assert raw.x87_status >> 11 & 7 == 5 and raw.x87_tags == 0xE0 and raw.x87_control == 0x37F
    assert raw.st[7] == 0xC90F_DAA2_2168_C235 and raw.st_exponent[7] == 0x4000
    assert raw.x87_opcode == (0x1EE if mode == "real16" or (prefix == "") else 0)


def test_fnstenv_masks_all_exceptions() -> None:
    run(f"{ZERO_DIVIDE} d933 9b", control=UNMASKED)
    raw = machine("long64").raw
    assert raw.x87_control == 0x37F and raw.x87_status & ES_B == 0
    assert machine("long64").get(DATA, 2) == UNMASKED
    assert machine("long64").get(DATA + 4, 2) & ES_B == ES_B


def test_fnsave_beyond_the_limit_raises_gp_and_changes_nothing() -> None:
    bench = machine("protected32")
    bench.reset()
    raw = bench.raw
    raw.x87_control, raw.x87_tags = 0x27F, 0x80
    raw.seg_limit[0] = DATA + 106
    bench.processor.call("update_mode")
    bench.write(DATA, b"\xaa" * 108)
    assert bench.run("26 dd33", rbx=DATA, fresh=False).exception == Vector.GP
    assert bench.read(DATA, 108) == b"\xaa" * 108
    assert (raw.x87_control, raw.x87_tags) == (0x27F, 0x80)


def test_fstp_extended_across_a_page_that_faults_writes_nothing() -> None:
    bench = machine("long64")
    bench.reset()
    result = bench.run("d9e8 db3b", rbx=0x4000_0000 - 6)
    assert result.exception == Vector.PF
    assert bench.raw.x87_tags == 0x80


@pytest.mark.parametrize("engine", ["native", "python"])
def test_program_of_x87_instructions_computes_the_same_in_both_engines(engine: str) -> None:
    bench = machine("long64", engine)
    bench.put(DATA, 2, 4)
    # fild 2; fsqrt; fstp m64; fldpi; fsin; fistp; fld1; fldl2e; fscale; fstp m32
    code = "db03 d9fa dd5b08 d9eb d9fb d9c9 df7b10 d95b18 d9e8 d9ea d9fd d95b1c dfe0"
    result = bench.run(code, rbx=DATA)
    assert result.exception is None
    assert struct.unpack("<d", bench.read(DATA + 8, 8))[0] == 2**0.5
    assert bench.get(DATA + 16, 8) == 0
    assert struct.unpack("<ff", bench.read(DATA + 24, 8)) == (-1.0, 2.885390043258667)
