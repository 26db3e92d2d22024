"""System-management mode: SMI, the state-save area, RSM. ref: APM2 10"""

from functools import cache

import pytest

from tests.semantics.x86.board import CS, DS, RAX, RCX, SS, Board
from tests.semantics.x86.world import CODE, K64, KDATA, STACK0, U64, UDATA, World
from worldswitch.lab.x86_assembler import assemble
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.pending import PENDING_NMI, PENDING_SMI

SMBASE = 0x3_0000
AREA = SMBASE + 0xFE00
UD = 6


@cache
def _world(engine: str, level: int) -> World:
    return World("long", level, engine)


@pytest.fixture(params=["native", "python"])
def world(request: pytest.FixtureRequest) -> World:
    return _world(request.param, 0)


def handler(world: Board, source: str, base: int = SMBASE) -> None:
    """Put an SMI handler where it belongs."""
    world.storage.write(base + 0x8000, assemble(".code16\n" + source, 0x8000).text)


def test_smi_saves_the_state_of_the_architecture(world: World) -> None:
    handler(world, "hlt")
    world.load("hlt")
    world.raw.gr[RAX], world.raw.gr[15] = 0x1122_3344_5566_7788, 0xF0F0
    world.processor.make_pending(PENDING_SMI)
    assert world.go() == Exit.HALT
    raw = world.raw
    assert (raw.smm, raw.seg_selector[CS], raw.seg_base[CS], raw.rip) == (
        1, 0x3000, SMBASE, 0x8001,
    )  # fmt: skip
    assert (raw.cr0, raw.cr4, raw.efer) == (0x1_0032, 0, 0)
    assert (raw.seg_limit[DS], raw.seg_base[DS], raw.seg_selector[DS]) == (0xFFFF_FFFF, 0, 0)
    assert raw.nmi_blocked == 1
    expected = {
        (0x1F8, 8): 0x1122_3344_5566_7788, (0x180, 8): 0xF0F0, (0x178, 8): CODE,
        (0x1D8, 8): STACK0, (0x158, 8): 0x8001_0033, (0x148, 8): 0x620, (0xD0, 8): 0x501,
        (0x10, 2): K64, (0x12, 2): 0xA09B, (0x14, 4): 0xFFFF_FFFF, (0x20, 2): KDATA,
        (0x22, 2): 0xC093, (0x64, 2): 0xFF, (0x68, 8): 0x1000, (0x88, 8): 0x2000,
        (0x90, 2): 56, (0xFC, 4): 0x2_0064, (0x100, 4): SMBASE, (0xC9, 1): 0,
    }  # fmt: skip
    assert {k: world.get(AREA + k[0], k[1]) for k in expected} == expected


def test_rsm_goes_on_where_the_smi_came(world: World) -> None:
    handler(world, "movl $0x99, %eax\naddl $1, 0xa000\nincl %cs:0xfff0\nrsm")
    world.put(0xA000, 5)
    world.load("incl %eax\nhlt")
    world.raw.gr[RAX], world.raw.gr[RCX] = 10, 20
    world.processor.make_pending(PENDING_SMI)
    assert world.outcome().vector is None
    raw = world.raw
    # The handler changed RCX in the save area and a number in memory; its registers are gone.
    assert (raw.gr[RAX], raw.gr[RCX], world.get(0xA000)) == (11, 21, 6)
    assert (raw.smm, raw.seg_selector[CS], raw.cr0, raw.efer) == (0, K64, 0x8001_0033, 0x501)
    assert (raw.seg_attr[CS], raw.seg_attr[SS], raw.nmi_blocked) == (0xA9B, 0xC93, 0)


def test_rsm_returns_to_level_3() -> None:
    user = _world("python", 3)
    handler(user, "rsm")
    user.load("movl %cs, %eax\nint $0x80")
    user.processor.make_pending(PENDING_SMI)
    result = user.outcome()
    assert (result.vector, result.cs, result.ss) == (0x80, U64 | 3, UDATA | 3)


def test_rsm_outside_of_smm_is_undefined(world: World) -> None:
    assert world.faults("rsm") == (UD, None)


def test_relocated_base_is_the_next_smis(world: World) -> None:
    handler(world, "movl $0x50000, %cs:0xff00\nrsm")
    handler(world, "incl 0xa000\nrsm", 0x5_0000)
    world.put(0xA000, 0)
    world.load("hlt\nhlt")
    world.processor.make_pending(PENDING_SMI)
    assert world.go() == Exit.HALT and world.raw.smbase == 0x5_0000
    world.processor.make_pending(PENDING_SMI)
    world.go()
    assert world.get(0xA000, 4) == 1 and world.get(0x5_FF00, 4) == 0x5_0000
    world.raw.smbase = SMBASE


def test_halted_processor_halts_again_unless_the_handler_says_no(world: World) -> None:
    for keep in (True, False):
        handler(world, "rsm" if keep else "movb $0, %cs:0xfec9\nrsm")
        world.load("hlt\nincl %eax\nhlt")
        assert world.go() == Exit.HALT
        world.processor.make_pending(PENDING_SMI)
        assert world.processor.run(100) == Exit.HALT
        assert world.raw.gr[RAX] == (0 if keep else 1)


def test_smi_and_nmi_wait_for_rsm(world: World) -> None:
    handler(world, "again: cmpb $0, %cs:0x8100\nje again\nincl %cs:0xfff0\nrsm")
    world.put(SMBASE + 0x8100, 0, 1)
    world.load("hlt")
    world.processor.make_pending(PENDING_SMI)
    world.go(100)
    assert world.raw.smm == 1
    world.processor.make_pending(PENDING_SMI | PENDING_NMI)
    world.go(100)
    assert world.raw.smm == 1
    world.put(SMBASE + 0x8100, 1, 1)
    result = world.outcome()
    assert (result.vector, result.rip) == (2, CODE)
    assert world.get(AREA + 0x1F0, 8) == 2


def test_save_area_that_cannot_be_loaded_is_a_shutdown(world: World) -> None:
    handler(world, "movl $0x80000010, %cs:0xff58\nrsm")
    world.load("hlt")
    world.processor.make_pending(PENDING_SMI)
    assert world.go() == Exit.SHUTDOWN
