"""A field that is said to be clean and was changed is not seen. ref: APM2 15.15"""

import pytest

from tests.semantics.x86.svm.world import CODE, OTHER_VMCB, VMCB, World, world
from worldswitch.arch.x86.svm_controls import Clean, Intercept1
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import Vmcb

ALL = 0xFFFF_FFFF
LOOP = "again: cpuid; jmp again"


def once_run(source: str = LOOP, **changes: int) -> World:
    """A world whose guest has been left at CPUID once."""
    w = world()
    w.guest(source, intercept_1=Intercept1.CPUID | Intercept1.MSR_PROT, **changes)
    assert w.run() == SvmExit.CPUID
    return w


def test_intercepts_clean_and_changed_still_intercept() -> None:
    w = once_run()
    w.skip()
    w.block.control.intercept_1 = Intercept1.HLT
    w.block.control.clean = Clean.INTERCEPTS
    assert w.run() == SvmExit.CPUID


def test_intercepts_changed_and_not_clean_are_seen() -> None:
    w = once_run("cpuid; cpuid; hlt")
    w.skip()
    w.block.control.intercept_1 = Intercept1.HLT
    w.block.control.clean = ALL & ~Clean.INTERCEPTS
    assert w.run() == SvmExit.HLT


@pytest.mark.parametrize(
    ("bit", "source", "field", "value"),
    (
        (Clean.CR2, "cpuid; mov %cr2, %rax; hlt", "cr2", 0x777),
        (Clean.CRX, "cpuid; mov %cr4, %rax; hlt", "cr4", 0x620 | 4),
        (Clean.DRX, "cpuid; mov %dr6, %rax; hlt", "dr6", 0xFFFF_0FF1),
    ),
)
def test_state_clean_and_changed_is_not_seen(
    bit: Clean, source: str, field: str, value: int
) -> None:
    w = once_run(source)
    before = getattr(w.block.save, field)
    w.skip()
    setattr(w.block.save, field, value)
    w.block.control.clean = bit
    assert w.run() == SvmExit.HLT
    assert w.block.save.rax == before
    w = once_run(source)
    w.skip()
    setattr(w.block.save, field, value)
    w.block.control.clean = ALL & ~bit
    assert w.run() == SvmExit.HLT
    assert w.block.save.rax == value


def test_segment_clean_and_changed_is_not_seen() -> None:
    w = once_run("cpuid; mov %ds, %eax; hlt")
    w.skip()
    w.block.save.ds.selector = 0x33
    w.block.control.clean = Clean.SEG
    assert w.run() == SvmExit.HLT
    assert w.block.save.rax == 0x10
    assert w.block.save.ds.selector == 0x10


def test_descriptor_table_clean_and_changed_is_not_seen() -> None:
    w = once_run("cpuid; sidt 0x200000; hlt")
    w.skip()
    w.block.save.idtr.base = 0x5555
    w.block.control.clean = Clean.DT
    assert w.run() == SvmExit.HLT
    assert w.get(0x200002) == 0x2000


def test_maps_clean_and_changed_are_those_of_before() -> None:
    w = once_run("cpuid; mov $0x10, %ecx; rdmsr; hlt")
    w.skip()
    w.block.control.msrpm_base_pa = 0x3A000
    w.storage.write(0x3A000, b"\xff" * 8192)
    w.block.control.clean = Clean.IOPM
    assert w.run() == SvmExit.HLT


def test_nested_root_clean_and_changed_is_that_of_before() -> None:
    w = world()
    w.guest(LOOP, nested=True, intercept_1=Intercept1.CPUID)
    assert w.run() == SvmExit.CPUID
    w.skip()
    w.block.control.nested_cr3 = 0x7F_0000
    w.block.control.tlb_control = 1
    w.block.control.clean = Clean.NP
    assert w.run() == SvmExit.CPUID
    w.skip()
    w.block.control.clean = 0
    assert w.run() == SvmExit.NPF


def test_virtual_interrupt_clean_and_changed_is_not_seen() -> None:
    w = once_run(rflags=0x202)
    w.skip()
    w.change(v_irq=1, v_intr_vector=0x50, v_intr_prio=15)
    w.block.control.clean = Clean.TPR
    assert w.run() == SvmExit.CPUID
    w.skip()
    w.change(v_irq=1, v_intr_vector=0x50, v_intr_prio=15)
    w.block.control.clean = ALL & ~Clean.TPR
    assert w.run() == SvmExit.HLT
    assert w.block.save.rip == 0x650


def test_rip_and_flags_have_no_clean_bit() -> None:
    w = once_run("cpuid; ud2; target: pushfq; hlt")
    w.block.save.rip = CODE + 4
    w.block.save.rflags = 0x403
    w.block.control.clean = ALL
    assert w.run() == SvmExit.HLT
    assert w.get(w.block.save.rsp) == 0x403


def test_asid_clean_and_changed_keeps_the_old_translations() -> None:
    w = once_run("again: mov 0x200000, %eax; cpuid; jmp again")
    w.put(0x20_0000, 1)
    w.put(0x40_0000, 2)
    w.put(0x12008, 0x40_0087)
    for clean, seen in ((Clean.ASID, 0), (0, 2)):
        w.skip()
        w.block.save.rax = 0
        w.block.control.asid = 9
        w.block.control.clean = clean
        assert w.run() == SvmExit.CPUID
        assert w.block.save.rax == (seen or 1)


def test_other_vmcb_is_read_in_full() -> None:
    w = once_run()
    other = Vmcb(w.storage.view, OTHER_VMCB)
    w.fill(other)
    w.change(other, intercept_1=Intercept1.HLT, rip=CODE + 2)
    other.control.clean = ALL
    w.storage.write(CODE + 2, b"\xf4")
    w.host.vmrun(OTHER_VMCB)
    assert other.control.exit_code == SvmExit.HLT
    # The processor holds the other one now: here nothing is clean, whatever the block says.
    w.block.control.clean = ALL
    w.block.control.intercept_1 = Intercept1.HLT
    w.storage.write(CODE, bytes.fromhex("90f4"))
    w.host.vmrun(VMCB)
    assert w.block.control.exit_code == SvmExit.HLT


def test_vmcb_that_was_invalid_is_read_in_full() -> None:
    w = once_run()
    w.block.control.asid = 0
    assert w.run() == SvmExit.INVALID
    w.block.control.asid = 1
    w.block.control.clean = ALL
    assert w.run() == SvmExit.CPUID
