"""Hardware task switches. ref: APM2 12.3"""

from functools import cache

import pytest

from tests.semantics.x86.board import CS, DS, ES, FS, LDTR, RAX, RSP, SS, TR
from tests.semantics.x86.world import (
    CODE,
    DATA,
    GATE,
    GDT,
    HANDLERS,
    K32,
    KDATA,
    LDT,
    ODD,
    PRESENT,
    STACK0,
    TABLE,
    TASK,
    TASK_B,
    TSS,
    TSS_B,
    U32,
    UDATA,
    World,
    gate,
    system,
)

GP, NP, SSF, TS, DF = 13, 11, 12, 10, 8
NT, IF, VM = 0x4000, 0x200, 0x2_0000
STACK_B = 0x6800
ENGINES = ["native", "python"]


@cache
def _world(engine: str, level: int) -> World:
    return World("protected", level, engine)


def prepare(world: World, wide: bool = True, **changes: int) -> World:
    """A second task at TSS_B, which begins at CODE + 200h. changes: fields of it."""
    world.storage.write(TSS_B, bytes(0x200))
    world.put(TSS_B + 4 if wide else TSS_B + 2, STACK_B, 4 if wide else 2)
    world.put(TSS_B + 8 if wide else TSS_B + 4, KDATA, 2)
    values = {
        "eip": CODE + 0x200, "eflags": 2, "eax": 0x1111_2222, "esp": STACK_B, "es": KDATA,
        "cs": K32, "ss": KDATA, "ds": KDATA, "fs": 0, "gs": 0, "ldt": 0, "trap": 0, **changes,
    }  # fmt: skip
    offsets = (
        {"eip": 0x20, "eflags": 0x24, "eax": 0x28, "esp": 0x38, "es": 0x48, "cs": 0x4C, "ss": 0x50,
         "ds": 0x54, "fs": 0x58, "gs": 0x5C, "ldt": 0x60, "trap": 0x64}
        if wide else
        {"eip": 0x0E, "eflags": 0x10, "eax": 0x12, "esp": 0x1A, "es": 0x22, "cs": 0x24, "ss": 0x26,
         "ds": 0x28, "ldt": 0x2A}
    )  # fmt: skip
    for name, offset in offsets.items():
        world.put(TSS_B + offset, values[name] & (2**32 - 1 if wide else 0xFFFF), 4 if wide else 2)
    kind, limit = (9, 0x67) if wide else (1, 0x2B)
    world.descriptor(TASK_B, system(kind, TSS_B, limit, 3))
    world.descriptor(TASK, system(0xB, TSS, 0x1FF))
    return world


def busy(world: World, selector: int) -> bool:
    return bool(world.get(GDT + selector + 5, 1) & 2)


@pytest.fixture(params=ENGINES)
def world(request: pytest.FixtureRequest) -> World:
    return prepare(_world(request.param, 0))


@pytest.fixture(params=ENGINES)
def user(request: pytest.FixtureRequest) -> World:
    return prepare(_world(request.param, 3))


def test_jump_to_a_task_saves_and_loads_registers(world: World) -> None:
    program = world.load(f"movl $0x12345678, %eax\nstc\nljmp ${TASK_B}, $0\nback:\n"
                         ".org 0x200\npushfl\nhlt")  # fmt: skip
    assert world.outcome().vector is None
    raw = world.raw
    assert world.get(TSS + 0x20) == program.symbols["back"]
    assert world.get(TSS + 0x24) == 3
    assert world.get(TSS + 0x28) == 0x12345678
    assert world.get(TSS + 0x38) == STACK0
    assert [world.get(TSS + n, 2) for n in (0x48, 0x4C, 0x50)] == [KDATA, K32, KDATA]
    assert (raw.gr[RAX], raw.gr[RSP], raw.seg_selector[TR]) == (0x1111_2222, STACK_B - 4, TASK_B)
    assert world.get(STACK_B - 4) == 2
    assert raw.cr0 & 8, "TS"
    assert (busy(world, TASK), busy(world, TASK_B)) == (False, True)
    assert world.get(TSS_B, 2) == 0, "no back link"


def test_call_of_a_task_links_back_and_iret_returns(world: World) -> None:
    world.load(f"movl $5, %ebx\nlcall ${TASK_B}, $0\nback: hlt\n.org 0x200\nagain: incl %eax\n"
               "pushfl\npopl %ecx\niretl\njmp again")  # fmt: skip
    result = world.outcome()
    raw = world.raw
    assert (result.vector, raw.gr[3], raw.seg_selector[TR]) == (None, 5, TASK)
    assert world.get(TSS_B, 2) == TASK
    assert world.get(TSS_B + 0x28) == 0x1111_2223
    assert world.get(TSS_B + 0x2C) & NT
    assert world.get(TSS_B + 0x24) & NT == 0, "cleared in the task that returns"
    assert (busy(world, TASK), busy(world, TASK_B)) == (True, False)
    assert world.processor.rflags & NT == 0


def test_call_again_goes_on_behind_the_iret(world: World) -> None:
    world.load(f"lcall ${TASK_B}, $0\nlcall ${TASK_B}, $0\nhlt\n.org 0x200\nagain: incl %eax\n"
               "iretl\njmp again")  # fmt: skip
    assert world.outcome().vector is None
    assert world.get(TSS_B + 0x28) == 0x1111_2224


def test_task_of_16_bits_is_saved_in_its_form(world: World) -> None:
    prepare(world, wide=False)
    world.load(f"lcall ${TASK_B}, $0\nhlt\n.org 0x200\nincw %ax\nmovl $0xaaaabbbb, %ebx\niretl")
    assert world.outcome().vector is None
    assert world.get(TSS_B + 0x12, 2) == 0x2223
    assert world.get(TSS_B + 0x18, 2) == 0xBBBB
    assert world.get(TSS_B, 2) == TASK and world.raw.seg_selector[TR] == TASK


def test_interrupt_through_a_task_gate_pushes_the_error_code(world: World) -> None:
    prepare(world, esp=STACK_B)
    world.vector(13, 0, kind=5, selector=TASK_B)
    source = "movl $0x1000, %eax\nmovl %eax, %ds\nhlt\n.org 0x200\npopl %eax\nhlt"
    program = world.load(source)
    result = world.outcome()
    world.vector(13, HANDLERS + 13)
    assert (result.vector, world.raw.gr[RAX], world.raw.gr[RSP]) == (None, 0x1000, STACK_B)
    assert world.get(TSS + 0x20) == program.origin + 5, "the fault's instruction"
    assert world.get(TSS + 0x24) & 0x10000, "RF"
    assert world.processor.rflags & NT


def test_int_through_a_task_gate_from_level_3_returns(user: World) -> None:
    user.vector(0x90, 0, kind=5, selector=TASK_B)
    user.load("int $0x90\nint $0x80\n.org 0x200\nincl %eax\niretl")
    result = user.outcome()
    assert (result.vector, result.cs, user.get(TSS_B + 0x28)) == (0x80, U32 | 3, 0x1111_2223)


def test_task_gate_in_the_gdt_is_called_from_level_3(user: World) -> None:
    user.descriptor(TASK_B, system(9, TSS_B, 0x67, 0))
    user.descriptor(GATE, gate(5, TASK_B, 0, 3))
    user.load(f"lcall ${GATE}, $0\nint $0x80\n.org 0x200\nincl %eax\niretl")
    assert user.outcome().vector == 0x80
    assert user.faults(f"lcall ${TASK_B}, $0") == (GP, TASK_B)


def test_task_at_level_3_and_its_segments(world: World) -> None:
    world.descriptor(TABLE, system(2, LDT, 0xF))
    prepare(world, cs=U32 | 3, ss=UDATA | 3, ds=UDATA | 3, es=0, fs=UDATA | 3, ldt=TABLE)
    world.load(f"ljmp ${TASK_B}, $0\n.org 0x200\nint $0x80")
    result = world.outcome()
    raw = world.raw
    assert (result.vector, result.cs, result.ss) == (0x80, U32 | 3, UDATA | 3)
    assert (raw.seg_selector[LDTR], raw.seg_base[LDTR]) == (TABLE, LDT)
    assert (raw.seg_attr[ES], raw.seg_selector[FS]) == (0, UDATA | 3)
    assert raw.seg_selector[SS] == KDATA and raw.gr[RSP] == STACK_B - 20


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"cs": 0}, (TS, 0)),
        ({"cs": KDATA}, (TS, KDATA)),
        ({"cs": ODD}, (NP, ODD)),
        ({"ss": 0}, (TS, 0)),
        ({"ss": UDATA | 3}, (TS, UDATA)),
        ({"ss": ODD + 8}, (SSF, ODD + 8)),
        ({"ds": ODD + 8}, (NP, ODD + 8)),
        ({"ds": 0x1000}, (TS, 0x1000)),
        ({"gs": TASK}, (TS, TASK)),
        ({"ldt": KDATA}, (TS, KDATA)),
        ({"ldt": 0x1000}, (TS, 0x1000)),
    ],
)
def test_bad_segments_fault_in_the_new_task(
    world: World, change: dict[str, int], expected: tuple[int, int]
) -> None:
    prepare(world, **change)
    world.descriptor(ODD, 0x00CF_1B00_0000_FFFF)
    world.descriptor(ODD + 8, 0x00CF_1300_0000_FFFF)
    # A task gate for the handlers: the new task's own stack may be what is wrong.
    third = 0x3400
    world.storage.write(third, bytes(0x68))
    for offset, value in ((0x20, HANDLERS), (0x24, 2), (0x38, 0x6400), (0x48, KDATA),
                          (0x4C, K32), (0x50, KDATA), (0x54, KDATA)):  # fmt: skip
        world.put(third + offset, value, 4)
    world.descriptor(TABLE, system(9, third, 0x67))
    for vector in (TS, NP, SSF, GP):
        world.vector(vector, 0, kind=5, selector=TABLE)
        world.put(third + 0x20, HANDLERS, 4)
    world.load(f"ljmp ${TASK_B}, $0")
    assert world.go() == 2
    for vector in (TS, NP, SSF, GP):
        world.vector(vector, HANDLERS + vector)
    raw = world.raw
    assert raw.seg_selector[TR] == TABLE
    assert world.get(third, 2) == TASK_B, "the fault is the new task's"
    assert world.get(TSS_B + 0x20) == CODE + 0x200
    assert (raw.delivering_vector, world.get(raw.gr[RSP])) == (0, expected[1])


def test_target_past_the_limit_faults_in_the_new_task(world: World) -> None:
    world.descriptor(ODD, 0x0040_9B00_0000_7FFF)
    prepare(world, cs=ODD)
    world.load(f"ljmp ${TASK_B}, $0")
    result = world.outcome()
    assert (result.vector, result.error, result.rip, result.cs) == (GP, 0, CODE + 0x200, ODD)
    assert world.raw.seg_selector[TR] == TASK_B


@pytest.mark.parametrize(
    ("descriptor", "expected"),
    [
        (system(0xB, TSS_B, 0x67), (GP, TASK_B)),
        (system(9, TSS_B, 0x67) & ~PRESENT, (NP, TASK_B)),
        (system(9, TSS_B, 0x66), (TS, TASK_B)),
        (system(1, TSS_B, 0x2A), (TS, TASK_B)),
    ],
)
def test_bad_task_descriptor_faults_in_the_old_task(
    world: World, descriptor: int, expected: tuple[int, int]
) -> None:
    world.descriptor(TASK_B, descriptor)
    assert world.faults(f"ljmp ${TASK_B}, $0") == expected
    assert world.raw.seg_selector[TR] == TASK


def test_iret_to_a_task_that_is_not_busy_faults(world: World) -> None:
    world.put(TSS, TASK_B, 2)
    world.load("iretl")
    world.processor.rflags = NT | 2
    result = world.outcome()
    assert (result.vector, result.error) == (TS, TASK_B)


def test_trap_bit_is_a_debug_trap_before_the_first_instruction(world: World) -> None:
    prepare(world, trap=1)
    world.load(f"ljmp ${TASK_B}, $0")
    world.raw.dr[7] = 0x555
    result = world.outcome()
    assert (result.vector, result.rip) == (1, CODE + 0x200)
    assert world.raw.dr[6] & 0x8000
    assert world.raw.dr[7] & 0x155 == 0


def test_task_in_virtual_8086_mode(world: World) -> None:
    prepare(world, eflags=VM | 0x3002, cs=0x800, eip=0x200, ss=0x700, esp=0x100, ds=0xA00, es=1)
    world.load(f"ljmp ${TASK_B}, $0\n.org 0x200\n.code16\nmovw $0x55aa, (4)\nint $0x80")
    assert world.go() == 2
    raw = world.raw
    assert raw.rip == HANDLERS + 0x81 and raw.gr[RSP] == STACK_B - 36
    frame = [world.get(STACK_B - 36 + 4 * n) for n in range(9)]
    assert frame == [0x208, 0x800, VM | 0x3002, 0x100, 0x700, 1, 0xA00, 0, 0]
    assert world.get(DATA + 4, 2) == 0x55AA
    assert (raw.seg_attr[DS], raw.seg_selector[CS], raw.cpl) == (0, K32, 0)


def test_task_switch_changes_the_address_space(world: World) -> None:
    # Two tables of 4 MiB pages: the second has the page at 400000h elsewhere.
    for table, frame in ((0x30000, 0x40_0000), (0x31000, 0x80_0000)):
        world.put(table, 0x83, 4)
        world.put(table + 4, frame | 0x83, 4)
    world.put(TSS_B + 0x1C, 0x31000, 4)
    world.put(0x40_0000, 1, 4)
    world.put(0x80_0000, 2, 4)
    world.load(f"movl 0x400000, %ebx\nlcall ${TASK_B}, $0\nmovl 0x400000, %ecx\nhlt\n"
               ".org 0x200\nmovl 0x400000, %edi\nmovl %edi, 0x9000\niretl")  # fmt: skip
    raw = world.raw
    raw.cr3, raw.cr4, raw.cr0 = 0x30000, 0x610, 0x8000_0033
    world.processor.call("update_mode")
    world.put(TSS + 0x1C, 0x30000, 4)
    assert world.outcome().vector is None
    assert (raw.gr[3], world.get(0x9000), raw.gr[1]) == (1, 2, 1)
    assert raw.cr3 == 0x30000
