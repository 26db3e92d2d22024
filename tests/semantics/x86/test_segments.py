"""Loading segment registers and descriptor tables: values, checks, faults. ref: APM2 4"""

import pytest

from tests.semantics.x86.board import CS, DS, ES, FS, GS, LDTR, RAX, RSP, SS, TR, Board
from tests.semantics.x86.world import (
    CODE32,
    CONF,
    DATA,
    DATA32,
    GDT,
    K32,
    K64,
    KDATA,
    LDT,
    ODD,
    ODD2,
    PRESENT,
    STACK0,
    TABLE,
    TASK_B,
    TSS_B,
    UDATA,
    USER,
    World,
    system,
)  # fmt: skip

GP, NP, SSF, UD, TS = 13, 11, 12, 6, 10


@pytest.fixture(params=["native", "python"], scope="module")
def long(request: pytest.FixtureRequest) -> World:
    return World("long", engine=request.param)


@pytest.fixture(params=["native", "python"], scope="module")
def protected(request: pytest.FixtureRequest) -> World:
    return World("protected", engine=request.param)


def load(world: World, register: str, selector: int) -> tuple[int | None, int | None]:
    return world.faults(f"movl %eax, %{register}\nhlt", rax=selector)


def test_mov_to_ds_good_selector_loads_hidden_part_and_marks_accessed(protected: World) -> None:
    protected.descriptor(ODD, 0x12C0_9234_5678_0010)
    assert load(protected, "ds", ODD) == (None, None)
    raw = protected.raw
    assert (raw.seg_selector[DS], raw.seg_base[DS]) == (ODD, 0x1234_5678)
    assert (raw.seg_limit[DS], raw.seg_attr[DS]) == (0x10FFF, 0xC93)
    assert protected.get(GDT + ODD + 5, 1) == 0x93


@pytest.mark.parametrize("register", ["ds", "es", "fs", "gs"])
def test_mov_null_selector_makes_register_unusable(protected: World, register: str) -> None:
    assert load(protected, register, 3) == (None, None)
    number = {"ds": DS, "es": ES, "fs": FS, "gs": GS}[register]
    assert (protected.raw.seg_selector[number], protected.raw.seg_attr[number]) == (3, 0)
    assert protected.faults(f"movl %eax, %{register}\nmovb %{register}:(0), %al", rax=0) == (GP, 0)


@pytest.mark.parametrize(
    ("descriptor", "selector", "expected"),
    [
        (DATA32 & ~PRESENT, ODD, (NP, ODD)),
        (CODE32 & ~(1 << 41), ODD, (GP, ODD)),
        (system(2, LDT, 0xF), ODD, (GP, ODD)),
        (DATA32, ODD | 3, (GP, ODD)),
        (DATA32, 0x103, (GP, 0x100)),
        (DATA32, ODD | 4, (GP, ODD | 4)),
        (CODE32 | 1 << 42, ODD | 3, (None, None)),
    ],
)
def test_mov_to_ds_bad_descriptor_faults(
    protected: World, descriptor: int, selector: int, expected: tuple[int | None, int | None]
) -> None:
    protected.descriptor(ODD, descriptor)
    assert load(protected, "ds", selector) == expected


@pytest.mark.parametrize(
    ("descriptor", "selector", "expected"),
    [
        (DATA32 & ~PRESENT, ODD, (SSF, ODD)),
        (DATA32 & ~(1 << 41), ODD, (GP, ODD)),
        (CODE32, ODD, (GP, ODD)),
        (DATA32 | USER, ODD, (GP, ODD)),
        (DATA32, ODD | 3, (GP, ODD)),
        (DATA32, 0, (GP, 0)),
    ],
)
def test_mov_to_ss_bad_descriptor_faults(
    protected: World, descriptor: int, selector: int, expected: tuple[int, int]
) -> None:
    protected.descriptor(ODD, descriptor)
    assert load(protected, "ss", selector) == expected


def test_mov_to_ss_null_in_64_bit_mode_loads_at_level_0(long: World) -> None:
    assert load(long, "ss", 0) == (None, None)
    assert long.raw.seg_selector[SS] == 0
    assert long.raw.seg_attr[SS] == 0


def test_mov_to_ss_null_in_64_bit_mode_faults_at_level_3() -> None:
    world = World("long", level=3, engine="python")
    assert load(world, "ss", 3) == (GP, 0)


def test_mov_to_cs_is_undefined(long: World) -> None:
    assert long.faults(".byte 0x8e, 0xc8") == (UD, None)
    assert long.faults(".byte 0x8e, 0xf8") == (UD, None)


def test_mov_from_segment_sizes_extend_or_keep(long: World) -> None:
    long.load("movw %ds, %ax\nmovl %ds, %ecx\nmovq %ds, %rdx\nmovw %ds, 0xa000\nhlt")
    for n in range(3):
        long.raw.gr[n] = 0x1111_2222_3333_4444
    long.put(DATA, 0xFFFF_FFFF)
    assert long.outcome().vector is None
    assert [long.raw.gr[n] for n in range(3)] == [0x1111_2222_3333_0010, 0x10, 0x10]
    assert long.get(DATA) == 0xFFFF_0010


def test_push_and_pop_segments_round_trip(protected: World) -> None:
    protected.descriptor(ODD, DATA32)
    assert protected.faults(f"pushl ${ODD}\npopl %ss\nmovl $0x6000, %esp\npushl %es\nhlt") == (
        None,
        None,
    )
    assert protected.raw.seg_selector[SS] == ODD
    protected.load(f"pushl ${ODD}\npopl %es\npushl %es\npopl %eax\npushw %cs\npopw %cx\nhlt")
    assert protected.outcome().vector is None
    raw = protected.raw
    assert (raw.gr[0], raw.gr[1], raw.gr[RSP]) == (ODD, K32, STACK0)


def test_pop_ss_to_narrow_stack_moves_the_old_pointer(protected: World) -> None:
    protected.descriptor(ODD, 0x0040_9300_0000_FFFF & ~(1 << 54))
    protected.load(f"movl $0x16ffc, %esp\nmovl ${ODD}, (%esp)\npopl %ss\nhlt")
    assert protected.outcome().vector is None
    assert protected.raw.gr[RSP] == 0x17000 and protected.raw.stack_mask == 0xFFFF


def test_push_and_pop_fs_in_64_bit_mode_take_eight_bytes(long: World) -> None:
    long.load(f"pushq ${KDATA}\npopq %fs\npushq %fs\nhlt")
    assert long.outcome().vector is None
    assert (long.raw.seg_selector[FS], long.get(STACK0 - 8, 8)) == (KDATA, KDATA)
    for encoding in ("0x06", "0x0e", "0x16", "0x1e", "0x07", "0x17", "0x1f", "0xc4,0,0"):
        assert long.faults(f".byte {encoding}")[0] == UD


def test_lss_loads_pointer_and_selector(protected: World) -> None:
    protected.put(DATA, 0x1234_5678 | ODD << 32)
    protected.descriptor(ODD, DATA32)
    protected.load("lssl 0xa000, %esp\nldsw 0xa002, %bx\nhlt")
    protected.raw.gr[3] = 0xFFFF_0000
    protected.put(DATA + 4, ODD | 0 << 16)
    assert protected.outcome().vector is None
    raw = protected.raw
    assert (raw.gr[RSP], raw.seg_selector[SS]) == (0x1234_5678, ODD)
    assert (raw.gr[3], raw.seg_selector[DS]) == (0xFFFF_1234, ODD)


def test_lfs_bad_selector_leaves_both_registers(long: World) -> None:
    long.put(DATA, 0x1234_5678 | 0xFFF8 << 32)
    assert long.faults("lfsl 0xa000, %ecx", rcx=7) == (GP, 0xFFF8)
    assert long.raw.gr[1] == 7 and long.raw.seg_selector[FS] == KDATA


def test_fs_base_from_descriptor_counts_in_64_bit_mode(long: World) -> None:
    long.descriptor(ODD, DATA32 | 0x100 << 16)
    long.put(DATA + 0x100, 0x5A)
    assert long.faults("movl %eax, %fs\nmovl %eax, %ds\nmovb %fs:0xa000, %cl\n"
                       "movb %ds:0xa100, %dl\nhlt", rax=ODD) == (None, None)  # fmt: skip
    assert (long.raw.gr[1] & 0xFF, long.raw.gr[2] & 0xFF) == (0x5A, 0x5A)


def test_lldt_selector_of_table_is_used(protected: World) -> None:
    protected.descriptor(TABLE, system(2, LDT, 0xF))
    protected.put(LDT + 8, DATA32 | 0x40 << 16)
    source = f"movw ${TABLE}, %ax\nlldt %ax\nsldt %ecx\nmovw $12, %ax\nmovw %ax, %ds\n"
    assert protected.faults(source + "movw $20, %ax\nmovw %ax, %ds") == (GP, 20)
    assert protected.raw.gr[1] == TABLE
    assert (protected.raw.seg_base[DS], protected.raw.seg_base[LDTR]) == (0x40, LDT)


def test_lldt_in_long_mode_has_a_64_bit_base(long: World) -> None:
    long.descriptor(TABLE, system(2, LDT, 0xF), 0xFFFF_8000)
    assert long.faults(f"movw ${TABLE}, %ax\nlldt %ax\nhlt") == (None, None)
    assert long.raw.seg_base[LDTR] == 0xFFFF_8000_0000_0000 | LDT
    long.descriptor(TABLE, system(2, LDT, 0xF), 0x0FFF_8000)
    assert long.faults(f"movw ${TABLE}, %ax\nlldt %ax\nhlt") == (GP, TABLE)
    long.descriptor(TABLE, system(2, LDT, 0xF), 0x100)
    assert long.faults("movw $3, %ax\nlldt %ax\nmovw $12, %ax\nmovw %ax, %ds") == (GP, 12)


def test_ltr_marks_busy_and_refuses_busy(long: World) -> None:
    long.descriptor(TASK_B, system(9, TSS_B, 0x67), 0x1)
    source = f"movw ${TASK_B}, %ax\nltr %ax\n"
    assert long.faults(source + "strl %ecx\nhlt") == (None, None)
    assert long.raw.gr[1] == TASK_B and long.raw.seg_base[TR] == 1 << 32 | TSS_B
    assert long.raw.seg_attr[TR] == 0x8B
    assert long.get(GDT + TASK_B + 5, 1) == 0x8B
    assert long.faults(source) == (GP, TASK_B)
    long.descriptor(TASK_B, system(1, TSS_B, 0x67), 0)
    assert long.faults(source) == (GP, TASK_B)
    long.descriptor(TASK_B, system(9, TSS_B, 0x67) & ~PRESENT, 0)
    assert long.faults(source) == (NP, TASK_B)
    assert long.faults("xorl %eax, %eax\nltr %ax") == (GP, 0)


def test_lgdt_and_lidt_store_back_what_they_loaded(long: World) -> None:
    long.put(DATA, 0x1234)
    long.put(DATA + 2, 0xFFFF_8123_4567_89AB)
    long.load("lgdt 0xa000\nsgdt 0xa010\nsidt 0xa020\nlidt 0xa000\nhlt")
    assert long.outcome().vector is None
    assert long.storage.read(DATA + 0x10, 10) == long.storage.read(DATA, 10)
    assert long.get(DATA + 0x22, 8) == 0x2000 and long.raw.idtr_limit == 0x1234
    long.put(DATA + 2, 0x1234_8123_4567_89AB)
    assert long.faults("lgdt 0xa000") == (GP, 0)


def test_lgdt_with_16_bit_operands_takes_24_bits(protected: World) -> None:
    protected.put(DATA, 0x1234_5678_0FFF)
    protected.load("lgdtw 0xa000\nsgdtl 0xa010\nhlt")
    assert protected.outcome().vector is None
    assert protected.raw.gdtr_base == 0x34_5678
    assert protected.get(DATA + 0x10, 6) == 0x34_5678_0FFF


@pytest.mark.parametrize("source", ["lgdt 0xa000", "lidt 0xa000", "lldt %ax", "ltr %ax"])
def test_table_loads_at_level_3_fault(source: str) -> None:
    assert World("long", level=3, engine="python").faults(source) == (GP, 0)


@pytest.mark.parametrize("source", ["sgdt 0xa000", "sidt 0xa000", "sldt %eax", "str %eax"])
def test_table_stores_at_level_3_follow_umip(source: str) -> None:
    world = World("long", level=3, engine="python")
    assert world.faults(source + "\nint $0x80")[0] == 0x80
    world.load(source + "\nint $0x80")
    world.raw.cr4 |= 0x800
    assert (world.outcome().vector, world.raw.cpl) == (GP, 0)


def test_segment_checks_of_limit_and_rights_fault(protected: World) -> None:
    protected.descriptor(ODD, 0x0040_9000_0000_0FFF)
    protected.descriptor(ODD2, 0x0040_9600_0000_0FFF)
    read = f"movl ${ODD}, %eax\nmovl %eax, %ds\n"
    assert protected.faults(read + "movl 0xffc, %eax\nhlt") == (None, None)
    assert protected.faults(read + "movl 0xffd, %eax\nhlt") == (GP, 0)
    assert protected.faults(read + "movl %eax, 0\nhlt") == (GP, 0)
    down = f"movl ${ODD2}, %eax\nmovl %eax, %ss\nmovl $0x1004, %esp\n"
    assert protected.faults(down + "pushl %eax\nhlt") == (None, None)
    assert protected.faults(f"movl ${CONF}, %eax\nmovl %eax, %ds\nmovl %eax, 0") == (GP, 0)


def test_pushes_below_an_expand_down_stack_fault_without_a_frame(protected: World) -> None:
    protected.descriptor(ODD2, 0x0040_9600_0000_0FFF)
    protected.vector(12, 0x60C)
    protected.load(f"movl ${ODD2}, %eax\nmovl %eax, %ss\nmovl $0x1000, %esp\npushl %eax")
    # The handler's frame does not fit either: a double fault, and so a shutdown.
    assert protected.go() == 4


@pytest.mark.parametrize("register", ["ds", "es", "fs", "gs", "ss"])
def test_loads_in_real_mode_shift_the_selector_and_keep_the_limit(register: str) -> None:
    board = Board("python")
    program = board.load(f".code16\nmovw $0x1234, %ax\nmovw %ax, %{register}\nhlt")
    number = {"es": ES, "ss": SS, "ds": DS, "fs": FS, "gs": GS}[register]
    board.raw.seg_limit[number] = 0xFFFF_FFFF
    board.go()
    raw = board.raw
    assert (raw.seg_selector[number], raw.seg_base[number]) == (0x1234, 0x12340)
    assert raw.seg_limit[number] == 0xFFFF_FFFF and program.origin == 0x8000
    assert raw.seg_selector[CS] == 0 and raw.gr[RAX] & 0xFFFF == 0x1234


def test_task_register_instructions_in_real_mode_are_undefined() -> None:
    board = Board("python")
    board.put(6 * 4, 0x700, 4)
    board.storage.write(0x700, b"\xf4")
    for text in ("lldt %ax", "ltr %ax", "sldt %ax", "str %ax", "verr %ax", "lar %ax, %bx"):
        board.run(f".code16\n{text}")
        assert board.raw.rip == 0x701, text


def test_user_data_is_within_reach_of_level_0(long: World) -> None:
    assert load(long, "ds", UDATA | 3) == (None, None)
    assert load(long, "ds", K64) == (None, None)
