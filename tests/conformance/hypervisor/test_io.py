"""I/O instructions, page states, topology and EXTRACT PSW."""

import pytest

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import HypervisorGuest, grant, plant
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.hypervisor.requests import (
    IoInstruction,
    TopologyFunction,
)
from worldswitch.hypervisor.sie.events import IoEvent
from worldswitch.hypervisor.sie.options import Options

P = ProgramCode
DONE = "\ndiag %r0, %r0, 0xfff\n"
OUTSIDE = "llilf %r9, 0x70000000\n"


def ran(text: str, **options: bool) -> HypervisorGuest:
    """A guest after its program."""
    guest = HypervisorGuest(text + DONE, options=Options(**options))
    guest.finish()
    return guest


EVENT = IoEvent(1, 2, 3, 0x1800_0000)


@covers("io/tpi")
def test_test_pending_interruption_stores_the_code() -> None:
    text = "larl %r1, cr6\n lctlg %c6, %c6, 0(%r1)\n tpi 0x800(%r0)" + DONE
    guest = HypervisorGuest(text + ".align 8\n cr6: .quad 0xff000000")
    guest.vm.inject(EVENT)
    guest.finish()
    assert guest.cc == 1
    assert guest.load(0x800) == 0x0001_0002_0000_0003
    assert not guest.vm.floating.pending()


@covers("io/tpi-lowcore")
def test_test_pending_interruption_without_address_stores_into_the_lowcore() -> None:
    text = "larl %r1, cr6\n lctlg %c6, %c6, 0(%r1)\n tpi 0(%r0)" + DONE
    guest = HypervisorGuest(text + ".align 8\n cr6: .quad 0xff000000")
    guest.vm.inject(EVENT)
    guest.finish()
    assert (guest.load(0xB8), guest.load(0xC0, 4)) == (0x0001_0002_0000_0003, 0x1800_0000)


@covers("io/tpi-none")
def test_test_pending_interruption_of_disabled_subclass_finds_nothing() -> None:
    guest = HypervisorGuest("tpi 0x800(%r0)" + DONE)
    guest.vm.inject(EVENT)
    guest.finish()
    assert guest.cc == 0
    assert guest.vm.floating.pending()


@covers("io/tpi-access")
def test_test_pending_interruption_that_cannot_store_keeps_it_pending() -> None:
    text = "larl %r1, cr6\n lctlg %c6, %c6, 0(%r1)\n" + OUTSIDE + "tpi 0(%r9)" + DONE
    guest = HypervisorGuest(text + ".align 8\n cr6: .quad 0xff000000")
    guest.vm.inject(EVENT)
    assert guest.trap() == P.ADDRESSING
    assert guest.vm.floating.pending()


@covers("io/machine")
@pytest.mark.parametrize(
    ("text", "opcode", "where"),
    [("stsch 0x800(%r0)", 0xB234, 0x800), ("ssch 0x800(%r0)", 0xB233, 0x800), ("xsch", 0xB276, 0)],
)
def test_io_instruction_is_the_machines(text: str, opcode: int, where: int) -> None:
    guest = HypervisorGuest("llilf %r1, 0x10005\n" + text + DONE)
    assert guest.request() == IoInstruction(opcode, where, 0, 0x1_0005)


@covers("io/tsch")
def test_test_subchannel_takes_its_interruption() -> None:
    guest = HypervisorGuest("llilf %r1, 0x10002\n tsch 0x800(%r0)" + DONE)
    guest.vm.inject(EVENT)
    assert guest.request() == IoInstruction(0xB235, 0x800, 0, 0x1_0002, dequeued=True)
    assert not guest.vm.floating.pending()


@covers("io/no-channel-subsystem")
@pytest.mark.parametrize("text", ["stsch 0x800(%r0)", "tpi 0x800(%r0)"])
def test_io_instruction_without_channel_subsystem_is_not_operational(text: str) -> None:
    guest = ran(text, css_support=False)
    assert guest.cc == 3


@covers("io/chsc")
def test_channel_subsystem_call_checks_its_page() -> None:
    assert HypervisorGuest("llilf %r2, 0x8008\n chsc %r2" + DONE).trap() == P.SPECIFICATION
    guest = HypervisorGuest("llilf %r2, 0x8000\n lghi %r1, 0\n chsc %r2" + DONE)
    assert guest.request() == IoInstruction(0xB25F, 0x8000, 2, 0)


@covers("io/siga")
def test_signal_adapter_finds_no_queues() -> None:
    guest = HypervisorGuest("stap 0x800(%r0)" + DONE)
    plant(guest, Icpt.INST, ipa=0xB274, ipb=0)
    guest.finish()
    assert guest.cc == 3


# B9 and E5.


@covers("instruction/b9", "b9/epsw")
def test_extract_psw_that_is_intercepted_gives_both_halves() -> None:
    guest = HypervisorGuest("stap 0x800(%r0)" + DONE)
    plant(guest, Icpt.INST, ipa=0xB98D, ipb=0x24_0000)
    guest.finish()
    assert (guest.cpu.gr[2], guest.cpu.gr[4]) == (1, 0x8000_0000)


@covers("b9/topology")
def test_topology_function_is_the_machines() -> None:
    guest = HypervisorGuest("lghi %r2, 2\n stap 0x800(%r0)" + DONE)
    grant(guest, 11)
    plant(guest, Icpt.INST, ipa=0xB9A2, ipb=0x20_0000)
    assert guest.request() == TopologyFunction(2, 2)


@covers("b9/topology-checks")
@pytest.mark.parametrize(
    ("facility", "value", "code"), [(11, 0x100, P.SPECIFICATION), (3, 2, P.OPERATION)]
)
def test_topology_function_is_checked(facility: int, value: int, code: ProgramCode) -> None:
    guest = HypervisorGuest(f"lghi %r2, {value}\n stap 0x800(%r0)" + DONE)
    guest.vm.facilities -= {11}
    grant(guest, facility)
    plant(guest, Icpt.INST, ipa=0xB9A2, ipb=0x20_0000)
    assert guest.trap() == code


@covers("b9/essa-absent")
def test_page_states_without_memory_management_are_operation_exception() -> None:
    assert HypervisorGuest(".insn b9ab0024" + DONE).trap() == P.OPERATION


ESSA = "llilf %r4, 0x8000\n .insn b9abORDER024\n .insn b9ab0034" + DONE


@covers("b9/essa")
@pytest.mark.parametrize(
    ("order", "state", "discarded"), [(1, 0, False), (2, 7, True), (3, 0xC, False)]
)
def test_page_state_is_set_and_unused_page_discarded(
    order: int, state: int, discarded: bool
) -> None:
    text = ESSA.replace("ORDER", str(order))
    guest = HypervisorGuest(text, options=Options(cmma=True))
    guest.store(0x8000, 5)
    guest.finish()
    assert guest.cpu.gr[2] == 0
    assert guest.cpu.gr[3] == state
    assert guest.load(0x8000) == (0 if discarded else 5)


@covers("b9/essa-reserved")
def test_reserved_page_state_order_is_specification_exception() -> None:
    guest = HypervisorGuest(ESSA.replace("ORDER", "f"), options=Options(cmma=True))
    assert guest.trap() == P.SPECIFICATION
