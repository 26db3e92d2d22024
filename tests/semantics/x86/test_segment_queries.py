"""VERR, VERW, LAR, LSL, ARPL. ref: APM3 4; APM3 3 ARPL"""

from functools import cache

import pytest

from tests.semantics.x86.board import RAX, RCX
from tests.semantics.x86.world import (
    CODE32,
    CONF,
    DATA,
    DATA32,
    GATE,
    K32,
    K64,
    KDATA,
    LDT,
    ODD,
    TABLE,
    TASK,
    UDATA,
    World,
    gate,
    system,
)

ZF = 0x40


@cache
def _world(mode: str, level: int, engine: str) -> World:
    return World(mode, level, engine)


@pytest.fixture(params=["native", "python"])
def world(request: pytest.FixtureRequest) -> World:
    return _world("protected", 0, request.param)


@pytest.fixture(params=["native", "python"])
def long(request: pytest.FixtureRequest) -> World:
    return _world("long", 0, request.param)


def zero(world: World, source: str, **registers: int) -> bool:
    assert world.faults(source + "\nhlt", **registers) == (None, None)
    return bool(world.processor.rflags & ZF)


@pytest.mark.parametrize(
    ("descriptor", "readable", "writable"),
    [
        (DATA32, True, True),
        (DATA32 & ~(1 << 41), True, False),
        (CODE32, True, False),
        (CODE32 & ~(1 << 41), False, False),
        (system(2, LDT, 0xF), False, False),
        (gate(0xC, K32, 0), False, False),
    ],
)
def test_verr_and_verw_tell_rights(
    world: World, descriptor: int, readable: bool, writable: bool
) -> None:
    world.descriptor(ODD, descriptor)
    assert zero(world, "verr %ax", rax=ODD) is readable
    assert zero(world, "verw %ax", rax=ODD) is writable
    assert zero(world, "verr 0xa000\nverr %ax", rax=0x1000) is False
    assert zero(world, "verr %ax", rax=0) is False
    assert zero(world, "verr %ax", rax=ODD | 3) is False


def test_verr_of_a_conforming_segment_holds_at_any_level(world: World) -> None:
    assert zero(world, "verr %ax", rax=CONF | 3)
    assert zero(world, "movw $24, 0xa000\nverr 0xa000")


def test_lar_gives_rights_and_lsl_limits(world: World) -> None:
    assert zero(world, "larl %eax, %ecx\nlsll %eax, %edx", rax=KDATA)
    assert (world.raw.gr[RCX], world.raw.gr[2]) == (0xC09300, 0xFFFF_FFFF)
    assert zero(world, "larw %ax, %cx", rax=KDATA, rcx=0x12345678)
    assert world.raw.gr[RCX] == 0x12349300
    world.put(DATA, TASK)
    assert zero(world, "lsll 0xa000, %edx")
    assert world.raw.gr[2] == 0x1FF


@pytest.mark.parametrize(
    ("kind", "lar", "lsl", "lar_long", "lsl_long"),
    [
        (1, True, True, False, False),
        (2, True, True, True, True),
        (3, True, True, False, False),
        (4, True, False, False, False),
        (5, True, False, False, False),
        (6, False, False, False, False),
        (7, False, False, False, False),
        (9, True, True, True, True),
        (0xB, True, True, True, True),
        (0xC, True, False, True, False),
        (0xE, False, False, False, False),
        (0xF, False, False, False, False),
        (0, False, False, False, False),
    ],
)
def test_system_types_have_rights_or_limits_by_mode(
    world: World, long: World, kind: int, lar: bool, lsl: bool, lar_long: bool, lsl_long: bool
) -> None:
    for where, rights, limit in ((world, lar, lsl), (long, lar_long, lsl_long)):
        where.descriptor(TABLE, system(kind, LDT, 0x77), 0)
        assert zero(where, "larl %eax, %ecx", rax=TABLE, rcx=5) is rights
        assert where.raw.gr[RCX] == (0x8000 | kind << 8 if rights else 5)
        assert zero(where, "lsll %eax, %ecx", rax=TABLE, rcx=5) is limit
        assert where.raw.gr[RCX] == (0x77 if limit else 5)


def test_lar_of_a_segment_that_is_not_present_succeeds(world: World) -> None:
    world.descriptor(ODD, DATA32 & ~(1 << 47))
    assert zero(world, "larl %eax, %ecx", rax=ODD)


def test_lar_at_level_3_sees_outer_segments_alone() -> None:
    user = _world("long", 3, "python")
    user.descriptor(GATE, gate(0xC, K64, 0, 3), 0)
    for selector, seen in ((KDATA, False), (UDATA, True), (K64, False), (CONF, True), (GATE, True)):
        user.load("larl %eax, %ecx\nint $0x80")
        user.raw.gr[RAX] = selector
        assert bool(user.outcome().flags & ZF) is seen, selector


def test_arpl_raises_the_requested_level(world: World) -> None:
    assert zero(world, "arpl %cx, %ax", rax=0x1_0010, rcx=3)
    assert world.raw.gr[RAX] == 0x1_0013
    assert not zero(world, "arpl %cx, %ax", rax=0x13, rcx=2)
    assert world.raw.gr[RAX] == 0x13
    world.put(DATA, 0x21)
    assert zero(world, "arpl %cx, 0xa000", rcx=2)
    assert world.get(DATA) == 0x22
