"""What is traced and counted."""

from tests.conformance.hypervisor.svm_paths import covers
from tests.unit.hypervisor.svm.fake_host import Guest, interrupted, leave
from worldswitch.arch.x86.apic import ApicRegister
from worldswitch.arch.x86.svm_controls import EventType, event
from worldswitch.arch.x86.svm_exits import NpfInfo, SvmExit
from worldswitch.hypervisor.trace import Recorder
from worldswitch.hypervisor.x86.events import ExceptionEvent, NonMaskable


@covers("trace/points")
def test_sink_is_told_of_entries_exits_and_what_is_done() -> None:
    guest = Guest(
        interrupted(leave(SvmExit.NPF, NpfInfo.FINAL, 0x1000), event(EventType.INTR, 0x51)),
        leave(SvmExit.EXCP_UD, interrupt_shadow=1),
        leave(SvmExit.CPUID, length=2),
    )
    guest.vm.sink = recorder = Recorder()
    guest.cpu.inject(NonMaskable())
    guest.cpu.lapic.write(ApicRegister.TPR, 0x20)
    guest.run()
    names = [item.name for item in recorder.events]
    assert names.count("enter") == 4
    for name in (
        "inject", "inject_event", "intercept", "virtual_interrupt", "interrupted", "nested_fault",
        "reflect", "interrupt_shadow", "NPF", "EXCP_UD", "CPUID", "INTR",
    ):  # fmt: skip
        assert name in names, name
    exits = [item for item in recorder.events if item.name == "CPUID"]
    assert exits[0].fields == {"rip": "0xfff0"}
    injected = [item.fields["event"] for item in recorder.events if item.name == "inject_event"]
    assert injected == ["nmi 2", "intr 81", "exception 6"]


@covers("statistics/counters")
def test_exits_and_counters_add_up_over_virtual_cpus() -> None:
    guest = Guest(leave(SvmExit.CPUID, length=2), leave(SvmExit.RDPMC, length=2))
    guest.cpu.inject(ExceptionEvent(6))
    guest.run()
    lines = {line.name: line.samples for line in guest.vm.statistics()}
    assert lines == {"CPUID": 1, "RDPMC": 1, "INTR": 1}
    counters = guest.vm.counters()
    assert counters["migrations"] == counters["new_asid"] == 1
    assert counters["inject_exception"] == counters["int_info_injected"] == 2
    assert next(iter(guest.cpu.recent)) == ("CPUID", 0xFFF0)


def test_same_script_gives_the_same_trace() -> None:
    def once() -> list[object]:
        guest = Guest(leave(SvmExit.CPUID, length=2), leave(SvmExit.HLT, length=1, rflags=0x202))
        guest.vm.sink = recorder = Recorder()
        guest.run()
        return list(recorder.events)

    assert once() == once()
