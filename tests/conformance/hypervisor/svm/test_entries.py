"""The way into a guest and out of it, by guest programs: checks before an entry, turns, loads."""

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.guests.svm_guest import DATA, DONE, Finished, SvmGuest
from worldswitch.arch.x86.registers import Rflags
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.outcome import Preempted, ToMachine
from worldswitch.hypervisor.requests import Rendezvous, Suspended
from worldswitch.hypervisor.svm.exits import HANDLERS
from worldswitch.hypervisor.trace import Recorder
from worldswitch.hypervisor.x86.vcpu import MOST_EXITS, X86Vcpu

DEVICE = 0xD000_0000
LOOP = f"1: lock incl {DATA}; jmp 1b"


@covers("run/suspended")
def test_suspended_machine_is_not_entered_any_more() -> None:
    guest = SvmGuest(LOOP, cpus=2)
    guest.start_all()
    assert guest.run() == Preempted()
    count = guest.load(DATA)
    guest.vm.suspend("power off")
    assert guest.run(0) == ToMachine(Suspended("power off"))
    assert guest.run(1) == ToMachine(Suspended("power off"))
    assert guest.load(DATA) == count > 0
    assert guest.hosts[0].processor.raw.gif == 1


@covers("run/rendezvous")
def test_rendezvous_is_kept_by_every_virtual_cpu_before_it_goes_on() -> None:
    guest = SvmGuest(LOOP, cpus=3)
    guest.start_all()
    assert [guest.run(n) for n in range(3)] == [Preempted()] * 3
    met: list[int] = []

    def action(cpu: X86Vcpu) -> None:
        met.append(cpu.address)

    guest.vm.rendezvous(action)
    count = guest.load(DATA)
    assert [guest.run(n) for n in range(3)] == [ToMachine(Rendezvous(n)) for n in (2, 1, 0)]
    assert guest.load(DATA) == count
    assert guest.run() == Preempted()
    assert guest.load(DATA) > count
    assert met == [0, 1, 2]


@covers("run/scheduler", "exit/intr")
def test_end_of_the_slice_gives_the_processor_back() -> None:
    guest = SvmGuest(LOOP)
    host = guest.hosts[0]
    before = host.icount
    assert guest.run(size=5000) == Preempted()
    assert 0 < host.icount - before < 5300
    assert guest.exits(SvmExit.INTR) == 1


@covers("run/gif")
def test_entries_are_made_with_the_global_interrupt_flag_clear_and_handlers_with_it_set() -> None:
    guest = SvmGuest("cpuid; cpuid; jmp done")
    entries = guest.watch()
    flags: list[int] = []
    raw = guest.hosts[0].processor.raw
    guest.vm.on_exit(SvmExit.CPUID)(lambda _cpu: flags.append(raw.gif))
    guest.finish()
    assert flags == [1, 1]
    assert {entry.gif for entry in entries} == {0}


class Accesses:
    """Devices that note who asks, answer 5A, and end the program."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int, int]] = []

    def port_read(self, port: int, size: int) -> int:
        """IN."""
        self.seen.append(("in", port, size, 0))
        return 0x5A

    def port_write(self, port: int, size: int, value: int) -> None:
        """OUT."""
        if port == DONE:
            raise Finished
        self.seen.append(("out", port, size, value))

    def mmio_read(self, address: int, size: int) -> int:
        """A load."""
        self.seen.append(("load", address, size, 0))
        return 0x5A

    def mmio_write(self, address: int, size: int, value: int) -> None:
        """A store."""
        self.seen.append(("store", address, size, value))


@covers("run/served")
def test_accesses_to_devices_of_the_machine_do_not_end_the_run() -> None:
    guest = SvmGuest(
        f"xor %eax, %eax; in $0x60, %al; mov %al, {DATA}; out %al, $0x80; "
        f"mov %eax, {DEVICE}; mov {DEVICE}, %ecx; jmp done"
    )
    guest.vm.devices = devices = Accesses()
    with pytest.raises(Finished):
        guest.run()
    assert devices.seen == [
        ("in", 0x60, 1, 0),
        ("out", 0x80, 1, 0x5A),
        ("store", DEVICE, 4, 0x5A),
        ("load", DEVICE, 4, 0),
    ]
    assert guest.load(DATA, 1) == 0x5A
    assert guest.cpu.gr[1] == 0x5A


@covers("run/turns")
def test_guest_that_only_leaves_gives_way() -> None:
    guest = SvmGuest("1: cpuid; jmp 1b")
    assert guest.cpu.exits_left == MOST_EXITS
    guest.cpu.exits_left = 20
    assert guest.run(size=1_000_000) == Preempted()
    assert 15 <= guest.exits(SvmExit.CPUID) <= 20
    assert guest.cpu.exits_left == MOST_EXITS


@covers("run/preempted")
def test_entry_that_no_interrupt_may_end_goes_on_with_the_next_slice() -> None:
    guest = SvmGuest(f"mov $20000, %ecx; 1: incl {DATA}; loop 1b; jmp done")
    processor = guest.hosts[0].processor
    flags = processor.rflags
    processor.rflags = flags & ~int(Rflags.IF)  # the host's, which hold physical interrupts back
    assert guest.run(size=3000) == Preempted()
    assert guest.exits(SvmExit.INTR) == 0
    assert processor.raw.guest
    processor.rflags = processor.rflags
    guest.finish()
    assert guest.load(DATA) == 20_000


@covers("table/complete")
def test_each_exit_code_has_a_handler_and_that_of_the_program_is_called() -> None:
    assert HANDLERS.keys() > {int(code) for code in SvmExit}
    guest = SvmGuest("cpuid; jmp done")
    guest.finish()
    assert list(guest.cpu.recent)[-2][0] == "CPUID"


@covers("trace/points", "statistics/counters")
def test_sink_is_told_and_exits_are_counted() -> None:
    guest = SvmGuest(f"""
        vmmcall
        int $0x40
        movl $0x1ff, 0xfee000f0
        movl $0x60, 0xfee00080
        out %al, $0x80
        jmp done
        on_6: addl $3, (%esp)
        iret
        on_64: incl {DATA}
        iret
    """)
    guest.vm.sink = recorder = Recorder()
    guest.finish()
    names = {item.name for item in recorder.events}
    assert names >= {"enter", "inject", "inject_event", "virtual_interrupt", "interrupted",
                     "nested_fault", "VMMCALL", "NPF", "IOIO"}  # fmt: skip
    exits = [item for item in recorder.events if item.name == "VMMCALL"]
    assert exits[0].fields == {"rip": "0x100000"}
    counters = guest.vm.counters()
    for name in ("migrations", "new_asid", "inject_exception", "int_info_injected",
                 "exit_int_info", "nested_fault", "inst_emul", "exit_undefined"):  # fmt: skip
        assert counters[name] > 0, name
    assert guest.exits(SvmExit.VMMCALL) == 1
    assert guest.exits(SvmExit.IOIO) == 2


@pytest.mark.parametrize("model", ["epyc-milan", "epyc-genoa"])
def test_same_program_leaves_the_same_trace(model: str) -> None:
    def once() -> list[object]:
        guest = SvmGuest("cpuid; out %al, $0x80; hlt", model=model)
        guest.vm.sink = recorder = Recorder()
        guest.request()
        return list(recorder.events)

    assert once() == once()
