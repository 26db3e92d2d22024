"""Each exit code that a processor has a cause for, by a guest program under a host program.

ref: APM2 C SVM Intercept Exit Codes
"""

import pytest

from tests.semantics.x86.svm.exit_programs import (
    ALONE,
    NEVER,
    PROGRAMS,
    UNDEFINED,
    Program,
    every_msr,
)
from tests.semantics.x86.svm.world import (
    CODE,
    HANDLERS,
    HOST_CODE,
    MODEL,
    OTHER_VMCB,
    PAGES,
    RAX,
    RBX,
    VMCB,
    World,
    world,
)
from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.svm_controls import INTERCEPT_VECTORS, Intercept1, intercept_of
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import Vmcb
from worldswitch.lab.x86_assembler import assemble
from worldswitch.metal.x86.leave import Exit

WITH_MONITOR = f"{MODEL},+monitor"
HOST = "vmrun %rax; hlt"


def enter(program: Program, intercept: tuple[str, int] | None) -> World:
    """A host program enters the guest once, with an intercept or none; the world after it."""
    w = prepared(program)
    if intercept is not None:
        w.change(**{intercept[0]: intercept[1]})
    w.run_program(HOST)
    return w


def prepared(program: Program) -> World:
    """The guest, with its intercept off."""
    w = world("native", WITH_MONITOR)
    w.guest(program.source, **program.fields)
    for root in (PAGES, PAGES + 0x1000):
        w.put(root, w.get(root) | 4)
    program.prepare(w)
    return w


def ends(w: World, program: Program) -> None:
    """The guest has ended as a program does that is not intercepted."""
    assert w.block.control.exit_code == program.otherwise, hex(w.block.control.exit_code)
    if program.vector is not None:
        assert w.block.save.rip == HANDLERS + program.vector


def start(w: World) -> Exit:
    """The host program begins, and does not get back to its HLT; why it ends."""
    w.storage.write(HOST_CODE, assemble(HOST, HOST_CODE).text)
    w.raw.rip, w.raw.halted, w.raw.gr[RAX] = HOST_CODE, 0, VMCB
    return Exit(w.processor.run(1000))


def test_every_exit_code_has_a_program_or_a_reason() -> None:
    tables = (PROGRAMS, ALONE, NEVER)
    assert sum(len(table) for table in tables) == len(SvmExit)
    assert set().union(*tables) == set(SvmExit)


@pytest.mark.parametrize("code", PROGRAMS, ids=[code.name for code in PROGRAMS])
def test_program_leaves_with_the_code_if_intercepted_and_goes_on_if_not(code: SvmExit) -> None:
    program = PROGRAMS[code]
    w = enter(program, intercept_of(code))
    assert w.block.control.exit_code == code, hex(w.block.control.exit_code)
    assert w.raw.gif == 0
    ends(enter(program, None), program)


def test_halt_leaves_if_intercepted_and_waits_for_an_interrupt_if_not() -> None:
    program = ALONE[SvmExit.HLT]
    w = enter(program, None)
    assert w.block.control.exit_code == SvmExit.HLT
    w = prepared(program)
    w.block.control.intercept_1 &= ~Intercept1.HLT
    assert w.run() == SvmExit.INTR
    assert w.block.save.rip == CODE + 1


def test_triple_fault_leaves_if_intercepted_and_takes_the_processor_down_if_not() -> None:
    program = ALONE[SvmExit.SHUTDOWN]
    w = enter(program, None)
    assert w.block.control.exit_code == SvmExit.SHUTDOWN
    w = prepared(program)
    w.block.control.intercept_1 &= ~Intercept1.SHUTDOWN
    assert start(w) == Exit.SHUTDOWN


@pytest.mark.parametrize("code", (SvmExit.SMI, SvmExit.INIT))
def test_smi_and_init_leave_if_intercepted(code: SvmExit) -> None:
    w = enter(ALONE[code], intercept_of(code))
    assert w.block.control.exit_code == code
    assert w.raw.pending


def test_smi_that_is_not_intercepted_waits_for_the_guests_end() -> None:
    w = enter(ALONE[SvmExit.SMI], None)
    assert w.block.control.exit_code == SvmExit.HLT
    assert w.raw.pending


def test_init_that_is_not_intercepted_resets_the_processor() -> None:
    w = prepared(ALONE[SvmExit.INIT])
    start(w)
    assert (w.raw.guest, w.raw.cr0 & 1) == (0, 0)


def test_vmrun_of_a_guest_leaves_and_is_refused_without_its_intercept() -> None:
    program = ALONE[SvmExit.VMRUN]
    assert enter(program, None).block.control.exit_code == SvmExit.VMRUN
    w = prepared(program)
    w.block.control.intercept_2 = 0
    w.run_program(HOST)
    assert w.block.control.exit_code == program.otherwise


@pytest.mark.parametrize("nested", (True, False))
def test_nested_page_fault_leaves_where_the_nested_tables_have_no_page(nested: bool) -> None:
    program = ALONE[SvmExit.NPF]
    w = world("native", WITH_MONITOR)
    w.guest(program.source, nested=nested)
    program.prepare(w)
    w.run_program(HOST)
    assert w.block.control.exit_code == (SvmExit.NPF if nested else SvmExit.HLT)
    if nested:
        assert w.info[1] == 0x60_0000


def test_entry_of_an_invalid_block_leaves_at_once_and_of_the_repaired_one_does_not() -> None:
    program = ALONE[SvmExit.INVALID]
    w = enter(program, None)
    assert w.block.control.exit_code == SvmExit.INVALID
    w.change(asid=1)
    w.run_program(HOST)
    assert w.block.control.exit_code == SvmExit.HLT


@pytest.mark.parametrize("source", UNDEFINED.values(), ids=UNDEFINED)
def test_instruction_that_is_not_there_is_undefined_whatever_is_intercepted(source: str) -> None:
    w = prepared(Program(f"{source}; hlt", prepare=every_msr))
    everything = dict.fromkeys(INTERCEPT_VECTORS, 0xFFFF_FFFF)
    w.change(**everything)
    w.run_program(HOST)
    assert w.block.control.exit_code == SvmExit.EXCP_DE + Vector.UD


def test_nmi_is_no_exception_that_could_be_intercepted() -> None:
    w = enter(PROGRAMS[SvmExit.NMI], ("intercept_exceptions", 1 << 2))
    ends(w, PROGRAMS[SvmExit.NMI])


def test_host_program_runs_two_guests_in_turn() -> None:
    w = prepared(Program("inc %ebx; rdtsc; inc %ebx; hlt"))
    w.change(intercept_1=Intercept1.RDTSC)
    other = Vmcb(w.storage.view, OTHER_VMCB)
    w.fill(other)
    w.change(other, asid=2)
    w.raw.gr[RBX] = 0
    w.run_program(f"vmrun %rax; mov ${OTHER_VMCB:#x}, %eax; vmrun %rax; hlt")
    assert w.block.control.exit_code == SvmExit.RDTSC
    assert other.control.exit_code == SvmExit.HLT
    assert w.raw.gr[RBX] == 3
