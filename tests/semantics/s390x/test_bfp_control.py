"""The FPC register, register checks of extended operands, and the AFP-register control."""

import struct

import pytest

from tests.semantics.bench import PSW_64
from tests.semantics.s390x import bfp_runner
from tests.semantics.s390x.bfp_runner import CODE, Case, Left
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.metal.s390x.assembler import assemble
from worldswitch.metal.s390x.leave import Exit

ONE = 0x3FF0 << 112
SPECIFICATION = int(ProgramCode.SPECIFICATION)
DATA = int(ProgramCode.DATA)


@pytest.fixture(params=["python", "native"])
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


def run(engine: str, instruction: str, case: Case) -> Left:
    """What one instruction leaves."""
    return getattr(bfp_runner, engine)(instruction, [case])[0]


@pytest.mark.parametrize("value", [0, 0xF8F8_0003, 0x0000_0007, 0x0404_0070])
def test_sfpc_of_a_valid_value_replaces_the_register(engine: str, value: int) -> None:
    left = run(engine, "sfpc %r6", Case(1, integer=0xABCD << 32 | value))
    assert (left.code, left.fpc) == (0, value)


@pytest.mark.parametrize("value", [4, 5, 6, 8, 0x80, 0x0001_0000, 0x0100_0000, 0x0200_0000])
def test_sfpc_of_reserved_bits_or_modes_is_a_specification_exception(
    engine: str, value: int
) -> None:
    left = run(engine, "sfpc %r6", Case(1, integer=value))
    assert (left.code, left.fpc) == (SPECIFICATION, 1)


def test_lfpc_reads_storage(engine: str) -> None:
    case = Case(0, b=0xF800_0002 << 96)
    assert run(engine, "lfpc 24(%r2)", case).fpc == 0xF800_0002


def test_efpc_gives_the_register_and_keeps_the_left_half(engine: str) -> None:
    left = run(engine, "efpc %r6", Case(0x0808_0003, integer=(1 << 64) - 1))
    assert left.integer == 0xFFFF_FFFF_0808_0003


@pytest.mark.parametrize(
    ("old", "new", "dxc"),
    [
        (0x0080_0000, 0x8000_0000, 0x83),
        (0x0040_0000, 0x4000_0000, 0x43),
        (0x0020_0000, 0x2000_0000, 0x23),
        (0x0028_0000, 0x2000_0000, 0x2B),
        (0x0010_0000, 0x1000_0000, 0x13),
        (0x0018_0000, 0x1000_0000, 0x1B),
        (0x0008_0000, 0x0800_0000, 0x0B),
        (0x00F8_0000, 0xF800_0000, 0x83),
        (0x0078_0000, 0x8000_0000, 0),
        (0x0000_0000, 0x8080_0000, 0),
    ],
)
def test_sfasr_signals_flags_that_the_new_masks_enable(
    engine: str, old: int, new: int, dxc: int
) -> None:
    left = run(engine, "sfasr %r6", Case(old, integer=new))
    assert (left.code, left.dxc, left.fpc) == (DATA if dxc else 0, dxc, old | new)


def test_lfas_signals_from_storage(engine: str) -> None:
    left = run(engine, "lfas 24(%r2)", Case(0x0008_0000, b=0x0800_0001 << 96))
    assert (left.code, left.dxc, left.fpc) == (DATA, 0x0B, 0x0808_0001)


@pytest.mark.parametrize(
    ("instruction", "address", "fpc", "code"),
    [
        ("srnm 0(%r6)", 0xFE, 0xF8F8_0072, 0),
        ("srnmb 0(%r6)", 0x1003, 0xF8F8_0073, 0),
        ("srnmb 0(%r6)", 7, 0xF8F8_0077, 0),
        ("srnmb 0(%r6)", 4, 0xF8F8_0071, SPECIFICATION),
        ("srnmb 0(%r6)", 6, 0xF8F8_0071, SPECIFICATION),
        ("srnmb 0(%r6)", 8, 0xF8F8_0071, SPECIFICATION),
        ("srnmt 0(%r6)", 0xFD, 0xF8F8_0051, 0),
    ],
)
def test_set_rounding_mode_takes_it_from_the_address(
    engine: str, instruction: str, address: int, fpc: int, code: int
) -> None:
    left = run(engine, instruction, Case(0xF8F8_0071, integer=address))
    assert (left.code, left.fpc) == (code, fpc)


@pytest.mark.parametrize(
    "instruction",
    [
        "axbr %f2,%f4", "axbr %f0,%f6", "mxdbr %f3,%f4", "sqxbr %f0,%f10", "ltxbr %f14,%f0",
        "lxdbr %f7,%f0", "ldxbr %f2,%f0,0,0", "ldxbr %f0,%f2,0,0", "fixbr %f0,%f6,0,0",
        "cxfbr %f2,%r6,0,0", "cfxbr %r6,%f2,0,0", "tcxb %f2,0(%r6)", "lxr %f2,%f0", "lzxr %f6",
        "didbr %f0,%f4,%f0,4", "didbr %f4,%f4,%f8,4", "didbr %f0,%f8,%f8,4",
        "didbr %f0,%f4,%f8,2", "fidbr %f0,%f4,2,0", "cfdbr %r6,%f4,8,0", "ledbr %f0,%f4,15,0",
    ],
)  # fmt: skip
def test_invalid_register_or_method_is_a_specification_exception(
    engine: str, instruction: str
) -> None:
    case = Case(0, ONE, ONE, ONE, 1)
    left = run(engine, instruction, case)
    assert (left.code, left.a, left.c, left.integer) == (SPECIFICATION, ONE, ONE, 1)


@pytest.mark.parametrize("instruction", ["adbr %f0,%f4", "efpc %r6", "tcdb %f0,0", "srnm 0"])
def test_bfp_without_afp_register_control_is_data_exception_2(instruction: str) -> None:
    processor = bfp_runner.native_processor()
    storage = processor.complex.storage
    program = assemble(
        f"lctlg %c0,%c0,controls\n{instruction}\n.insn 83000fff\n"
        "handler: .insn 83000fff\n.align 8\ncontrols: .quad 0xe0",
        CODE,
    )
    storage.write(CODE, program.text)
    storage.write(0x1D0, struct.pack(">QQ", PSW_64, program.labels["handler"]))
    processor.call("purge_all")
    processor.raw.fpc = 0
    processor.psw = (PSW_64, CODE)
    assert processor.run(100) == Exit.DIAGNOSE
    assert struct.unpack(">H", storage.read(0x8E, 2)) == (DATA,)
    assert struct.unpack(">I", storage.read(0x90, 4)) == (2,)
    assert processor.raw.fpc == 0
