"""Physical and virtual interrupts, NMIs and GIF. ref: APM2 15.13, 15.17, 15.21"""

import pytest

from tests.semantics.x86.svm.world import CODE, DATA, HANDLERS, VMCB, World, world
from worldswitch.arch.x86.registers import Rflags
from worldswitch.arch.x86.svm_controls import Intercept1, Intercept2, IntState
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.metal.interface import EntryResult
from worldswitch.metal.x86.pending import PENDING_INIT, PENDING_NMI, PENDING_SMI

IF = 2 | Rflags.IF


def raise_interrupt(w: World, vector: int) -> None:
    """A fixed interrupt arrives at the physical local APIC."""
    w.raw.apic_svr = 0x1FF
    w.raw.apic_irr[vector >> 6] |= 1 << (vector & 63)
    w.raw.check = 1


@pytest.mark.parametrize(
    ("bits", "intercept", "code"),
    (
        (PENDING_NMI, Intercept1.NMI, SvmExit.NMI),
        (PENDING_SMI, Intercept1.SMI, SvmExit.SMI),
        (PENDING_INIT, Intercept1.INIT, SvmExit.INIT),
    ),
)
def test_pending_event_intercepted_exits_and_stays_pending(
    bits: int, intercept: Intercept1, code: SvmExit
) -> None:
    w = world()
    w.guest("hlt", intercept_1=intercept)
    w.host.clgi()
    w.processor.make_pending(bits)
    assert w.run() == code
    assert w.block.save.rip == CODE
    assert w.raw.pending & bits
    assert w.raw.gif == 0


def test_interrupt_intercepted_exits_and_is_not_acknowledged() -> None:
    w = world()
    w.guest("hlt", intercept_1=Intercept1.INTR, rflags=IF)
    w.host.clgi()
    raise_interrupt(w, 0x61)
    assert w.run() == SvmExit.INTR
    assert w.raw.apic_irr[1]


def test_interrupt_not_intercepted_goes_to_the_guest() -> None:
    w = world()
    w.guest("ud2", rflags=IF)
    w.host.clgi()
    raise_interrupt(w, 0x61)
    assert w.run() == SvmExit.HLT
    assert w.block.save.rip == HANDLERS + 0x61


def test_guest_if_holds_interrupts_without_masking() -> None:
    w = world()
    w.guest("nop; hlt", intercept_1=Intercept1.INTR)
    w.host.clgi()
    raise_interrupt(w, 0x61)
    assert w.run() == SvmExit.HLT


def test_masking_leaves_physical_interrupts_to_the_hosts_if() -> None:
    w = world()
    w.guest("nop; hlt", intercept_1=Intercept1.INTR, v_intr_masking=1)
    w.host.clgi()
    raise_interrupt(w, 0x61)
    assert w.run() == SvmExit.INTR
    w.processor.rflags = 2
    assert w.run() == SvmExit.HLT


def test_exit_for_an_interrupt_is_not_held_by_a_shadow() -> None:
    w = world()
    w.guest("nop; hlt", intercept_1=Intercept1.INTR, rflags=IF, interrupt_shadow=1)
    w.host.clgi()
    raise_interrupt(w, 0x61)
    assert w.run() == SvmExit.INTR
    assert w.block.control.int_state == IntState.INTERRUPT_SHADOW


def test_shadow_is_saved_at_an_exit_behind_sti_and_restored() -> None:
    w = world()
    w.guest("sti; cpuid; nop; hlt", intercept_1=Intercept1.CPUID)
    assert w.run() == SvmExit.CPUID
    assert w.block.control.int_state == IntState.INTERRUPT_SHADOW
    w.skip()
    w.change(v_irq=1, v_intr_vector=0x50, v_intr_prio=5)
    w.run_to_end()
    assert w.block.save.rip == HANDLERS + 0x50
    assert w.get(w.block.save.rsp) == CODE + 4
    w.guest("sti; nop; cpuid; hlt", intercept_1=Intercept1.CPUID)
    assert w.run() == SvmExit.CPUID
    assert w.block.control.int_state == 0


@pytest.mark.parametrize("vectors", ("cpuid; hlt", "nop; hlt"))
def test_virtual_interrupt_is_delivered_and_v_irq_clears(vectors: str) -> None:
    w = world()
    w.guest(vectors, rflags=IF, v_irq=1, v_intr_vector=0x77, v_intr_prio=7, v_intr_masking=1)
    assert w.run() == SvmExit.HLT
    assert w.block.save.rip == HANDLERS + 0x77
    assert w.block.control.v_irq == 0
    assert w.block.control.v_intr_vector == 0x77


def test_virtual_interrupt_waits_for_if_and_priority() -> None:
    w = world()
    w.guest("nop; hlt", v_irq=1, v_intr_vector=0x77, v_intr_prio=7, v_intr_masking=1)
    assert w.run() == SvmExit.HLT
    assert (w.block.save.rip, w.block.control.v_irq) == (CODE + 1, 1)
    w.guest("nop; hlt", rflags=IF, v_irq=1, v_intr_prio=7, v_tpr=7, v_intr_masking=1)
    assert w.run() == SvmExit.HLT
    assert w.block.control.v_irq == 1
    w.guest("nop; hlt", rflags=IF, v_irq=1, v_intr_prio=7, v_tpr=9, v_ign_tpr=1,
            v_intr_vector=0x50)  # fmt: skip
    assert w.run() == SvmExit.HLT
    assert w.block.control.v_irq == 0


def test_virtual_interrupt_comes_with_sti_or_cr8() -> None:
    w = world()
    w.guest("sti; nop; nop; hlt", v_irq=1, v_intr_vector=0x50, v_intr_prio=5)
    assert w.run() == SvmExit.HLT
    assert w.get(w.block.save.rsp) == CODE + 2
    w.guest("xor %eax, %eax; mov %rax, %cr8; nop; hlt", rflags=IF, v_irq=1, v_intr_vector=0x50,
            v_intr_prio=5, v_tpr=6, v_intr_masking=1)  # fmt: skip
    assert w.run() == SvmExit.HLT
    assert w.get(w.block.save.rsp) == CODE + 6


def test_virtual_interrupt_intercepted_opens_a_window() -> None:
    w = world()
    w.guest("sti; nop; nop; hlt", v_irq=1, v_intr_vector=0x50, v_intr_prio=5,
            intercept_1=Intercept1.VINTR)  # fmt: skip
    assert w.run() == SvmExit.VINTR
    assert w.block.save.rip == CODE + 2
    assert w.block.control.v_irq == 1


def test_cr8_of_a_guest_with_masking_is_v_tpr() -> None:
    w = world()
    w.guest("mov %cr8, %rbx; mov $9, %eax; mov %rax, %cr8; hlt", v_tpr=3, v_intr_masking=1)
    w.raw.apic_tpr = 0x50
    assert w.run() == SvmExit.HLT
    assert w.gr[3] == 3
    assert w.block.control.v_tpr == 9
    assert w.raw.apic_tpr == 0x50
    w.guest("mov %cr8, %rbx; hlt", v_tpr=3)
    w.raw.apic_tpr = 0x50
    assert w.run() == SvmExit.HLT
    assert w.gr[3] == 5


def test_virtual_gif_holds_virtual_interrupts() -> None:
    w = world()
    w.guest("nop; stgi; nop; hlt", rflags=IF, v_irq=1, v_intr_vector=0x50, v_intr_prio=5,
            v_gif_enable=1)  # fmt: skip
    assert w.run() == SvmExit.HLT
    assert w.block.save.rip == HANDLERS + 0x50
    assert w.get(w.block.save.rsp) == CODE + 4
    assert w.block.control.v_gif == 1
    w.guest("clgi; hlt", v_gif_enable=1, v_gif=1)
    assert w.run() == SvmExit.HLT
    assert w.block.control.v_gif == 0


@pytest.mark.parametrize(("first", "held"), (("clgi", True), ("stgi", False)))
def test_clgi_of_a_guest_without_virtual_gif_is_the_physical_one(first: str, held: bool) -> None:
    w = world()
    program = w.guest(f"{first}; out %al, $0x10; here: nop; stgi; there: nop; hlt",
                      intercept_1=Intercept1.NMI)  # fmt: skip
    w.on_port = lambda: w.processor.make_pending(PENDING_NMI)
    assert w.run() == SvmExit.NMI
    assert w.block.save.rip == program.symbols["there" if held else "here"]


def test_stgi_intercepted_wins_over_virtual_gif() -> None:
    w = world()
    w.guest("stgi; hlt", v_gif_enable=1, intercept_2=Intercept2.STGI)
    assert w.run() == SvmExit.STGI
    assert w.block.control.v_gif == 0


def test_virtual_nmi_is_delivered_and_masks_until_iret() -> None:
    w = world()
    w.guest("nop; hlt", intercept_1=Intercept1.NMI, v_nmi_enable=1, v_nmi=1)
    w.gate(2, DATA)
    w.storage.write(DATA, bytes.fromhex("0fa2 48cf"))
    w.change(intercept_1=Intercept1.CPUID)
    assert w.run() == SvmExit.CPUID
    assert w.block.save.rip == DATA
    assert (w.block.control.v_nmi, w.block.control.v_nmi_mask) == (0, 1)
    w.skip()
    w.change(v_nmi=1)
    # The second comes behind IRET.
    assert w.run() == SvmExit.CPUID
    assert w.block.control.v_nmi == 0
    w.skip()
    assert w.run() == SvmExit.HLT
    assert w.block.control.v_nmi_mask == 0
    assert w.block.save.rip == CODE + 1


def test_virtual_nmi_masked_stays_pending() -> None:
    w = world()
    w.guest("nop; hlt", intercept_1=Intercept1.NMI, v_nmi_enable=1, v_nmi=1, v_nmi_mask=1)
    assert w.run() == SvmExit.HLT
    assert w.block.save.rip == CODE + 1
    assert (w.block.control.v_nmi, w.block.control.v_nmi_mask) == (1, 1)


def test_nmi_not_intercepted_goes_to_the_guest() -> None:
    w = world()
    w.guest("ud2")
    w.host.clgi()
    w.processor.make_pending(PENDING_NMI)
    assert w.run() == SvmExit.HLT
    assert w.block.save.rip == HANDLERS + 2
    assert not w.raw.pending & PENDING_NMI


def test_slice_that_ends_is_an_interrupt() -> None:
    w = world()
    w.guest("jmp .", intercept_1=Intercept1.INTR, v_intr_masking=1)
    w.host.time_slice = 1000
    before = w.host.icount
    assert w.run() == SvmExit.INTR
    assert 900 <= w.host.icount - before <= 1200
    assert w.block.save.rip == CODE


def test_slice_that_ends_while_interrupts_are_off_preempts_and_goes_on() -> None:
    w = world()
    w.guest("mov $3000, %ecx; again: dec %ecx; jnz again; hlt", intercept_1=Intercept1.INTR)
    w.host.time_slice = 1000
    assert w.host.vmrun(VMCB) is EntryResult.PREEMPTED
    results = [w.host.vmrun(VMCB) for _ in range(6)]
    assert EntryResult.EXIT in results
    assert w.block.control.exit_code == SvmExit.HLT


def test_deadline_that_has_passed_exits_before_an_instruction() -> None:
    w = world()
    w.guest("inc %ebx; hlt", intercept_1=Intercept1.INTR, v_intr_masking=1)
    w.gr[3] = 0
    w.host.deadline = w.host.icount
    assert w.run() == SvmExit.INTR
    assert w.gr[3] == 0


def test_halt_not_intercepted_lasts_until_the_host_interrupts() -> None:
    w = world()
    w.guest("sti; hlt; nop", intercept_1=Intercept1.INTR, v_intr_masking=1)
    w.block.control.intercept_1 &= ~Intercept1.HLT
    assert w.run() == SvmExit.INTR
    assert w.block.save.rip == CODE + 2
