"""Exits by code, but for I/O, MSRs and nested page faults."""

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.unit.hypervisor.svm.fake_host import FakeHost, Guest, Step, leave
from worldswitch.arch.x86.cpuid import Leaf
from worldswitch.arch.x86.registers import Cr0, Rflags
from worldswitch.arch.x86.svm_controls import EventType, event
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import Vmcb
from worldswitch.hypervisor.exits import ExitTable, IncompleteTableError
from worldswitch.hypervisor.outcome import (
    NotOperating,
    Preempted,
    Resume,
    Stopped,
    ToMachine,
)
from worldswitch.hypervisor.requests import Monitor, TripleFault, UnclaimedExit
from worldswitch.hypervisor.svm.exits import EXITS, HANDLERS
from worldswitch.hypervisor.svm.injection import InvariantError
from worldswitch.hypervisor.x86.events import ExceptionEvent

UD = event(EventType.EXCEPTION, 6)
GP = event(EventType.EXCEPTION, 13, 0)


def protected(*steps: Step, trace_exceptions: bool = False) -> Guest:
    """A guest in protected mode, where exceptions have error codes."""
    guest = Guest(*steps, trace_exceptions=trace_exceptions)
    guest.cpu.cr0 = int(Cr0.PE | Cr0.ET)
    return guest


# The table.


@covers("table/complete")
def test_each_exit_code_has_a_handler() -> None:
    assert len(EXITS) == len(SvmExit)
    assert HANDLERS.keys() > {int(code) for code in SvmExit}


@covers("table/complete")
def test_table_with_a_gap_is_refused() -> None:
    table: ExitTable[object] = ExitTable("gap", SvmExit)
    with pytest.raises(IncompleteTableError, match="CR0_READ"):
        table.seal(lambda _cpu: Resume())


# Refused entries.


@covers("exit/invalid")
def test_invalid_vmcb_stops_with_the_name_of_each_rule() -> None:
    guest = Guest(leave(SvmExit.INVALID))
    guest.cpu.cr0 = int(Cr0.PG | Cr0.NW)
    guest.cpu.vmcb.control.intercept_2 = 0
    end = guest.run()
    assert isinstance(end, Stopped)
    assert end.code == SvmExit.INVALID
    for rule in ("vmrun-intercept", "cr0-caching"):
        assert rule in end.diagnosis
    assert guest.counted("exit_invalid") == 1
    assert guest.host.gif


def test_valid_vmcb_that_is_refused_says_so() -> None:
    end = Guest(leave(SvmExit.INVALID)).run()
    assert isinstance(end, Stopped)
    assert "no rule is broken" in end.diagnosis


def test_refused_entry_is_no_error_for_what_was_injected() -> None:
    def refuse(_host: FakeHost, block: Vmcb) -> None:
        block.control.event_inj = GP
        block.control.exit_code = SvmExit.INVALID

    guest = protected(refuse)
    guest.cpu.inject(ExceptionEvent(13, 0))
    assert isinstance(guest.run(), Stopped)


@covers("exit/refused-entry")
@pytest.mark.parametrize("code", [SvmExit.BUSY, SvmExit.IDLE_REQUIRED, SvmExit.INVALID_PMC])
def test_other_refusals_stop_too(code: SvmExit) -> None:
    end = Guest(leave(code)).run()
    assert end == Stopped(f"guest CPU 0 cannot be entered: {code.name}", code)


# Interrupts.


@covers("exit/nmi")
@pytest.mark.parametrize("code", [SvmExit.NMI, SvmExit.SMI, SvmExit.INIT])
def test_events_of_the_host_are_the_hosts(code: SvmExit) -> None:
    guest = Guest(leave(code))
    assert guest.run() == Preempted()
    assert guest.exits(code) == 1
    assert guest.cpu.rip == 0xFFF0


@covers("exit/shutdown")
def test_shutdown_is_a_triple_fault() -> None:
    guest = Guest(leave(SvmExit.SHUTDOWN))
    assert guest.run() == ToMachine(TripleFault())
    assert guest.run() == NotOperating()
    assert guest.counted("triple_fault") == 1


# Exceptions.


@covers("exit/machine-check")
def test_machine_check_is_the_hosts() -> None:
    guest = Guest(leave(SvmExit.EXCP_MC), leave(SvmExit.EXCP_MC))
    called: list[object] = []
    guest.vm.on_machine_check = called.append
    guest.run()
    assert called == [guest.host] * 2
    assert not any(entry.event_inj for entry in guest.entries)
    guest.vm.on_machine_check = None
    guest.script(leave(SvmExit.EXCP_MC))
    assert guest.run() == Preempted()


@covers("exit/page-fault")
def test_page_fault_is_reflected_with_cr2() -> None:
    guest = protected(leave(SvmExit.EXCP_PF, 7, 0xFFFF_8000_0000_1000), trace_exceptions=True)
    guest.run()
    assert guest.last.event_inj == event(EventType.EXCEPTION, 14, 7)
    assert guest.cpu.cr2 == 0xFFFF_8000_0000_1000
    assert guest.counted("exit_exception") == 1


@covers("exit/error-code")
@pytest.mark.parametrize("vector", [10, 11, 12, 13, 17, 21, 29, 30])
def test_exception_with_error_code_is_reflected(vector: int) -> None:
    guest = protected(leave(0x40 + vector, info1=0x18))
    guest.run()
    assert guest.last.event_inj == event(EventType.EXCEPTION, vector, 0x18)


@covers("exit/double-fault")
def test_double_fault_is_reflected_with_error_code_0() -> None:
    guest = protected(leave(SvmExit.EXCP_DF, info1=0x77))
    guest.run()
    assert guest.last.event_inj == event(EventType.EXCEPTION, 8, 0)


@covers("exit/int3")
@pytest.mark.parametrize(("vector", "length"), [(3, 1), (4, 1), (5, 2)])
def test_software_exception_is_reflected_at_its_instruction(vector: int, length: int) -> None:
    guest = protected(leave(0x40 + vector, length=length))
    guest.run()
    assert guest.last.event_inj == event(EventType.EXCEPTION, vector)
    assert guest.last.rip == 0xFFF0


@covers("exit/exception")
@pytest.mark.parametrize("vector", [0, 1, 6, 7, 9, 15, 16, 19, 20, 28, 31])
def test_exception_without_error_code_is_reflected(vector: int) -> None:
    guest = protected(leave(0x40 + vector, info1=0x77))
    guest.run()
    assert guest.last.event_inj == event(EventType.EXCEPTION, vector)


# Instructions.


@covers("exit/cpuid")
def test_cpuid_gives_the_policys_answer() -> None:
    guest = Guest(leave(SvmExit.CPUID, length=2, gr={0: 0x8000_0001, 1: 0, 3: 9, 2: 9}))
    guest.run()
    cpu = guest.cpu
    expected = guest.vm.cpuid_policy.query(0x8000_0001, 0, 0, 0, 1)
    assert (cpu.gr[0], cpu.gr[3], cpu.gr[1], cpu.gr[2]) == expected
    assert cpu.rip == 0xFFF2


def test_cpuid_shows_osxsave_as_the_guest_has_it() -> None:
    guest = Guest()
    assert not guest.cpu.cpuid(Leaf.FEATURES, 0)[2] & 1 << 27
    guest.cpu.cr4 = 1 << 18
    assert guest.cpu.cpuid(Leaf.FEATURES, 0)[2] & 1 << 27


def test_answers_of_cpuid_are_not_kept_without_bound() -> None:
    guest = Guest()
    for subleaf in range(2000):
        guest.cpu.cpuid(Leaf.TOPOLOGY, subleaf)
    assert len(guest.cpu._cpuid) <= 256


@covers("exit/pause")
def test_pause_gives_the_slice_away() -> None:
    guest = Guest(leave(SvmExit.PAUSE, length=2), pause_exit=True)
    assert guest.run() == Preempted()
    assert guest.cpu.rip == 0xFFF2
    assert len(guest.entries) == 1


@covers("exit/monitor", "exit/mwait")
def test_monitor_and_mwait_do_nothing_if_the_machine_does_nothing() -> None:
    guest = Guest(
        leave(SvmExit.MONITOR, length=3, gr={0: 0x500}),
        leave(SvmExit.MWAIT, length=3),
        leave(SvmExit.MWAIT_CONDITIONAL, length=3),
    )
    assert guest.run() == ToMachine(Monitor(False, 0x500))
    assert guest.cpu.rip == 0xFFF0
    assert guest.run() == ToMachine(Monitor(True, 0))
    assert guest.run() == ToMachine(Monitor(True, 0))
    assert guest.run() == Preempted()
    assert guest.cpu.rip == 0xFFF9
    assert (guest.counted("exit_monitor"), guest.counted("exit_mwait")) == (1, 2)


@covers("exit/xsetbv")
def test_xsetbv_sets_xcr0_of_the_processor() -> None:
    guest = Guest(leave(SvmExit.XSETBV, length=3, gr={0: 3, 1: 0, 2: 0}))
    guest.run()
    assert (guest.cpu.xcr0, guest.host.xcr0, guest.cpu.rip) == (3, 3, 0xFFF3)
    assert guest.backend.getreg(guest.cpu, "xcr0") == 3


@covers("exit/xsetbv-refused")
@pytest.mark.parametrize(
    ("gr", "cpl"),
    [
        ({0: 2, 1: 0, 2: 0}, 0),
        ({0: 7, 1: 0, 2: 0}, 0),
        ({0: 1, 1: 0, 2: 1}, 0),
        ({0: 1, 1: 1, 2: 0}, 0),
        ({0: 1, 1: 0, 2: 0}, 3),
    ],
)
def test_xsetbv_of_what_is_not_there_is_refused(gr: dict[int, int], cpl: int) -> None:
    guest = protected(leave(SvmExit.XSETBV, length=3, gr=gr, cpl=cpl))
    guest.run()
    assert guest.last.event_inj == GP
    assert (guest.host.xcr0, guest.last.rip) == (1, 0xFFF0)


@covers("exit/undefined")
@pytest.mark.parametrize(
    "code",
    [
        SvmExit.VMRUN, SvmExit.VMMCALL, SvmExit.VMLOAD, SvmExit.VMSAVE, SvmExit.STGI,
        SvmExit.CLGI, SvmExit.SKINIT, SvmExit.INVLPGA, SvmExit.RDPRU, SvmExit.RSM,
        SvmExit.INVLPGB, SvmExit.TLBSYNC, SvmExit.MCOMMIT,
    ],
)  # fmt: skip
def test_instructions_of_svm_are_undefined_for_the_guest(code: SvmExit) -> None:
    guest = Guest(leave(code, length=3))
    guest.run()
    assert (guest.last.event_inj, guest.last.rip) == (UD, 0xFFF0)


@covers("exit/cache")
@pytest.mark.parametrize("code", [SvmExit.INVD, SvmExit.WBINVD])
def test_cache_instructions_do_nothing(code: SvmExit) -> None:
    guest = Guest(leave(code, length=2))
    guest.run()
    assert guest.cpu.rip == 0xFFF2


@covers("exit/rdpmc")
def test_rdpmc_is_refused() -> None:
    guest = protected(leave(SvmExit.RDPMC, length=2))
    guest.run()
    assert guest.last.event_inj == GP


@covers("exit/reserved-cr")
@pytest.mark.parametrize("code", [SvmExit.CR1_READ, SvmExit.CR5_WRITE, SvmExit.CR15_READ])
def test_control_registers_that_do_not_exist_are_undefined(code: SvmExit) -> None:
    guest = Guest(leave(code, length=3))
    guest.run()
    assert guest.last.event_inj == UD


@covers("exit/unknown")
@pytest.mark.parametrize(
    "code",
    [
        SvmExit.CR0_WRITE, SvmExit.DR7_WRITE, SvmExit.IDTR_READ, SvmExit.SWINT, SvmExit.ICEBP,
        SvmExit.TASK_SWITCH, SvmExit.FERR_FREEZE, SvmExit.VMGEXIT, SvmExit.CR8_WRITE_TRAP,
        SvmExit.AVIC_NOACCEL, SvmExit.INVLPG, SvmExit.BUS_LOCK, SvmExit.EXCP_NMI,
    ],
)  # fmt: skip
def test_exits_that_are_not_expected_are_unclaimed(code: SvmExit) -> None:
    guest = Guest(leave(code, 5, 6, length=1))
    assert guest.run() == ToMachine(UnclaimedExit(code, 5, 6, "not intercepted here"))
    assert guest.counted("exit_unknown") == 1


@covers("exit/unknown")
@pytest.mark.parametrize("code", [0x300, 0x1_0000, 1 << 63])
def test_exit_codes_that_do_not_exist_are_unclaimed(code: int) -> None:
    end = Guest(leave(code)).run()
    assert isinstance(end, ToMachine)
    assert isinstance(end.request, UnclaimedExit)
    assert end.request.code == code


# Where RIP goes.


@covers("exit/single-step")
def test_single_step_over_an_intercepted_instruction_traps_behind_it() -> None:
    flags = int(Rflags.TF | Rflags.RF | Rflags.ONE)
    guest = Guest(leave(SvmExit.CPUID, length=2, rflags=flags))
    guest.run()
    assert guest.last.event_inj == event(EventType.EXCEPTION, 1)
    assert guest.last.rip == 0xFFF2
    assert guest.cpu.save.dr6 & 1 << 14
    assert guest.cpu.rflags == Rflags.TF | Rflags.ONE


def test_resume_flag_ends_with_the_instruction() -> None:
    guest = Guest(leave(SvmExit.CPUID, length=2, rflags=int(Rflags.RF | Rflags.ONE)))
    guest.run()
    assert guest.cpu.rflags == Rflags.ONE
    assert not guest.last.event_inj


@pytest.mark.parametrize(
    ("rip", "next_rip", "attributes", "efer", "result"),
    [
        (0xFFFF_FFFE, 0, 0x49B, 0x1000, 0),
        (0xFFFF_FFFE, 0x1_0000_0000, 0x29B, 0x1500, 0x1_0000_0000),
        (0xFFFE, 0, 0x9B, 0x1000, 0x1_0000),
        ((1 << 64) - 2, 0, 0x29B, 0x1500, 0),
    ],
)
def test_rip_wraps_as_wide_as_the_code_is(
    rip: int, next_rip: int, attributes: int, efer: int, result: int
) -> None:
    def step(_host: FakeHost, block: Vmcb) -> None:
        block.save.rip, block.control.next_rip = rip, next_rip
        block.save.cs.attrib, block.save.efer = attributes, efer
        block.control.exit_code = SvmExit.CPUID

    guest = Guest(step)
    guest.run()
    assert guest.last.rip == result


@covers("invariant/length")
@pytest.mark.parametrize("length", [0, 16, -2])
def test_instruction_of_impossible_length_is_an_error(length: int) -> None:
    with pytest.raises(InvariantError):
        Guest(leave(SvmExit.CPUID, length=length)).run()


@covers("invariant/length")
@pytest.mark.parametrize("distance", [16, -1])
def test_handler_that_moves_rip_too_far_is_an_error(distance: int) -> None:
    guest = Guest(leave(SvmExit.CPUID, length=2))
    guest.vm.on_exit(SvmExit.CPUID)(lambda _cpu: Resume(distance))
    with pytest.raises(InvariantError, match="is to be moved"):
        guest.run()


@covers("invariant/code")
def test_handler_that_moves_rip_after_an_interrupt_is_an_error() -> None:
    guest = Guest(leave(SvmExit.NMI, length=2))
    guest.vm.on_exit(SvmExit.NMI)(lambda _cpu: Resume(2))
    with pytest.raises(InvariantError, match="after exit 0x61"):
        guest.run()


@covers("hooks/change")
def test_hook_may_change_the_code() -> None:
    guest = Guest(leave(SvmExit.VMMCALL, length=3))

    def hook(cpu: object) -> None:
        guest.cpu.vmcb.control.exit_code = SvmExit.WBINVD
        del cpu

    guest.vm.on_exit(SvmExit.VMMCALL)(hook)
    guest.run()
    assert guest.cpu.rip == 0xFFF3
