"""The way into the guest and out of it: processors, checks, clean bits, registers, time."""

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.unit.hypervisor.svm.fake_host import FakeHost, Guest, leave, preempt
from worldswitch.arch.x86.apic import ApicRegister, Lvt, Svr
from worldswitch.arch.x86.msrs import Msr
from worldswitch.arch.x86.svm_controls import Clean, EventType, event
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import Vmcb
from worldswitch.hypervisor.outcome import NotOperating, Preempted, ToMachine, Wait
from worldswitch.hypervisor.requests import Halt, PortWrite, Rendezvous, Suspended
from worldswitch.hypervisor.svm.options import CLEAN_DEFAULT
from worldswitch.hypervisor.x86.events import Init, NonMaskable, Startup
from worldswitch.hypervisor.x86.state import CpuState, SegmentState
from worldswitch.hypervisor.x86.vcpu import MOST_EXITS, X86Vcpu
from worldswitch.metal.interface import EntryResult

CPUID = leave(SvmExit.CPUID, length=2)
HLT = leave(SvmExit.HLT, length=1)
IF = 0x202


@covers("run/handled")
def test_handled_exits_keep_the_loop_going() -> None:
    guest = Guest(CPUID, CPUID, CPUID)
    assert guest.run() == Preempted()
    assert guest.cpu.rip == 0xFFF6
    assert guest.exits(SvmExit.CPUID) == 3
    assert [entry.rip for entry in guest.entries] == [0xFFF0, 0xFFF2, 0xFFF4, 0xFFF6]


@covers("run/migration", "run/same-processor")
def test_other_processor_gets_a_new_asid_and_everything_dirty() -> None:
    guest = Guest(hosts=2)
    guest.run()
    guest.run()
    assert guest.last.clean == CLEAN_DEFAULT
    assert guest.counted("migrations") == 1
    guest.run(host=1)
    there = guest.hosts[1].entries[-1]
    assert (there.clean, there.asid, there.tlb_control) == (0, 1, 3)
    assert guest.counted("migrations") == 2
    assert guest.cpu.loaded_on is guest.backend.processors[1]
    guest.run(host=0)
    assert guest.last.clean == 0
    assert guest.last.asid == 2


def test_virtual_cpu_makes_place_for_another_and_comes_back_to_the_same_processor() -> None:
    guest = Guest(cpus=2)
    guest.vm.vcpus[1].state = CpuState.RUNNING
    for cpu in (0, 1, 0, 1):
        guest.run(cpu)
    assert [entry.asid for entry in guest.entries] == [1, 2, 1, 2]
    assert guest.counted("migrations") == 2
    assert guest.last.clean == CLEAN_DEFAULT
    assert guest.vm.vcpus[0].loaded_on is None


def test_virtual_cpu_that_is_not_loaded_has_no_processor() -> None:
    with pytest.raises(RuntimeError, match="not loaded"):
        _ = Guest().cpu.host


@covers("clean/default")
def test_default_clean_groups_are_those_of_the_list() -> None:
    names = {group.name for group in Clean if group & CLEAN_DEFAULT}
    assert names == {"ASID", "IOPM", "INTERCEPTS", "TPR", "CR2", "CRX", "DT", "SEG", "NP"}


@covers("clean/tunable")
def test_clean_groups_can_be_fewer_and_never_more() -> None:
    guest = Guest(vmcb_clean=int(Clean.ASID | Clean.LBR))
    guest.run()
    guest.run()
    assert guest.last.clean == Clean.ASID


@covers("clean/dirty")
@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("cr0", Clean.CRX),
        ("cr2", Clean.CR2),
        ("cr4", Clean.CRX),
        ("efer", Clean.CRX),
        ("cs", Clean.SEG),
        ("g_pat", Clean.NP),
    ],
)
def test_register_that_was_set_is_not_declared_clean(name: str, group: Clean) -> None:
    guest = Guest()
    guest.run()
    guest.run()
    guest.backend.setreg(guest.cpu, name, 0x10)
    guest.run()
    assert guest.last.clean == CLEAN_DEFAULT & ~group
    guest.run()
    assert guest.last.clean == CLEAN_DEFAULT


def test_descriptor_table_that_was_set_is_not_declared_clean() -> None:
    guest = Guest()
    guest.run()
    guest.backend.setdesc(guest.cpu, "idtr", SegmentState(base=0x1000, limit=0xFFF))
    guest.run()
    assert guest.last.clean == CLEAN_DEFAULT & ~Clean.DT


@covers("run/suspended")
def test_suspended_machine_is_not_entered() -> None:
    guest = Guest(cpus=2)
    guest.vm.suspend("power off")
    assert guest.run() == ToMachine(Suspended("power off"))
    assert guest.run() == ToMachine(Suspended("power off"))
    assert not guest.entries
    assert guest.host.gif
    guest.vm.reset()
    assert guest.run() == Preempted()


def test_machine_suspended_by_an_exit_is_not_entered_again() -> None:
    guest = Guest(CPUID)
    guest.vm.on_exit(SvmExit.CPUID)(lambda _cpu: guest.vm.suspend("hook"))
    assert guest.run() == ToMachine(Suspended("hook"))
    assert len(guest.entries) == 1


@covers("run/rendezvous")
def test_rendezvous_is_kept_by_every_virtual_cpu_before_it_goes_on() -> None:
    guest = Guest(cpus=3)
    guest.vm.vcpus[1].state = CpuState.RUNNING
    met: list[int] = []

    def action(cpu: X86Vcpu) -> None:
        assert not guest.host.gif or cpu.address == 2
        met.append(cpu.address)

    guest.vm.rendezvous(action)
    assert met == [2]  # which cannot run
    with pytest.raises(RuntimeError, match="rendezvous"):
        guest.vm.rendezvous(action)
    assert guest.run(0) == ToMachine(Rendezvous(1))
    assert guest.run(0) == Preempted()
    assert guest.run(1) == ToMachine(Rendezvous(0))
    assert guest.run(1) == Preempted()
    assert met == [2, 0, 1]
    assert guest.host.gif


@covers("run/scheduler", "exit/intr")
def test_end_of_the_slice_gives_the_processor_back() -> None:
    guest = Guest()
    assert guest.run(slice_size=500) == Preempted()
    assert guest.host.icount == 500
    assert guest.exits(SvmExit.INTR) == 1
    assert guest.host.gif


@covers("run/gif")
def test_entries_are_made_with_the_global_interrupt_flag_clear_and_handlers_with_it_set() -> None:
    # The fake processor itself refuses an entry with the flag set.
    guest = Guest(CPUID)
    flags: list[bool] = []
    guest.vm.on_exit(SvmExit.CPUID)(lambda _cpu: flags.append(guest.host.gif))
    guest.run()
    assert flags == [True]


@covers("run/host-state", "run/lazy-state")
def test_state_that_vmload_loads_stays_while_the_virtual_cpu_is_loaded() -> None:
    def touch(host: FakeHost, block: Vmcb) -> None:
        host.loaded["lstar"] += 1
        CPUID(host, block)

    guest = Guest(touch, touch)
    cpu, host = guest.cpu, guest.host
    host.loaded["star"] = 0x1234
    guest.backend.processors[0].enable()  # the host's state as it is from now on
    cpu.set_system("lstar", 0x7000)
    host.calls.clear()
    guest.run()
    assert host.calls == [f"vmload {cpu.vmcb_pa:#x}"]
    assert guest.backend.getreg(cpu, "lstar") == 0x7002
    assert host.calls[1:] == [f"vmsave {cpu.vmcb_pa:#x}"]
    guest.backend.setreg(cpu, "lstar", 0x9000)
    assert host.loaded["lstar"] == 0x9000
    host.calls.clear()
    cpu.put()
    own = guest.backend.processors[0].own_state
    assert host.calls == [f"vmload {own:#x}"]
    assert host.loaded["star"] == 0x1234
    assert guest.backend.getreg(cpu, "lstar") == 0x9000


@covers("run/host-state", "run/switch-always")
def test_state_that_vmload_loads_can_be_switched_with_every_entry() -> None:
    guest = Guest(CPUID, switch_always=True)
    own = guest.backend.processors[0].own_state
    pa = guest.cpu.vmcb_pa
    guest.host.calls.clear()
    guest.run()
    once = [f"vmload {pa:#x}", f"vmsave {pa:#x}", f"vmload {own:#x}"]
    assert guest.host.calls == 2 * once
    guest.backend.setdesc(guest.cpu, "fs", SegmentState(8, 0x1000, 0xFFFF, 0x93))
    guest.cpu.put()
    assert guest.host.calls == 2 * once


@covers("run/registers")
def test_registers_that_entries_do_not_switch_move_with_the_virtual_cpu() -> None:
    guest = Guest(hosts=2)
    cpu, host = guest.cpu, guest.host
    own_fx, own_dr = host.fx, list(host.dr)
    host.gr[0], host.gr[4] = 0xAAAA, 0xBBBB
    for number in range(16):
        cpu.gr[number] = 0x1000 + number
    cpu.registers.xcr0 = 3
    cpu.tsc_aux = 5
    for number in range(4):
        guest.backend.setreg(cpu, f"dr{number}", 0x50 + number)
    guest.run()
    assert host.gr[1] == 0x1001
    assert (host.gr[0], host.gr[4]) == (0xAAAA, 0xBBBB)  # the host's own
    assert (cpu.save.rax, cpu.save.rsp) == (0x1000, 0x1004)
    assert (host.dr[0], host.xcr0, host.msrs[Msr.TSC_AUX]) == (0x50, 3, 5)
    assert host.fx != own_fx
    host.gr[3] = 0x33
    host.fx = b"\x11" * 512
    guest.run(host=1)
    there = guest.hosts[1]
    assert (there.gr[3], there.dr[3], there.xcr0, there.msrs[Msr.TSC_AUX]) == (0x33, 0x53, 3, 5)
    assert there.fx == b"\x11" * 512
    assert (host.fx, host.dr, host.xcr0, host.msrs[Msr.TSC_AUX]) == (own_fx, own_dr, 1, 0x77)
    assert cpu.registers.image == there.fx
    cpu.put()
    assert (cpu.gr[3], cpu.registers.image, cpu.xcr0) == (0x33, b"\x11" * 512, 3)
    assert guest.backend.getreg(cpu, "dr2") == 0x52


def test_processor_without_tsc_aux_is_not_asked_for_it() -> None:
    guest = Guest(model="epyc-milan,-rdtscp,-rdpid")
    del guest.host.msrs[Msr.TSC_AUX]
    guest.cpu.tsc_aux = 1
    assert guest.run() == Preempted()


@covers("run/timer")
def test_timer_of_the_local_apic_interrupts_the_guest_in_time() -> None:
    guest = Guest()
    lapic = guest.cpu.lapic
    lapic.write(ApicRegister.SVR, int(Svr.ASE) | 0xFF)
    lapic.write(ApicRegister.LVT_TIMER, 0x40)
    lapic.write(ApicRegister.TIMER_DIVIDE, 0xB)
    lapic.write(ApicRegister.TIMER_INITIAL_COUNT, 700)
    host = guest.host
    assert guest.run(slice_size=5000) == Preempted()
    assert [entry.deadline for entry in guest.entries] == [700, 5000]
    assert guest.entries[1].v_intr >> 32 & 0xFF == 0x40
    assert host.icount == 5000
    assert host.deadline == 5000


@covers("run/timer")
def test_what_entries_cost_shortens_the_slice_and_not_the_timer() -> None:
    guest = Guest(CPUID, CPUID)
    guest.host.exit_cost = 100
    lapic = guest.cpu.lapic
    lapic.write(ApicRegister.SVR, int(Svr.ASE) | 0xFF)
    lapic.write(ApicRegister.LVT_TIMER, 0x40)
    lapic.write(ApicRegister.TIMER_DIVIDE, 0xB)
    lapic.write(ApicRegister.TIMER_INITIAL_COUNT, 700)
    assert guest.run(slice_size=5000) == Preempted()
    # The interrupt that is asked for at 700 comes at 500, and is asked for again.
    assert [entry.deadline for entry in guest.entries] == [700, 600, 500, 700, 4600]
    taken = [entry.v_intr >> 32 & 0xFF for entry in guest.entries]
    assert taken == [0, 0, 0, 0, 0x40]
    assert guest.host.icount == 4600
    assert guest.host.deadline == 4500


def test_masked_timer_interrupts_nobody() -> None:
    guest = Guest()
    guest.cpu.lapic.write(ApicRegister.TIMER_INITIAL_COUNT, 700)
    guest.run(slice_size=5000)
    assert [entry.deadline for entry in guest.entries] == [5000]


@covers("run/turns")
def test_guest_that_only_leaves_gives_way() -> None:
    guest = Guest(*[CPUID] * 25)
    assert guest.cpu.exits_left == MOST_EXITS
    guest.cpu.exits_left = 20
    assert guest.run() == Preempted()
    assert len(guest.entries) == 20
    assert guest.cpu.exits_left == MOST_EXITS
    assert guest.run() == Preempted()
    assert len(guest.entries) == 26


def test_requests_to_the_machine_count_as_turns_too() -> None:
    out = leave(SvmExit.IOIO, info1=0x80 << 16 | 1 << 4, length=1)
    guest = Guest(*[out] * 25)
    guest.cpu.exits_left = 20
    ends = [type(guest.run()) for _ in range(21)]
    assert ends == [ToMachine] * 20 + [Preempted]


@covers("run/preempted")
def test_entry_that_has_not_ended_goes_on_with_the_same_vmcb() -> None:
    def halfway(_host: FakeHost, _block: Vmcb) -> EntryResult:
        return EntryResult.PREEMPTED

    guest = Guest(halfway, preempt)
    assert guest.run() == Preempted()
    assert not guest.host.gif  # the guest's, so to speak
    guest.cpu.interrupt_shadow = True
    guest.cpu.inject(NonMaskable())
    assert guest.run() == Preempted()
    assert not guest.last.event_inj
    assert guest.cpu.nmi_pending


@covers("run/reset")
def test_reset_begins_again_whatever_was_pending() -> None:
    guest = Guest(leave(SvmExit.IOIO, info1=1 << 4, length=1), cpus=2)
    assert guest.run() == ToMachine(PortWrite(0, 1, 0))
    cpu = guest.cpu
    cpu.inject(NonMaskable())
    cpu.msrs.write(cpu, Msr.MTRR_DEF_TYPE, 0xC06)
    cpu.gr[1] = 7
    guest.vm.reset()
    assert (cpu.rip, cpu.gr[1], cpu.msrs.read(cpu, Msr.MTRR_DEF_TYPE)) == (0xFFF0, 0, 0)
    assert cpu.completion is None
    assert guest.run() == Preempted()
    assert not guest.last.event_inj
    assert guest.run(1) == NotOperating()


def test_reset_unblocks_nmis() -> None:
    guest = Guest()
    guest.cpu.inject(NonMaskable())
    guest.run()
    assert guest.cpu.nmi_blocked
    guest.vm.reset()
    assert not guest.cpu.nmi_blocked


@covers("run/init")
def test_start_up_ipi_begins_a_waiting_processor_once() -> None:
    guest = Guest(cpus=2)
    other = guest.vm.vcpus[1]
    assert guest.run(1) == NotOperating()
    other.signal(Init())
    other.signal(Startup(0x9A))
    other.signal(Startup(0x11))
    assert other.runnable()
    assert guest.run(1) == Preempted()
    assert guest.last.rip == 0
    assert (other.save.cs.selector, other.save.cs.base) == (0x9A00, 0x9A000)
    other.signal(Startup(0x11))
    guest.run(1)
    assert other.save.cs.base == 0x9A000


@covers("run/init")
def test_init_stops_a_processor_and_keeps_what_init_keeps() -> None:
    guest = Guest(cpus=2)
    cpu, other = guest.vm.vcpus
    other.state = CpuState.RUNNING
    guest.run(1)
    other.cr0 = 0x8000_0011
    other.msrs.write(other, Msr.MTRR_DEF_TYPE, 0xC06)
    other.registers.image = b"\x22" * 512
    other.rip = 0x1234
    other.signal(Init())
    assert guest.run(1) == NotOperating()
    assert (other.rip, other.cr0) == (0xFFF0, 0x10)  # CD and NW were zero
    assert other.registers.image == b"\x22" * 512
    assert other.msrs.read(other, Msr.MTRR_DEF_TYPE) == 0xC06
    assert other.wake_time() is None
    cpu.rip = 0x1234
    cpu.signal(Init())
    assert guest.run(0) == Preempted()
    assert guest.last.rip == 0xFFF0


@covers("run/halted", "exit/hlt")
def test_halted_processor_waits_for_an_interrupt() -> None:
    guest = Guest(leave(SvmExit.HLT, length=1, rflags=IF))
    cpu = guest.cpu
    cpu.lapic.write(ApicRegister.SVR, int(Svr.ASE) | 0xFF)
    assert guest.run() == Wait(1)
    assert (cpu.rip, cpu.state) == (0xFFF1, CpuState.HALTED)
    assert not cpu.runnable()
    assert cpu.wake_time() is None
    assert guest.run() == Wait()
    cpu.lapic.accept(0x51)
    assert cpu.runnable()
    assert guest.run() == Preempted()
    assert guest.last.v_intr >> 32 & 0xFF == 0x51


@covers("run/halted")
def test_halted_processor_wakes_by_its_timer() -> None:
    guest = Guest(leave(SvmExit.HLT, length=1, rflags=IF))
    cpu, host = guest.cpu, guest.host
    cpu.lapic.write(ApicRegister.SVR, int(Svr.ASE) | 0xFF)
    cpu.lapic.write(ApicRegister.LVT_TIMER, 0x40)
    cpu.lapic.write(ApicRegister.TIMER_DIVIDE, 0xB)
    cpu.lapic.write(ApicRegister.TIMER_INITIAL_COUNT, 50_000)
    assert guest.run(slice_size=1000) == Wait(1)
    due = cpu.wake_time()
    assert due == host.tsc + 50_000
    assert not cpu.runnable()
    host.tsc = due
    assert cpu.runnable()
    assert cpu.wake_time() == due
    guest.run()
    assert guest.last.v_intr >> 32 & 0xFF == 0x40


@covers("exit/hlt")
def test_halt_with_an_interrupt_pending_goes_on() -> None:
    guest = Guest(leave(SvmExit.HLT, length=1, rflags=IF))
    guest.cpu.lapic.write(ApicRegister.SVR, int(Svr.ASE) | 0xFF)
    guest.cpu.lapic.accept(0x51)
    assert guest.run() == Preempted()
    assert guest.cpu.rip == 0xFFF1


@covers("exit/hlt-disabled")
def test_halt_with_interrupts_disabled_is_told_and_ends_with_an_nmi() -> None:
    guest = Guest(HLT)
    cpu = guest.cpu
    cpu.lapic.write(ApicRegister.SVR, int(Svr.ASE) | 0xFF)
    assert guest.run() == ToMachine(Halt(2))
    assert guest.run() == Wait()
    assert cpu.rip == 0xFFF1
    cpu.lapic.accept(0x51)
    assert not cpu.runnable()
    assert cpu.wake_time() is None
    cpu.signal(NonMaskable())
    assert cpu.runnable()
    guest.run()
    assert guest.last.event_inj == event(EventType.NMI, 2)


def test_timer_that_is_masked_wakes_nobody() -> None:
    guest = Guest(leave(SvmExit.HLT, length=1, rflags=IF))
    guest.cpu.lapic.write(ApicRegister.SVR, int(Svr.ASE) | 0xFF)
    guest.cpu.lapic.write(ApicRegister.LVT_TIMER, 0x40 | int(Lvt.M))
    guest.cpu.lapic.write(ApicRegister.TIMER_INITIAL_COUNT, 10)
    guest.run()
    assert guest.cpu.wake_time() is None


def test_failed_virtual_cpu_never_runs_again() -> None:
    guest = Guest(leave(SvmExit.INVALID))
    end = guest.run()
    assert guest.run() == end
    assert not guest.cpu.runnable()
    assert guest.cpu.wake_time() is None
    assert len(guest.entries) == 1
