"""Debugging a guest by PER: steps, breakpoints, watchpoints; hooks, statistics, traces."""

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import PROGRAM, HypervisorGuest
from worldswitch.arch.s390x.program import PER
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.hypervisor.outcome import Outcome, Resume
from worldswitch.hypervisor.requests import DebugEvent, Diagnose
from worldswitch.hypervisor.sie.debug import GuestDebug
from worldswitch.hypervisor.sie.events import ServiceSignal
from worldswitch.hypervisor.sie.vcpu import SieVcpu
from worldswitch.hypervisor.trace import Recorder

DONE = "\ndiag %r0, %r0, 0xfff\n"
END = Diagnose(0xFFF, 0, 0)
LOOP = (
    """
    lghi %r2, 3
    loop: stg %r2, 0x800(%r0)
    aghi %r2, -1
    jne loop
    over: lghi %r4, 1
"""
    + DONE
)


def stops(guest: HypervisorGuest) -> list[int]:
    """Where the guest stops for the person who debugs it, until its program ends."""
    found: list[int] = []
    while True:
        request = guest.request()
        if request == END:
            return found
        assert isinstance(request, DebugEvent), request
        found.append(request.address)


@covers("debug/step")
def test_single_steps_stop_after_each_instruction() -> None:
    guest = HypervisorGuest("lghi %r2, 5\n j over\n lghi %r2, 6\n over: lghi %r4, 7" + DONE)
    guest.cpu.debug = GuestDebug(single_step=True)
    over = guest.labels["over"]
    assert stops(guest)[:3] == [PROGRAM + 4, over, over + 4]
    assert guest.cpu.gr[2] == 5
    assert guest.cpu.sd.gcr[9] == 0


@covers("debug/step-emulated")
def test_single_step_over_instruction_of_the_hypervisor_stops_behind_it() -> None:
    guest = HypervisorGuest("stap 0x800(%r0)\n stidp 0x808(%r0)" + DONE)
    guest.cpu.debug = GuestDebug(single_step=True)
    assert stops(guest)[:2] == [PROGRAM + 4, PROGRAM + 8]


@covers("debug/step")
def test_single_step_does_not_end_in_an_interruption_handler() -> None:
    text = (
        "larl %r1, cr0\n lctlg %c0, %c0, 0(%r1)\n stosm 0x900(%r0), 1\n lghi %r2, 5\n lghi %r2, 6"
    )
    text += DONE + "external: lghi %r4, 1" + DONE + ".align 8\n cr0: .quad 0x2e0"
    guest = HypervisorGuest(text)
    guest.vm.inject(ServiceSignal(0x4000))
    guest.cpu.debug = GuestDebug(single_step=True)
    assert guest.cpu.gr[4] == 0
    steps = stops(guest)
    assert all(address < guest.labels["external"] for address in steps[:3])


@covers("debug/breakpoint")
def test_breakpoint_stops_before_its_instruction_each_time() -> None:
    guest = HypervisorGuest(LOOP)
    loop = guest.labels["loop"]
    guest.cpu.debug = GuestDebug(breakpoints={loop})
    values: list[int] = []
    while guest.request() != END:
        values.append(guest.cpu.gr[2])
    assert values == [3, 2, 1]


@covers("debug/breakpoint")
def test_breakpoints_far_apart_are_all_hit() -> None:
    guest = HypervisorGuest(LOOP)
    over = guest.labels["over"]
    guest.cpu.debug = GuestDebug(breakpoints={over, 0x9000})
    assert stops(guest) == [over]


@covers("debug/watchpoint")
def test_watchpoint_stops_when_the_content_changes() -> None:
    guest = HypervisorGuest(LOOP)
    guest.cpu.debug = GuestDebug()
    guest.cpu.debug.watch(guest.cpu, 0x800, 8)
    found: list[int] = []
    while (request := guest.request()) != END:
        assert isinstance(request, DebugEvent)
        assert (request.reason, request.storage_address) == ("watchpoint", 0x800)
        found.append(guest.load(0x800))
    assert found == [3, 2, 1]


@covers("debug/guest-per")
def test_guest_that_uses_per_itself_has_its_events_and_its_registers() -> None:
    text = """
        larl %r1, controls
        lctlg %c9, %c11, 0(%r1)
        larl %r1, psw
        lpswe 0(%r1)
        traced: lghi %r2, 1
        lghi %r2, 2
        .align 8
        controls: .quad 0x40000000, traced, traced
        psw: .quad 0x4000000180000000, traced
        caught: stctg %c9, %c11, 0x800(%r0)
        diag %r0, %r0, 0xfff
    """
    guest = HypervisorGuest(text)
    guest.cpu.debug = GuestDebug(single_step=True)
    steps = stops(guest)
    assert guest.labels["caught"] in steps or guest.code == PER
    assert guest.load(0x800) == 0x4000_0000
    assert guest.load(0x808) == guest.labels["traced"]
    assert guest.load(0x98) == guest.labels["traced"]


@covers("hooks/observe")
def test_hook_sees_every_exit_for_its_reason() -> None:
    guest = HypervisorGuest("stap 0x800(%r0)\n stidp 0x808(%r0)" + DONE)
    seen: list[int] = []
    guest.vm.on_exit(Icpt.INST)(lambda vcpu: seen.append(vcpu.ipa))
    guest.finish()
    assert seen == [0xB212, 0xB202, 0x8300]


@covers("hooks/take-over")
def test_hook_takes_the_handlers_place() -> None:
    guest = HypervisorGuest("stap 0x800(%r0)" + DONE)

    def answer(vcpu: SieVcpu) -> Outcome | None:
        if vcpu.ipa != 0xB212:
            return None
        guest.store(0x800, 0x77, 2)
        return Resume()

    guest.vm.on_exit(Icpt.INST)(answer)
    guest.finish()
    assert guest.load(0x800, 2) == 0x77
    assert guest.counted("instruction_stap") == 0


@covers("hooks/change")
def test_hook_changes_what_the_handler_finds() -> None:
    guest = HypervisorGuest("lghi %r2, 0\n sigp %r0, %r2, 6(%r0)\n stap 0x800(%r0)" + DONE, cpus=2)

    def address(vcpu: SieVcpu) -> None:
        vcpu.gr[2] = 9

    guest.vm.on_exit(Icpt.INST)(address)
    guest.finish()
    assert guest.cpu.gr[2] == 9


@covers("statistics/counted")
def test_exits_are_counted_by_reason() -> None:
    guest = HypervisorGuest("stap 0x800(%r0)\n stidp 0x808(%r0)" + DONE)
    guest.finish()
    lines = {line.name: line.samples for line in guest.vm.statistics()}
    assert lines["INST"] == 3
    assert guest.counted("exit_instruction") == 3
    assert guest.counted("instruction_stidp") == 1


@covers("statistics/repeatable")
def test_same_program_has_same_statistics_and_trace() -> None:
    tables: list[object] = []
    for _ in range(2):
        guest = HypervisorGuest(LOOP)
        guest.vm.sink = sink = Recorder()
        guest.finish()
        tables.append((guest.vm.statistics(), guest.vm.counters(), sink.events))
    assert tables[0] == tables[1]


@covers("trace/events")
def test_sink_is_told_of_exits_and_what_they_led_to() -> None:
    guest = HypervisorGuest("stap 0x801(%r0)")
    guest.vm.sink = sink = Recorder()
    guest.trap()
    names = [event.name for event in sink.events]
    order = ["INST", "instruction", "inject", "deliver program"]
    assert [name for name in names if name in order][:4] == order


@covers("debug/machine")
def test_machine_runs_to_breakpoint_steps_and_goes_on() -> None:
    guest = HypervisorGuest(LOOP.replace("diag %r0, %r0, 0xfff", "sigp %r0, %r0, 5(%r0)"))
    machine, loop = guest.machine, guest.labels["loop"]
    machine.break_at(loop)
    assert machine.run().reason == f"breakpoint at {loop:X}"
    event = machine.step()
    assert event is not None
    assert event.address == loop + 6
    assert machine.run().reason == f"breakpoint at {loop:X}"
    assert guest.cpu.gr[2] == 2
    machine.stop_debugging()
    guest.cpu.gr[0] = 0
    assert machine.run().status == 0
    assert guest.cpu.stopped
    assert machine.step() is None


@covers("debug/machine")
def test_machine_watches_storage() -> None:
    guest = HypervisorGuest(LOOP)
    guest.machine.watch(0x800, 8)
    assert guest.machine.run().reason.startswith("watchpoint")
    assert guest.machine.stopped_at is not None
    assert guest.machine.stopped_at.storage_address == 0x800
