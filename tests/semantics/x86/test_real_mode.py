"""Real mode, virtual-8086 mode and its extensions. ref: APM2 8.6, 8.10; APM3 3 INT"""

from functools import cache
from typing import Any

import pytest

from tests.semantics.x86.board import CS, RAX, RCX, RSP, Board
from tests.semantics.x86.world import K32, STACK0, TSS, World
from worldswitch.lab.x86_assembler import assemble
from worldswitch.metal.x86.leave import Exit

GP, UD = 13, 6
IF, VM, VIF, VIP = 0x200, 0x2_0000, 0x8_0000, 0x10_0000
IOPL = 0x3000
VME = 1
V86_CODE = 0x9000


@pytest.fixture(params=["native", "python"])
def board(request: pytest.FixtureRequest) -> Board:
    return _board(request.param)


@cache
def _board(engine: str) -> Board:
    return Board(engine)


def test_int_in_real_mode_uses_the_vector_table(board: Board) -> None:
    board.put(0x80 * 4, 0x0900_0100, 4)
    program = board.run(".code16\nsti\nstc\nint $0x80\nback: hlt\n.org 0x1100\nhlt")
    raw = board.raw
    assert (raw.rip, raw.seg_selector[CS], raw.seg_base[CS]) == (0x101, 0x900, 0x9000)
    assert board.processor.rflags & (IF | 1) == 1
    frame = [board.get(0x7000 - 6 + 2 * n, 2) for n in range(3)]
    assert frame == [program.symbols["back"], 0, IF | 3]


def test_iret_in_real_mode_restores_flags(board: Board) -> None:
    board.put(0x81 * 4, 0x0900_0100, 4)
    board.run(".code16\nsti\nint $0x81\npushfw\npopw %ax\nhlt\n.org 0x1100\nstc\niret")
    assert board.raw.gr[RAX] & 0xFFFF == IF | 2
    assert board.raw.gr[RSP] == 0x7000


def test_exception_in_real_mode_pushes_no_error_code(board: Board) -> None:
    board.put(GP * 4, 0x0600, 4)
    board.storage.write(0x600, b"\xf4")
    board.run(".code16\nmovw $0xffff, %bx\nmovw %ax, (%bx)")
    assert board.raw.gr[RSP] == 0x7000 - 6
    assert board.get(0x7000 - 6, 2) == 0x8003


def test_idt_of_real_mode_can_be_moved_and_limited(board: Board) -> None:
    board.put(0x5000 + 4 * 4, 0x0700, 4)
    board.storage.write(0x700, b"\xf4")
    source = (
        ".code16\nlidt table\nmovb $0x7f, %al\naddb $1, %al\ninto\ntable: .word {}\n.long 0x5000"
    )
    board.run(source.format(0x13))
    assert board.raw.rip == 0x701
    board.load(source.format(0x12))
    assert board.go() == Exit.SHUTDOWN


def test_far_call_in_real_mode_and_back(board: Board) -> None:
    board.run(".code16\nlcall $0x900, $0x10\nincw %cx\nhlt\n.org 0x1010\nincw %ax\nlret")
    assert (board.raw.gr[RAX], board.raw.gr[RCX], board.raw.gr[RSP]) == (1, 1, 0x7000)
    assert board.raw.seg_selector[CS] == 0


def test_stack_pointer_wraps_at_64_kib_in_real_mode(board: Board) -> None:
    board.run(".code16\nmovw $2, %sp\npushw $0x1234\npushw $0x5678\nhlt")
    assert board.raw.gr[RSP] == 0xFFFE
    assert (board.get(0, 2), board.get(0xFFFE, 2)) == (0x1234, 0x5678)


def test_task_tables_in_real_mode_fault_as_undefined(board: Board) -> None:
    board.put(UD * 4, 0x700, 4)
    board.storage.write(0x700, b"\xf4")
    for text in ("verr %ax", "verw %ax", "lar %ax, %bx", "lsl %ax, %bx", "arpl %ax, %bx"):
        board.run(f".code16\n{text}")
        assert board.raw.rip == 0x701, text


# Virtual-8086 mode.


@cache
def _world(engine: str) -> World:
    return World("protected", 0, engine)


@pytest.fixture(params=["native", "python"])
def world(request: pytest.FixtureRequest) -> World:
    return _world(request.param)


def v86(world: World, source: str, flags: int = 0, cr4: int = 0) -> Any:
    """Run 16-bit code at 900:0 in virtual-8086 mode to an exception; the outcome."""
    world.storage.write(V86_CODE, assemble(".code16\n" + source, 0).text.ljust(0x400, b"\xf4"))
    world.load(f"""
        pushl $6
        pushl $5
        pushl $0xa00
        pushl $4
        pushl $0x700
        pushl $0x800
        pushl ${flags | VM | 2}
        pushl $0x900
        pushl $0
        iretl
    """)
    world.raw.cr4 |= cr4
    return world.outcome()


def test_iret_to_virtual_8086_mode_loads_all_segments(world: World) -> None:
    outcome = v86(world, "movw %fs, %ax\nmovw %gs, %cx\nmovw %ax, 2\npushw %ss\npopw %dx\nhlt")
    assert (outcome.vector, outcome.error, outcome.rip, outcome.cs) == (GP, 0, 9, 0x900)
    raw = world.raw
    assert (raw.gr[RAX], raw.gr[RCX], raw.gr[2] & 0xFFFF) == (5, 6, 0x700)
    assert world.get(0xA002, 2) == 5
    frame = [world.get(raw.gr[RSP] + 4 * n) for n in range(1, 10)]
    assert frame[3:] == [0x800, 0x700, 4, 0xA00, 5, 6]
    assert frame[2] & VM and (raw.seg_selector[CS], raw.cpl) == (K32, 0)
    assert raw.seg_attr[0] == 0


def test_int_in_v86_mode_needs_iopl_3(world: World) -> None:
    assert v86(world, "int $0x21").error == 0
    outcome = v86(world, "int $0x21", IOPL)
    assert (outcome.vector, outcome.rip, outcome.flags & VM) == (0x21, 2, VM)
    assert world.raw.gr[RSP] == STACK0 - 36


def test_int3_in_v86_mode_ignores_iopl(world: World) -> None:
    outcome = v86(world, "int3")
    assert (outcome.vector, outcome.rip) == (3, 1)


@pytest.mark.parametrize("text", ["cli", "sti", "pushfw", "popfw", "iretw", "pushfl", "popfl"])
def test_flag_instructions_in_v86_mode_need_iopl_3(world: World, text: str) -> None:
    outcome = v86(world, text)
    assert (outcome.vector, outcome.rip) == (GP, 0)
    outcome = v86(world, f"pushw $0\npushw $0x900\npushw $back\n{text}\nback: hlt", IOPL)
    assert outcome.vector == GP and outcome.rip != 0


def test_iret_in_v86_mode_keeps_iopl(world: World) -> None:
    source = "pushw $0x0ad7\npushw $0x900\npushw $back\niretw\nback: hlt"
    outcome = v86(world, source, IOPL)
    assert outcome.flags & 0xFFFF == 0x3AD7


def redirect(world: World, vector: int, to_monitor: bool) -> None:
    """The redirection bitmap lies before the I/O bitmap, which World puts at 88h + 20h here."""
    world.put(TSS + 0x66, 0x88 + 0x20, 2)
    at = TSS + 0x88 + vector // 8
    value = world.get(at, 1) & ~(1 << vector % 8) | to_monitor << vector % 8
    world.put(at, value, 1)


@pytest.mark.parametrize("level", [0, IOPL])
def test_vme_redirects_int_to_the_programs_handler(world: World, level: int) -> None:
    redirect(world, 0x21, False)
    world.put(0x21 * 4, 0x0900_0100, 4)
    source = "int $0x21\nback: hlt\n.org 0x100\npopw %ax\npopw %bx\npopw %cx\nhlt"
    flags = IF if level else VIF
    outcome = v86(world, source, level | flags, VME)
    assert (outcome.vector, outcome.rip) == (GP, 0x103)
    raw = world.raw
    assert (raw.gr[RAX], raw.gr[3]) == (2, 0x900)
    assert raw.gr[RCX] & (IF | IOPL) == IF | IOPL
    assert outcome.flags & flags == 0


def test_vme_sends_marked_vectors_to_the_monitor(world: World) -> None:
    redirect(world, 0x22, True)
    assert v86(world, "int $0x22", 0, VME).vector == GP
    assert v86(world, "int $0x22", IOPL, VME).vector == 0x22


def test_vme_makes_sti_cli_and_flags_virtual(world: World) -> None:
    outcome = v86(world, "sti\npushfw\npopw %ax\ncli\npushfw\npopw %cx\nhlt", 0, VME)
    assert outcome.vector == GP and outcome.flags & (VIF | IF) == 0
    raw = world.raw
    assert (raw.gr[RAX] & (IF | IOPL), raw.gr[RCX] & (IF | IOPL)) == (IF | IOPL, IOPL)
    outcome = v86(world, "nop\nsti", VIP, VME)
    assert (outcome.vector, outcome.rip) == (GP, 1)
    outcome = v86(world, "pushw $0x202\npopfw\nhlt", 0, VME)
    assert outcome.flags & (VIF | IF) == VIF
    outcome = v86(world, "pushw $0x302\npopfw\nhlt", 0, VME)
    assert outcome.rip == 3, "TF is not for them to set"


def test_vme_iret_loads_vif(world: World) -> None:
    source = "pushw $0x0202\npushw $0x900\npushw $back\niretw\nback: hlt"
    outcome = v86(world, source, 0, VME)
    assert (outcome.rip, outcome.flags & (VIF | IF)) == (10, VIF)


def test_ports_in_v86_mode_follow_the_bitmap_at_any_iopl(world: World) -> None:
    world.put(TSS + 0x66, 0x88, 2)
    world.storage.write(TSS + 0x88, b"\x00" * 0x10 + b"\xff" * 0x10 + b"\x00" * 0x10)
    assert v86(world, "inb $0x7f, %al\nhlt", IOPL).rip == 2
    assert v86(world, "inb $0x80, %al\nhlt", IOPL).rip == 0
    assert v86(world, "inw $0x7f, %ax\nhlt", IOPL).rip == 0


@pytest.mark.parametrize("engine", ["native", "python"])
def test_ports_at_level_3_follow_the_bitmap(engine: str) -> None:
    user = World("protected", 3, engine)
    user.storage.write(TSS + 0x88, b"\x00" * 0x10 + b"\xff" * 0x10 + b"\x00" * 0x10)
    assert user.faults("inb $0x7f, %al\nint $0x80") == (0x80, None)
    assert user.faults("inb $0x80, %al\nint $0x80") == (GP, 0)
    assert user.faults("inl $0x7d, %eax\nint $0x80") == (GP, 0)
    user.load("inb $0x7f, %al\nint $0x80")
    user.raw.seg_limit[7] = 0x88 + 0xF
    assert user.outcome().vector == GP, "both bytes have to be within the limit"
    user.load("inb $0x80, %al\nint $0x80")
    user.processor.rflags = IOPL | 2
    assert user.outcome().vector == 0x80


def test_virtual_interrupt_flag_at_level_3_with_pvi() -> None:
    user = World("protected", 3, "python")
    for text, flags, expected in (("sti", 0, VIF), ("cli", VIF, 0)):
        user.load(f"{text}\nint $0x80")
        user.raw.cr4 |= 2
        user.processor.rflags = flags | 2
        assert user.outcome().flags & (VIF | IF) == expected
    assert user.faults("sti") == (GP, 0)
