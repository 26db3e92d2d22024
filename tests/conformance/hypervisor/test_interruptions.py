"""Pending interruptions, timers and host faults. ref: PoP 6 Priority of Interruptions."""

import pytest

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import PROGRAM, PSW_64, HypervisorGuest
from worldswitch.arch.s390x.external import ExternalCode
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.hypervisor.outcome import Preempted, Wait
from worldswitch.hypervisor.requests import Diagnose, ProgramLoop
from worldswitch.hypervisor.sie.events import (
    CpService,
    EmergencySignal,
    ExternalCall,
    InterruptKey,
    IoEvent,
    LocalEvent,
    MachineCheck,
    MalfunctionAlert,
    ServiceSignal,
)

P = ProgramCode
DONE = "\ndiag %r0, %r0, 0xfff\n"
TAKE = """
    larl %r1, controls
    lctlg %c0, %c0, 0(%r1)
    lctlg %c6, %c6, 8(%r1)
    lctlg %c14, %c14, 16(%r1)
    lghi %r5, 0x5000
    ready: diag %r0, %r0, 0xffd
    stosm 0x900(%r0), 3
    loop: j loop
    external: llgh %r4, 0x86(%r0)
    stg %r4, 0(%r5)
    aghi %r5, 8
    lpswe 0x130(%r0)
    io: llgf %r4, 0xb8(%r0)
    stg %r4, 0(%r5)
    aghi %r5, 8
    lpswe 0x170(%r0)
    .align 8
    controls: .quad CR0, CR6, CR14
"""
ALL_EXTERNAL = 0xFEE0
READY = Diagnose(0xFFD, 0, 0)
IO_EVENTS = [IoEvent(1, n, n, subclass << 27) for n, subclass in ((1, 5), (2, 3), (3, 3))]
EXTERNAL_EVENTS: list[LocalEvent] = [
    ExternalCall(1), EmergencySignal(3), EmergencySignal(2), MalfunctionAlert(4), InterruptKey(),
]  # fmt: skip


def taking(cr0: int = ALL_EXTERNAL, cr6: int = 0xFF00_0000, cpus: int = 2) -> HypervisorGuest:
    """A guest that is about to enable external and I/O interruptions."""
    text = TAKE.replace("CR0", hex(cr0)).replace("CR6", hex(cr6)).replace("CR14", "0")
    guest = HypervisorGuest(text, cpus=cpus)
    assert guest.request() == READY
    return guest


def taken(guest: HypervisorGuest, count: int, cpu: int = 0) -> list[int]:
    """The codes in the order in which the guest took them."""
    host = guest.machine.host
    host.deadline = host.processor.icount + 100_000
    assert guest.backend.run(guest.vm.vcpus[cpu], host) == Preempted()
    return [guest.load(0x5000 + 8 * n) for n in range(count)]


@covers("interruptions/priority", "interruptions/malfunction-alert")
def test_external_interruptions_come_in_the_order_of_priority() -> None:
    guest = taking()
    for event in EXTERNAL_EVENTS:
        guest.cpu.inject(event)
    guest.vm.inject(ServiceSignal(0x4000))
    assert taken(guest, 6) == [0x40, 0x1200, 0x1201, 0x1201, 0x1202, 0x2401]
    assert guest.load(0x84, 2) == 0
    assert guest.counted("deliver_malfunction_alert") == 1


@covers("interruptions/masked")
def test_interruption_that_its_subclass_masks_stays_pending() -> None:
    guest = taking(cr0=0xE0)
    guest.vm.inject(ServiceSignal(0x4000))
    assert taken(guest, 1) == [0]
    assert guest.vm.floating.pending()
    guest.cpu.sd.gcr[0] |= 0x200
    assert taken(guest, 1) == [0x2401]


@covers("interruptions/io-subclass")
def test_io_interruptions_come_by_subclass_and_age() -> None:
    guest = taking()
    for event in IO_EVENTS:
        guest.vm.inject(event)
    assert taken(guest, 3) == [0x1_0002, 0x1_0003, 0x1_0001]


@covers("interruptions/io-subclass")
def test_io_interruption_of_disabled_subclass_waits() -> None:
    guest = taking(cr6=0x0400_0000)
    for event in IO_EVENTS:
        guest.vm.inject(event)
    assert taken(guest, 2) == [0x1_0001, 0]


@covers("interruptions/floating")
def test_floating_interruption_goes_to_the_cpu_that_enables_it() -> None:
    guest = taking()
    other = guest.vm.vcpus[1]
    other.psw = PSW_64 | 0x0100_0000_0000_0000, guest.labels["loop"]
    other.sd.gcr[0] = 0x2E0
    other.gr[5] = 0x5000
    other.set_prefix(0x8000)
    guest.store(0x81B0, PSW_64)
    guest.store(0x81B8, guest.labels["external"])
    other.start()
    guest.cpu.sd.gcr[0] &= ~0x200
    guest.vm.inject(ServiceSignal(0x4000))
    assert taken(guest, 1) == [0]
    assert taken(guest, 1, cpu=1) == [0x2401]
    assert other.statistics.counters["deliver_service_signal"] == 1


@covers("interruptions/cp-service")
def test_control_program_interruption_stores_both_parameters() -> None:
    guest = taking()
    guest.vm.inject(CpService(0x1234, 0x5678))
    assert taken(guest, 1) == [0x2603]
    assert (guest.load(0x80, 4), guest.load(0x11B8)) == (0x1234, 0x5678)


@covers("interruptions/machine-check")
def test_machine_check_stores_code_and_registers() -> None:
    text = "lghi %r9, 9\n larl %r1, psw\n lpswe 0(%r1)\n loop: j loop\n mcheck: nopr: lr %r0, %r0"
    guest = HypervisorGuest(text + DONE + ".align 8\n psw: .quad 0x4000180000000, loop")
    guest.cpu.sd.gcr[14] = 0x0100_0000
    guest.cpu.inject(MachineCheck(0x0004_0000_0000_0000, 0x0100_0000, 5, 6))
    guest.finish()
    assert guest.load(0xE8) & 0x0004_0000_0000_0000
    assert (guest.load(0xF4, 4), guest.load(0xF8)) == (5, 6)
    assert guest.load(0x1280 + 72) == 9


WAITING = """
    larl %r1, data
    lctlg %c0, %c0, 0(%r1)
    SET
    lpswe 16(%r1)
    .align 8
    data: .quad 0xce0, 0x1000, 0x102000180000000, 0
    external: diag %r0, %r0, 0xfff
"""
COMPARATOR = (
    "stck 0x800(%r0)\n lg %r2, 0x800(%r0)\n ag %r2, 8(%r1)\n stg %r2, 0x800(%r0)\n sckc 0x800(%r0)"
)


@covers("timers/wait", "timers/cpu-timer-waits")
@pytest.mark.parametrize(
    ("setting", "code"),
    [(COMPARATOR, ExternalCode.CLOCK_COMPARATOR), ("spt 8(%r1)", ExternalCode.CPU_TIMER)],
)
def test_waiting_cpu_wakes_at_its_timer(setting: str, code: ExternalCode) -> None:
    guest = HypervisorGuest(WAITING.replace("SET", setting))
    assert guest.run() == Wait()
    wake = guest.cpu.wake_time()
    assert wake is not None
    assert 0 < wake - guest.cpu.now() <= 0x1000
    assert not guest.cpu.runnable()
    guest.machine.time = wake - 2
    assert not guest.cpu.runnable()
    guest.machine.time = wake + 1
    assert guest.cpu.runnable()
    guest.finish()
    assert guest.load(0x86, 2) == code


@covers("timers/loop")
def test_timer_that_the_new_psw_enables_again_is_delivered_once() -> None:
    guest = HypervisorGuest(WAITING.replace("SET", COMPARATOR))
    guest.store(0x1B0, PSW_64 | 0x0100_0000_0000_0000)
    assert guest.run() == Wait()
    wake = guest.cpu.wake_time()
    assert wake is not None
    guest.machine.time = wake + 1
    request = guest.request()
    assert isinstance(request, ProgramLoop)
    assert guest.load(0x86, 2) == ExternalCode.CLOCK_COMPARATOR
    assert guest.counted("deliver_ckc") == 1


@covers("fault/mapped")
def test_storage_is_mapped_when_it_is_touched() -> None:
    guest = HypervisorGuest("llilf %r2, 0x180000\n stg %r2, 0(%r2)\n lg %r4, 0(%r2)" + DONE)
    guest.finish()
    assert guest.cpu.gr[4] == 0x18_0000
    assert guest.counted("fault_mapped") >= 1


@covers("fault/outside")
@pytest.mark.parametrize("address", [0x20_0000, 0x7FFF_0000])
def test_storage_beyond_the_guests_is_addressing_exception(address: int) -> None:
    guest = HypervisorGuest(f"llilf %r2, {address}\n lg %r4, 0(%r2)" + DONE)
    assert guest.trap() == P.ADDRESSING
    assert guest.load(0x158) == PROGRAM + 12


@covers("fault/outside")
def test_hole_in_guest_storage_is_addressing_exception_of_its_instruction() -> None:
    guest = HypervisorGuest("llilf %r2, 0x180000\n lg %r4, 0(%r2)" + DONE)
    slot = guest.vm.gmap.slots.pop()
    guest.vm.gmap.insert(0, slot.host, 0x10_0000)
    assert guest.trap() == P.ADDRESSING
    assert (guest.load(0x8C, 2), guest.load(0x158)) == (6, PROGRAM + 12)


@covers("fault/instruction")
def test_instruction_in_a_hole_is_addressing_exception() -> None:
    guest = HypervisorGuest("llilf %r2, 0x180000\n br %r2" + DONE)
    slot = guest.vm.gmap.slots.pop()
    guest.vm.gmap.insert(0, slot.host, 0x10_0000)
    assert guest.trap() == P.ADDRESSING
