"""Debug exceptions, single steps, and the shadows of STI and loads of SS. ref: APM2 13.1"""

from functools import cache
from typing import Any

import pytest

from tests.semantics.x86.board import DS, RAX, RCX, SS
from tests.semantics.x86.world import (
    CODE,
    DATA,
    HANDLERS,
    K64,
    KDATA,
    U64,
    UDATA,
    World,
)

DB, GP, UD, AC, PF = 1, 13, 6, 17, 14
TF, IF, RF = 0x100, 0x200, 0x1_0000
BS, BD, B0, B1 = 0x4000, 0x2000, 1, 2
INTR, NMI = 1, 2


def vector_44(processor: Any) -> None:
    """The machine's answer to every access: vector 44h, and zero from ports."""
    processor.raw.bus_value = 0x44 if processor.raw.bus_kind == 4 else 0


@cache
def _world(engine: str, level: int) -> World:
    made = World("long", level, engine, vector_44)
    return made


@pytest.fixture(params=["native", "python"])
def world(request: pytest.FixtureRequest) -> World:
    return _world(request.param, 0)


@pytest.fixture(params=["native", "python"])
def user(request: pytest.FixtureRequest) -> World:
    return _world(request.param, 3)


def with_debug(world: World, source: str, dr7: int, **addresses: int) -> dict[str, int]:
    """Load a program with debug registers set."""
    program = world.load(source)
    for name, value in addresses.items():
        world.raw.dr[int(name[2:])] = value
    world.raw.dr[7] = 0x400 | dr7
    world.processor.call("purge_all")
    world.processor.call("update_mode")
    return program.symbols


def test_popf_with_tf_traps_behind_the_next_instruction(world: World) -> None:
    world.load("pushq $0x102\npopfq\nincl %eax\nincl %eax\nhlt")
    result = world.outcome()
    assert (result.vector, world.raw.gr[RAX]) == (DB, 1)
    assert result.flags & (TF | RF) == TF
    assert world.raw.dr[6] & 0xE00F == BS
    assert world.processor.rflags & TF == 0


def test_single_step_over_a_branch_stops_at_its_target(world: World) -> None:
    symbols = world.load("pushq $0x102\npopfq\njmp there\nhlt\nthere: hlt").symbols
    assert world.outcome().rip == symbols["there"]


def test_single_step_visits_each_instruction(world: World) -> None:
    world.vector(DB, CODE + 0x100)
    world.load("pushq $0x102\npopfq\nincl %eax\nincl %eax\npushq $2\npopfq\nincl %eax\nhlt\n"
               ".org 0x100\nincl %ecx\niretq")  # fmt: skip
    assert world.outcome().vector is None
    world.vector(DB, HANDLERS + DB)
    assert (world.raw.gr[RAX], world.raw.gr[RCX]) == (3, 4)


def test_fault_under_tf_is_not_followed_by_a_trap(world: World) -> None:
    world.load("pushq $0x102\npopfq\nud2")
    result = world.outcome()
    assert (result.vector, result.flags & (TF | RF)) == (UD, TF | RF)
    assert world.raw.dr[6] & BS == 0


def test_int_under_tf_runs_its_handler_unstepped(world: World) -> None:
    world.vector(0x90, CODE + 0x100)
    world.load("pushq $0x102\npopfq\nint $0x90\nincl %eax\nincl %eax\n"
               ".org 0x100\nincl %ecx\nincl %ecx\niretq")  # fmt: skip
    result = world.outcome()
    assert (result.vector, world.raw.gr[RCX], world.raw.gr[RAX]) == (DB, 2, 1)


def test_load_of_ss_under_tf_is_not_stepped(world: World) -> None:
    world.load(f"movl ${KDATA}, %edx\npushq $0x102\npopfq\nmovl %edx, %ss\nincl %eax\nincl %eax")
    assert (world.outcome().vector, world.raw.gr[RAX]) == (DB, 1)


@pytest.mark.parametrize(("mask", "expected"), [(0x100, None), (0, DB)])
def test_syscall_under_tf_traps_unless_it_is_masked(
    user: World, mask: int, expected: int | None
) -> None:
    user.load("pushq $0x102\npopfq\nsyscall\n.org 0x100\nhlt")
    raw = user.raw
    raw.star, raw.lstar, raw.sfmask = K64 << 32, CODE + 0x100, mask
    result = user.outcome()
    assert (result.vector, raw.cpl) == (expected, 0)


def test_instruction_breakpoint_is_a_fault_before_it(world: World) -> None:
    symbols = with_debug(world, "nop\nincl %eax\nhere: incl %eax\nhlt", 1, dr0=CODE + 3)
    result = world.outcome()
    assert (result.vector, result.rip, world.raw.gr[RAX]) == (DB, symbols["here"], 1)
    assert result.flags & RF == 0 and world.raw.dr[6] & 0xE00F == B0


def test_instruction_breakpoint_is_passed_once_with_rf(world: World) -> None:
    world.vector(DB, CODE + 0x100)
    source = """
        movl $3, %ebx
        here: incl %eax
        decl %ebx
        jnz here
        hlt
        .org 0x100
        incl %ecx
        orl $0x10000, 16(%rsp)
        iretq
    """
    with_debug(world, source, 1, dr0=CODE + 5)
    assert world.outcome().vector is None
    world.vector(DB, HANDLERS + DB)
    assert (world.raw.gr[RAX], world.raw.gr[RCX]) == (3, 3)


def test_fault_at_a_breakpoint_saves_rf(world: World) -> None:
    world.vector(DB, CODE + 0x100)
    source = "here: movl 0x900000000, %eax\n.org 0x100\norl $0x10000, 16(%rsp)\niretq"
    with_debug(world, source, 1, dr0=CODE)
    result = world.outcome()
    world.vector(DB, HANDLERS + DB)
    assert (result.vector, result.flags & RF) == (PF, RF)


@pytest.mark.parametrize(
    ("kind", "size", "text", "hit"),
    [
        (1, 4, "movl %eax, 0xa004", True),
        (1, 4, "movl 0xa004, %eax", False),
        (3, 4, "movl 0xa004, %eax", True),
        (3, 1, "movl 0xa001, %eax", True),
        (3, 1, "movl 0xa000, %eax", False),
        (3, 4, "movl 0xa008, %eax", False),
        (3, 8, "movb 0xa007, %al", True),
        (1, 2, "incw 0xa005", True),
        (1, 4, "movl $0xa000, %edi\nmovl $4, %ecx\nrep stosl", True),
        (1, 4, "movl $0xa008, %esp\npushq %rax", True),
    ],
)
def test_data_breakpoint_traps_behind_the_access(
    world: World, kind: int, size: int, text: str, hit: bool
) -> None:
    length = {1: 0, 2: 1, 4: 3, 8: 2}[size]
    symbols = with_debug(
        world, text + "\nbehind: nop\nhlt", 4 | kind << 20 | length << 22, dr1=DATA + 4
    )
    result = world.outcome()
    if hit:
        assert (result.vector, world.raw.dr[6] & 0xE00F) == (DB, B1)
        assert result.rip <= symbols["behind"]
    else:
        assert result.vector is None


def test_io_breakpoint_needs_de_and_traps_behind(world: World) -> None:
    with_debug(world, "inb $0x80, %al\nhlt", 1 | 2 << 16, dr0=0x80)
    assert world.outcome().vector is None
    with_debug(world, "inb $0x81, %al\ninb $0x80, %al\nhlt", 1 | 2 << 16, dr0=0x80)
    world.raw.cr4 |= 8
    result = world.outcome()
    assert (result.vector, result.rip) == (DB, CODE + 4)


def test_general_detect_faults_and_is_cleared(world: World) -> None:
    with_debug(world, "nop\nmovq %db0, %rax", 0x2000)
    result = world.outcome()
    assert (result.vector, result.rip) == (DB, CODE + 1)
    assert world.raw.dr[6] & 0xE00F == BD and world.raw.dr[7] & 0x2000 == 0


def test_sti_delays_an_interrupt_by_one_instruction(world: World) -> None:
    world.load("sti\nincl %eax\ncli\nincl %eax\nhlt")
    world.processor.make_pending(INTR)
    result = world.outcome()
    assert (result.vector, world.raw.gr[RAX], result.flags & IF) == (0x44, 1, IF)
    world.raw.pending = 0


def test_sti_cli_lets_nothing_in(world: World) -> None:
    world.load("sti\ncli\nincl %eax\nhlt")
    world.processor.make_pending(INTR)
    result = world.outcome()
    assert (result.vector, world.raw.gr[RAX]) == (None, 1)
    world.raw.pending = 0


def test_load_of_ss_delays_interrupts_by_one_instruction(world: World) -> None:
    world.load(f"movl ${KDATA}, %edx\nsti\nmovl %edx, %ss\nincl %ecx\nincl %ecx\nhlt")
    world.processor.make_pending(INTR)
    assert (world.outcome().vector, world.raw.gr[RCX]) == (0x44, 1)
    assert world.raw.seg_selector[SS] == KDATA
    world.raw.pending = 0


def test_nmi_is_blocked_until_iret(world: World) -> None:
    world.vector(2, CODE + 0x100)
    world.load("incl %eax\nhlt\n.org 0x100\nincl %ecx\ncmpl $1, %ecx\nje more\nhlt\n"
               "more: pushfq\npopq %rbx\niretq")  # fmt: skip
    world.processor.make_pending(NMI)
    world.go(3)
    world.processor.make_pending(NMI)
    world.outcome()
    world.vector(2, HANDLERS + 2)
    assert world.raw.gr[RCX] == 2


# Alignment checks.

ALIGNED = f"""
        pushq ${UDATA | 3}
        pushq $0x7701
        pushq $0x40002
        pushq ${U64 | 3}
        pushq $go
        iretq
go:     {{text}}
        int $0x80
"""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("pushq %rax", True),
        ("popq %rax", True),
        ("call go", True),
        ("ret", True),
        ("movl 0xa001, %eax", True),
        ("movl %eax, 0xa002", True),
        ("incl 0xa002", True),
        ("movw 0xa002, %ax", False),
        ("movb 0xa001, %al", False),
        ("movq 0xa008, %rax", False),
        ("movl $0xa001, %esi\nlodsl", True),
    ],
)
def test_alignment_check_of_user_accesses(world: World, text: str, fault: bool) -> None:
    world.load(ALIGNED.format(text=text))
    world.raw.cr0 |= 1 << 18
    result = world.outcome()
    assert result.vector == (AC if fault else 0x80)
    assert result.error == (0 if fault else None)
    assert world.raw.seg_selector[DS] == 0


def test_alignment_is_not_checked_without_am_or_at_level_0(world: World) -> None:
    world.load(ALIGNED.format(text="movl 0xa001, %eax"))
    assert world.outcome().vector == 0x80
    world.load("pushq $0x40002\npopfq\nmovl 0xa001, %eax\nhlt")
    world.raw.cr0 |= 1 << 18
    assert world.outcome().vector is None
