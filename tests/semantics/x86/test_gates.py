"""Far transfers, call gates, interrupt gates and IRET. ref: APM2 4.11, 8.7, 8.9"""

from functools import cache

import pytest

from tests.semantics.x86.board import CS, DS, ES, FS, GS, RSP, SS
from tests.semantics.x86.world import (
    CODE,
    CODE32,
    CODE64,
    CONF,
    DATA,
    GATE,
    GDT,
    HANDLERS,
    IDT,
    IST1,
    K16,
    K32,
    K64,
    KDATA,
    ODD,
    PRESENT,
    STACK0,
    STACK3,
    TSS,
    U32,
    U64,
    UDATA,
    World,
    gate,
)
from worldswitch.metal.x86.leave import Exit

GP, NP, SSF, UD, TS, DF, PF = 13, 11, 12, 6, 10, 8, 14
IF, TF, NT, RF, VM, AC = 0x200, 0x100, 0x4000, 0x1_0000, 0x2_0000, 0x4_0000
ENGINES = ["native", "python"]
Fault = tuple[int | None, int | None]


@cache
def world(mode: str, level: int, engine: str) -> World:
    """A world, made once; descriptors that tests put into it are theirs."""
    return World(mode, level, engine)


@pytest.fixture(params=ENGINES)
def long0(request: pytest.FixtureRequest) -> World:
    return world("long", 0, request.param)


@pytest.fixture(params=ENGINES)
def long3(request: pytest.FixtureRequest) -> World:
    return world("long", 3, request.param)


@pytest.fixture(params=ENGINES)
def protected0(request: pytest.FixtureRequest) -> World:
    return world("protected", 0, request.param)


@pytest.fixture(params=ENGINES)
def protected3(request: pytest.FixtureRequest) -> World:
    return world("protected", 3, request.param)


# Interrupts in long mode.


def test_int_at_level_0_pushes_an_aligned_frame(long0: World) -> None:
    program = long0.load("movq $0x6ff3, %rsp\nstc\nint $0x80\nback:")
    long0.processor.rflags = IF | 2
    result = long0.outcome()
    assert (result.vector, result.rip, result.cs) == (0x80, program.symbols["back"], K64)
    assert (result.rsp, result.ss) == (0x6FF3, KDATA)
    assert long0.raw.gr[RSP] == 0x6FF0 - 40
    assert result.flags == IF | 3
    assert long0.processor.rflags & IF == 0
    assert long0.raw.seg_selector[SS] == KDATA


def test_int_from_level_3_switches_stacks_and_empties_ss(long3: World) -> None:
    program = long3.load("int $0x80\nback:")
    result = long3.outcome()
    raw = long3.raw
    assert (result.vector, result.rip, result.cs) == (0x80, program.symbols["back"], U64 | 3)
    assert (result.rsp, result.ss) == (STACK3, UDATA | 3)
    assert raw.gr[RSP] == STACK0 - 40
    assert (raw.seg_selector[SS], raw.seg_selector[CS], raw.cpl) == (0, K64, 0)


def test_int_through_a_trap_gate_keeps_if(long0: World) -> None:
    long0.vector(0x81, HANDLERS + 0x81, kind=0xF)
    long0.load("int $0x81")
    long0.processor.rflags = IF | NT | 2
    assert long0.outcome().flags == IF | NT | 2
    assert long0.processor.rflags & (IF | NT) == IF


def test_int_through_ist_takes_that_stack_at_the_same_level(long0: World) -> None:
    long0.vector(0x82, HANDLERS + 0x82, extra=1)
    long0.load("int $0x82")
    assert long0.outcome().rsp == STACK0
    assert long0.raw.gr[RSP] == IST1 - 40


def test_int_gate_of_level_0_from_level_3_faults_at_the_instruction(long3: World) -> None:
    long3.vector(0x83, HANDLERS + 0x83, level=0)
    long3.load("nop\nat: int $0x83")
    result = long3.outcome()
    assert (result.vector, result.error, result.rip) == (GP, 0x83 * 8 + 2, CODE + 1)
    assert result.flags & RF, "a fault"


@pytest.mark.parametrize("text", ["int3", ".byte 0xf1"])
def test_breakpoint_instructions_meet_the_gates_level(long3: World, text: str) -> None:
    vector = 3 if text == "int3" else 1
    for level in (3, 0):
        long3.vector(vector, HANDLERS + vector, level=level)
        long3.load(text)
        result = long3.outcome()
        if level == 3 or vector == 1:
            assert (result.vector, result.rip, result.flags & RF) == (vector, CODE + 1, 0)
        else:
            assert (result.vector, result.error, result.rip) == (GP, 3 * 8 + 2, CODE)
    long3.vector(vector, HANDLERS + vector)


@pytest.mark.parametrize(
    ("low", "expected"),
    [
        (gate(0xE, K64, HANDLERS) & ~PRESENT, (NP, 0x84 * 8 + 2)),
        (gate(0xC, K64, HANDLERS), (GP, 0x84 * 8 + 2)),
        (gate(0x6, K64, HANDLERS), (GP, 0x84 * 8 + 2)),
        (gate(0xE, 0, HANDLERS), (GP, 0)),
        (gate(0xE, KDATA, HANDLERS), (GP, KDATA)),
        (gate(0xE, K32, HANDLERS), (GP, K32)),
        (gate(0xE, U64, HANDLERS), (GP, U64)),
        (gate(0xE, 0x1008, HANDLERS), (GP, 0x1008)),
    ],
)
def test_int_bad_gate_faults_without_ext(long0: World, low: int, expected: Fault) -> None:
    long0.put(IDT + 16 * 0x84, low)
    assert long0.faults("int $0x84") == expected


def test_int_target_that_is_not_canonical_faults(long0: World) -> None:
    long0.vector(0x85, 0x8000_0000_0000)
    assert long0.faults("int $0x85") == (GP, 0)


def test_exception_through_a_bad_gate_sets_ext(long0: World) -> None:
    long0.vector(6, HANDLERS + 6, kind=0xC)
    result = long0.faults("ud2")
    long0.vector(6, HANDLERS + 6)
    assert result == (GP, 6 * 8 + 3)


def test_contributory_twice_is_a_double_fault_with_error_0(long0: World) -> None:
    long0.vector(13, HANDLERS + 13, kind=0xC)
    result = long0.faults("movl $0x1000, %eax\nmovl %eax, %ds")
    assert result == (DF, 0)
    long0.vector(8, HANDLERS + 8, kind=0xC)
    long0.load("movl $0x1000, %eax\nmovl %eax, %ds")
    assert long0.go() == Exit.SHUTDOWN
    long0.vector(8, HANDLERS + 8)
    long0.vector(13, HANDLERS + 13)


def test_stack_that_is_not_canonical_is_a_stack_fault_on_the_ist(long0: World) -> None:
    long0.vector(12, HANDLERS + 12, extra=1)
    result = long0.faults("movabsq $0x900000000000, %rsp\nint $0x80")
    assert result == (SSF, 0)
    assert long0.faults("movabsq $0x900000000000, %rsp\npushq %rax") == (SSF, 0)
    long0.vector(12, HANDLERS + 12)


def test_frame_that_does_not_fit_writes_nothing(long0: World) -> None:
    # The page below 600000h is not there: the upper part of the frame would fit.
    long0.put(0x20000 + 0x2000 + 16, 0)
    long0.vector(14, HANDLERS + 14, extra=1)
    long0.storage.write(0x60_0000, b"\xee" * 64)
    long0.load("movq $0x600010, %rsp\nint $0x80")
    result = long0.outcome()
    long0.put(0x20000 + 0x2000 + 16, 2 << 21 | 0x87)
    long0.vector(14, HANDLERS + 14)
    assert (result.vector, result.error, result.rsp) == (PF, 2, 0x60_0010)
    assert long0.raw.cr2 == 0x5F_FFE8
    assert long0.storage.read(0x60_0000, 16) == b"\xee" * 16


def test_conforming_handler_keeps_level_3_and_its_stack(long3: World) -> None:
    long3.vector(0x86, HANDLERS + 0x86, selector=CONF)
    long3.load("int $0x86")
    # HLT at level 3 is a general protection, whose frame names the handler.
    result = long3.outcome()
    assert long3.raw.cpl == 0 and result.vector == GP
    assert (result.rip, result.cs) == (HANDLERS + 0x86, CONF | 3)
    assert result.rsp == STACK3 - 40


def test_tss_without_the_stack_pointer_is_an_invalid_tss(long3: World) -> None:
    long3.load("int $0x80")
    long3.raw.seg_limit[7] = 0xA
    assert long3.go() == Exit.SHUTDOWN


# IRET in long mode.

RETURN = """
        pushq ${ss}
        pushq ${rsp}
        pushq ${flags}
        pushq ${cs}
        leaq target(%rip), %rax
        pushq %rax
        iretq
target: {after}
"""


def iretq(after: str, cs: int, ss: int, flags: int = 2, rsp: int = STACK3) -> str:
    return RETURN.format(ss=ss, rsp=rsp, flags=flags, cs=cs, after=after)


def test_iretq_to_level_3_loads_all_and_drops_inner_segments(long0: World) -> None:
    long0.load(iretq("int $0x80", U64 | 3, UDATA | 3, 0x24_4ED7))
    long0.segment(FS, UDATA | 3)
    result = long0.outcome()
    raw = long0.raw
    assert (result.vector, result.cs, result.ss, result.rsp) == (
        0x80, U64 | 3, UDATA | 3, STACK3,
    )  # fmt: skip
    assert result.flags == 0x24_4ED7
    assert (raw.seg_selector[DS], raw.seg_attr[DS]) == (0, 0)
    assert (raw.seg_selector[GS], raw.seg_selector[FS]) == (0, UDATA | 3)


def test_iretq_to_level_3_keeps_the_base_of_a_null_fs(long0: World) -> None:
    long0.load(iretq("int $0x80", U64 | 3, UDATA | 3))
    raw = long0.raw
    raw.seg_selector[FS], raw.seg_attr[FS], raw.seg_base[FS] = 0, 0, 0x1234_5678_9ABC
    long0.outcome()
    assert raw.seg_base[FS] == 0x1234_5678_9ABC


def test_iretq_to_compatibility_mode_runs_32_bit_code(long0: World) -> None:
    code = ".code32\nincl %eax\nincl %eax\nint $0x80\n.code64"
    long0.load(iretq(code, U32 | 3, UDATA | 3))
    result = long0.outcome()
    assert (result.vector, result.cs, result.rip) == (0x80, U32 | 3, long0.raw.gr[0] - 2 + 4)


def test_iretq_at_level_0_to_a_null_stack(long0: World) -> None:
    long0.load(iretq("hlt", K64, 0, 0x202))
    assert long0.outcome().vector is None
    assert (long0.raw.seg_selector[SS], long0.raw.gr[RSP]) == (0, STACK3)


@pytest.mark.parametrize(
    ("cs", "ss", "expected"),
    [
        (0, KDATA, (GP, 0)),
        (K64, UDATA | 3, (GP, UDATA)),
        (U64 | 3, 0, (GP, 0)),
        (U64, UDATA, (GP, U64)),
        (KDATA, KDATA, (GP, KDATA)),
        (U64 | 3, KDATA, (GP, KDATA)),
        (U64 | 3, U64 | 3, (GP, U64)),
        (0x1008, KDATA, (GP, 0x1008)),
    ],
)
def test_iretq_bad_selectors_fault(long0: World, cs: int, ss: int, expected: Fault) -> None:
    assert long0.faults(iretq("hlt", cs, ss)) == expected


def test_iretq_target_that_is_not_canonical_faults(long0: World) -> None:
    text = iretq("hlt", K64, KDATA).replace("leaq target(%rip)", "movabsq $0x800000000000")
    assert long0.faults(text) == (GP, 0)


def test_iretq_with_nt_faults_and_iret_ends_the_blocking_of_nmi(long0: World) -> None:
    long0.load(iretq("hlt", K64, KDATA))
    long0.processor.rflags = NT | 2
    long0.raw.nmi_blocked = 1
    assert long0.outcome().vector == GP and long0.raw.nmi_blocked == 1
    long0.load(iretq("hlt", K64, KDATA))
    long0.raw.nmi_blocked = 1
    assert long0.outcome().vector is None and long0.raw.nmi_blocked == 0


def test_iretd_at_level_3_changes_neither_if_nor_iopl(long3: World) -> None:
    source = f"""
        subq $20, %rsp
        movl $target, (%rsp)
        movl ${U64 | 3}, 4(%rsp)
        movl $0x3ed7, 8(%rsp)
        movl $0x7700, 12(%rsp)
        movl ${UDATA | 3}, 16(%rsp)
        iretl
target: int $0x80
    """
    long3.load(source)
    result = long3.outcome()
    assert (result.vector, result.flags, result.rsp) == (0x80, 0xCD7, 0x7700)


# Far transfers in long mode.


def test_lretq_to_level_3_drops_parameters_of_both_stacks(long0: World) -> None:
    source = f"""
        pushq ${UDATA | 3}
        pushq ${STACK3}
        pushq $0
        pushq $0
        pushq ${U64 | 3}
        pushq $target
        lretq $16
target: int $0x80
    """
    long0.load(source)
    result = long0.outcome()
    assert (result.vector, result.cs, result.rsp) == (0x80, U64 | 3, STACK3 + 16)


def test_far_call_by_memory_pushes_the_operand_size(long0: World) -> None:
    long0.put(DATA, CODE + 0x100 | K64 << 32)
    program = long0.load("lcall *0xa000\nback: hlt\n.org 0x100\nhlt")
    assert long0.outcome().vector is None
    assert long0.raw.gr[RSP] == STACK0 - 8
    assert long0.get(STACK0 - 8, 8) == program.symbols["back"] | K64 << 32
    long0.load(".byte 0x48\nlcall *0xa000\nback: hlt\n.org 0x100\nlretq")
    assert long0.outcome().vector is None
    assert long0.raw.gr[RSP] == STACK0


def test_far_jump_to_compatibility_mode_and_back(long0: World) -> None:
    long0.put(DATA, CODE + 0x100 | K32 << 32)
    source = f"ljmp *0xa000\nback: hlt\n.org 0x100\n.code32\nincl %eax\nljmp ${K64}, $back"
    long0.load(source)
    assert long0.outcome().vector is None
    assert (long0.raw.gr[0], long0.raw.seg_selector[CS]) == (1, K64)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (0, (GP, 0)),
        (KDATA, (GP, KDATA)),
        (U64 | 3, (GP, U64)),
        (K64 | 3, (GP, K64)),
        (ODD, (NP, ODD)),
        (ODD + 8, (GP, ODD + 8)),
        (GATE, (GP, GATE)),
    ],
)
def test_far_jump_bad_selector_faults(long0: World, selector: int, expected: Fault) -> None:
    long0.descriptor(ODD, CODE64 & ~PRESENT)
    long0.descriptor(ODD + 8, CODE64 | 1 << 54)
    long0.descriptor(GATE, gate(5, K64, CODE))
    long0.put(DATA, CODE | selector << 32)
    assert long0.faults("ljmp *0xa000") == expected


def test_call_gate_in_long_mode_switches_to_rsp0(long3: World) -> None:
    long3.descriptor(GATE, gate(0xC, K64, HANDLERS + 0x90, 3), 0)
    long3.put(DATA, GATE << 32 | 0xDEAD)
    long3.load("lcall *0xa000\nback:")
    result = long3.outcome()
    raw = long3.raw
    assert (raw.cpl, raw.seg_selector[SS], raw.gr[RSP]) == (0, 0, STACK0 - 32)
    frame = [long3.get(STACK0 - 32 + 8 * n, 8) for n in range(4)]
    assert frame == [CODE + 7, U64 | 3, STACK3, UDATA | 3]
    assert result.vector == 0x90


def test_call_gate_in_long_mode_at_the_same_level(long0: World) -> None:
    long0.descriptor(GATE, gate(0xC, K64, CODE + 0x100), 0)
    long0.put(DATA, GATE << 32)
    long0.load("lcall *0xa000\nhlt\n.org 0x100\nlretq")
    assert long0.outcome().vector is None
    assert long0.raw.gr[RSP] == STACK0


@pytest.mark.parametrize(
    ("low", "high", "text", "expected"),
    [
        (gate(0xC, K64, CODE, 0), 0, "lcall", (GP, GATE)),
        (gate(0xC, K64, CODE, 3) & ~PRESENT, 0, "lcall", (NP, GATE)),
        (gate(0xC, K32, CODE, 3), 0, "lcall", (GP, K32)),
        (gate(0xC, 0, CODE, 3), 0, "lcall", (GP, 0)),
        (gate(0xC, K64, CODE, 3), 0x1F00 << 32, "lcall", (GP, GATE)),
        (gate(0xC, K64, CODE, 3), 0x8000, "lcall", (GP, 0)),
        (gate(0xC, K64, CODE, 3), 0, "ljmp", (GP, K64)),
        (gate(0x4, K64, CODE, 3), 0, "lcall", (GP, GATE)),
    ],
)
def test_call_gate_in_long_mode_bad_faults(
    long3: World, low: int, high: int, text: str, expected: Fault
) -> None:
    long3.descriptor(GATE, low, high)
    long3.put(DATA, GATE << 32)
    assert long3.faults(f"{text} *0xa000") == expected


# Protected mode.


def test_int_in_protected_mode_from_level_3_uses_the_tss(protected3: World) -> None:
    program = protected3.load("int $0x80\nback:")
    result = protected3.outcome()
    raw = protected3.raw
    assert (result.vector, result.rip, result.cs) == (0x80, program.symbols["back"], U32 | 3)
    assert (result.rsp, result.ss) == (STACK3, UDATA | 3)
    assert (raw.seg_selector[SS], raw.seg_selector[CS], raw.gr[RSP]) == (KDATA, K32, STACK0 - 20)


def test_int_through_a_16_bit_gate_pushes_words(protected0: World) -> None:
    protected0.vector(0x87, HANDLERS + 0x87, kind=6)
    program = protected0.load("int $0x87\nback:")
    assert protected0.go() == Exit.HALT
    raw = protected0.raw
    assert (raw.rip, raw.gr[RSP]) == (HANDLERS + 0x88, STACK0 - 6)
    assert protected0.get(STACK0 - 6, 6) == program.symbols["back"] | K32 << 16 | 2 << 32


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        (0, (TS, 0)),
        (UDATA, (TS, UDATA)),
        (ODD, (SSF, ODD)),
        (K32, (TS, K32)),
        (0x1000, (TS, 0x1000)),
    ],
)
def test_bad_inner_stack_in_protected_mode_faults(
    protected3: World, stack: int, expected: Fault
) -> None:
    protected3.descriptor(ODD, 0x00CF_1300_0000_FFFF)
    protected3.put(TSS + 12, STACK0 | KDATA << 32)
    protected3.descriptor(ODD + 8, CODE32 | 1 << 45)
    protected3.vector(0x88, HANDLERS + 0x88)
    # Level 1 has its stack at 12: the faults themselves go to level 0.
    protected3.put(TSS + 12, STACK0 | (stack | 1 if stack & 0xFFF8 else 0) << 32)
    protected3.vector(0x88, HANDLERS + 0x88, selector=ODD + 8)
    if stack == ODD:
        protected3.descriptor(ODD, 0x00CF_3300_0000_FFFF)
    assert protected3.faults("int $0x88") == expected


def test_iret_in_protected_mode_round_trip(protected3: World) -> None:
    protected3.vector(0x89, CODE + 0x100)
    protected3.load("int $0x89\nint $0x80\n.org 0x100\nincl %eax\niretl")
    result = protected3.outcome()
    assert (result.vector, result.cs, result.rsp, protected3.raw.gr[0]) == (
        0x80, U32 | 3, STACK3, 1,
    )  # fmt: skip


def test_call_gate_copies_parameters_and_lret_drops_them(protected3: World) -> None:
    protected3.descriptor(GATE, gate(0xC, K32, CODE + 0x100, 3, 2))
    source = f"""
        pushl $0x11111111
        pushl $0x22222222
        lcall ${GATE}, $0
        int $0x80
        .org 0x100
        movl 8(%esp), %eax
        movl 12(%esp), %ebx
        movl %esp, %ecx
        movl %cs, %edx
        lretl $8
    """
    protected3.load(source)
    result = protected3.outcome()
    raw = protected3.raw
    assert (raw.gr[0], raw.gr[3], raw.gr[1]) == (0x22222222, 0x11111111, STACK0 - 24)
    assert (raw.gr[2], result.vector, result.rsp) == (K32, 0x80, STACK3)


def test_call_gate_of_16_bits_pushes_words(protected0: World) -> None:
    protected0.descriptor(GATE, gate(4, K32, CODE + 0x100))
    protected0.load(f"lcall ${GATE}, $0\nhlt\n.org 0x100\nlretw")
    assert protected0.outcome().vector is None
    assert protected0.raw.gr[RSP] == STACK0


def test_far_call_and_return_to_16_bit_code(protected0: World) -> None:
    source = f"lcall ${K16}, $0x8100\nhlt\n.org 0x100\n.code16\nincw %ax\nlretl"
    assert protected0.faults(source, rax=0xFFFF) == (None, None)
    assert protected0.raw.gr[0] == 0


def test_far_jump_past_the_limit_faults(protected0: World) -> None:
    protected0.descriptor(ODD, 0x0040_9B00_0000_7FFF)
    assert protected0.faults(f"ljmp ${ODD}, $0x8000") == (GP, 0)


def test_conforming_segment_is_called_at_level_3(protected3: World) -> None:
    protected3.load(f"lcall ${CONF}, $0x8100\n.org 0x100\nint $0x80")
    result = protected3.outcome()
    assert (result.vector, result.cs) == (0x80, CONF | 3)
    assert protected3.faults(f"lcall ${K32}, $0x8100") == (GP, K32)


def test_return_to_an_inner_level_faults(protected3: World) -> None:
    assert protected3.faults(f"pushl ${K32}\npushl $0x8000\nlretl") == (GP, K32)
    assert protected3.faults(f"pushfl\npushl ${K32}\npushl $0x8000\niretl") == (GP, K32)


def test_into_traps_on_overflow_alone(protected0: World) -> None:
    assert protected0.faults("xorl %eax, %eax\ninto\nhlt") == (None, None)
    protected0.load("movl $0x7fffffff, %eax\nincl %eax\ninto\nback:")
    result = protected0.outcome()
    assert (result.vector, result.rip) == (4, CODE + 7)


def test_gdt_entries_used_are_accessed(protected0: World) -> None:
    protected0.descriptor(ODD, 0x00CF_9A00_0000_FFFF)
    protected0.load(f"ljmp ${ODD}, $0x8100\n.org 0x100\nhlt")
    assert protected0.outcome().vector is None
    assert protected0.get(GDT + ODD + 5, 1) == 0x9B
    assert protected0.raw.seg_attr[CS] == 0xC9B
    assert protected0.raw.seg_selector[ES] == KDATA


def test_user_call_gate_to_user_code_stays(protected3: World) -> None:
    protected3.descriptor(GATE, gate(0xC, U32 | 3, CODE + 0x100, 3, 3))
    protected3.load(f"lcall ${GATE}, $0\nint $0x80\n.org 0x100\nlretl")
    result = protected3.outcome()
    assert (result.vector, result.rsp, result.cs) == (0x80, STACK3, U32 | 3)
