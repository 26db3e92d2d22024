"""Event injection, and what is reported when delivery does not succeed. ref: APM2 15.7.2, 15.20"""

import pytest

from tests.semantics.x86.svm.world import (
    CODE,
    DATA,
    HANDLERS,
    IDT,
    NESTED_PAGES,
    STACK,
    world,
)
from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Rflags
from worldswitch.arch.x86.svm_controls import EventType, Intercept1, event
from worldswitch.arch.x86.svm_exits import NpfInfo, SvmExit

VALID = 1 << 31


@pytest.mark.parametrize(
    ("kind", "vector", "error"),
    (
        (EventType.INTR, 0x41, None),
        (EventType.NMI, 2, None),
        (EventType.EXCEPTION, 6, None),
        (EventType.EXCEPTION, 13, 0x1234),
        (EventType.EXCEPTION, 14, 7),
    ),
)
def test_event_is_delivered_before_an_instruction(
    kind: EventType, vector: int, error: int | None
) -> None:
    w = world()
    w.guest("ud2", event_inj=event(kind, vector, error), cr2=0x99, intercept_exceptions=1 << 14)
    assert w.run() == SvmExit.HLT
    assert w.block.save.rip == HANDLERS + vector
    frame = w.block.save.rsp
    if error is not None:
        assert w.get(frame) == error
        frame += 8
    assert w.get(frame) == CODE
    assert w.get(frame + 24) == STACK
    assert w.block.save.cr2 == 0x99
    assert w.block.control.event_inj == 0
    assert w.block.control.exit_int_info == 0


def test_interrupt_is_injected_whatever_if_says() -> None:
    w = world()
    w.guest("ud2", event_inj=event(EventType.INTR, 0x41), rflags=2)
    assert w.run() == SvmExit.HLT
    assert w.block.save.rip == HANDLERS + 0x41


@pytest.mark.parametrize(
    ("kind", "vector"),
    ((EventType.SOFTWARE, 0x80), (EventType.EXCEPTION, 3), (EventType.EXCEPTION, 4)),
)
def test_software_event_returns_to_next_rip(kind: EventType, vector: int) -> None:
    w = world()
    w.guest("int $0x80; hlt", event_inj=event(kind, vector), next_rip=CODE + 2)
    assert w.run() == SvmExit.HLT
    assert w.block.save.rip == HANDLERS + vector
    assert w.get(w.block.save.rsp) == CODE + 2


def test_software_event_that_faults_is_back_at_the_instruction() -> None:
    w = world()
    w.guest("int $0x80; hlt", event_inj=event(EventType.SOFTWARE, 0x80), next_rip=CODE + 2,
            intercept_exceptions=1 << 13)  # fmt: skip
    w.put(IDT + 16 * 0x80, 0)
    assert w.run() == SvmExit.EXCP_GP
    assert w.info == (0x80 * 8 + 2, 0)
    assert w.block.save.rip == CODE
    assert w.block.control.exit_int_info == VALID | EventType.SOFTWARE << 8 | 0x80


def test_exception_during_injection_goes_to_the_guest_if_it_may() -> None:
    w = world()
    w.guest("hlt", event_inj=event(EventType.INTR, 0x41))
    w.put(IDT + 16 * 0x41, 0)
    assert w.run() == SvmExit.HLT
    assert w.block.save.rip == HANDLERS + Vector.GP
    assert w.get(w.block.save.rsp) == 0x41 * 8 + 3


def test_exception_during_delivery_is_intercepted_with_the_event() -> None:
    w = world()
    w.guest("ud2", intercept_exceptions=1 << 13)
    w.put(IDT + 16 * 6, 0)
    assert w.run() == SvmExit.EXCP_GP
    assert w.block.control.exit_int_info == VALID | EventType.EXCEPTION << 8 | 6
    assert w.block.save.rip == CODE


def test_double_fault_intercepted_has_the_first_exception() -> None:
    w = world()
    w.guest("xor %ecx, %ecx; div %ecx", intercept_exceptions=1 << 8)
    w.put(IDT, 0)
    assert w.run() == SvmExit.EXCP_DF
    assert w.info == (0, 0)
    assert w.block.control.exit_int_info == VALID | EventType.EXCEPTION << 8


def test_nested_fault_during_delivery_has_the_event() -> None:
    w = world()
    w.guest("mov 0x40000000, %eax", nested=True)
    w.map_small(NESTED_PAGES, 0, 0x28000)
    w.put(0x28000 + 8 * (IDT >> 12), 0)
    assert w.run() == SvmExit.NPF
    assert w.info == (NpfInfo.US | NpfInfo.FINAL, IDT + 16 * 14)
    assert w.block.control.exit_int_info == VALID | 1 << 11 | EventType.EXCEPTION << 8 | 14
    assert w.block.save.cr2 == 0x4000_0000
    assert w.block.control.insn_len == 0
    # The host maps the page and injects what was interrupted.
    w.put(0x28000 + 8 * (IDT >> 12), IDT | 7)
    w.change(event_inj=w.block.control.exit_int_info)
    assert w.run() == SvmExit.HLT
    assert w.block.save.rip == HANDLERS + 14
    assert w.get(w.block.save.rsp + 8) == CODE


def test_nested_fault_during_software_interrupt_is_at_the_instruction() -> None:
    w = world()
    w.guest("nop; int $0x80; hlt", nested=True)
    w.map_small(NESTED_PAGES, 0, 0x28000)
    w.put(0x28000 + 8 * (IDT >> 12), 0)
    assert w.run() == SvmExit.NPF
    assert w.block.control.exit_int_info == VALID | EventType.SOFTWARE << 8 | 0x80
    assert w.block.save.rip == CODE + 1


def test_injected_nmi_blocks_until_iret() -> None:
    w = world()
    w.guest("cpuid; hlt", event_inj=event(EventType.NMI, 2), intercept_1=Intercept1.IRET)
    w.storage.write(HANDLERS + 2, b"")
    w.gate(2, DATA)
    w.storage.write(DATA, bytes.fromhex("48cf"))
    assert w.run() == SvmExit.IRET
    assert w.block.save.rip == DATA


def test_injection_comes_before_a_pending_interrupt() -> None:
    w = world()
    w.guest("hlt", event_inj=event(EventType.EXCEPTION, 6), intercept_1=Intercept1.NMI)
    w.processor.make_pending(2)
    assert w.run() == SvmExit.NMI
    assert w.block.save.rip == HANDLERS + 6
    assert w.block.control.exit_int_info == 0


def test_triple_fault_by_injection_is_a_shutdown() -> None:
    w = world()
    w.guest("hlt", event_inj=event(EventType.EXCEPTION, 8, 0), rflags=2 | Rflags.IF)
    w.block.save.idtr.limit = 0
    assert w.run() == SvmExit.SHUTDOWN
