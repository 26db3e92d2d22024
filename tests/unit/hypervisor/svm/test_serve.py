"""A machine that answers requests without the end of a run, and virtual CPUs that share one."""

from tests.conformance.hypervisor.svm_paths import covers
from tests.unit.hypervisor.svm.fake_host import Guest, leave
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.outcome import Preempted, Stopped, ToMachine
from worldswitch.hypervisor.requests import PortRead, PortWrite, X86Request
from worldswitch.hypervisor.x86.emulate import MOST_ELEMENTS
from worldswitch.hypervisor.x86.state import CpuState, SegmentState
from worldswitch.hypervisor.x86.vcpu import X86Vcpu

IN, STR, REP, SZ8, A32 = 1, 4, 8, 1 << 4, 1 << 8
READ = leave(SvmExit.IOIO, 0x60 << 16 | IN | SZ8, 0, 1)
WRITE = leave(SvmExit.IOIO, 0x80 << 16 | SZ8, 0, 1)


class Machine:
    """Answers reads with a number that counts up, and refuses what it is told to."""

    def __init__(self, guest: Guest, refused: int = -1) -> None:
        self.seen: list[X86Request] = []
        self.refused = refused
        guest.vm.serve = self.serve

    def serve(self, cpu: X86Vcpu, request: X86Request) -> bool:
        """Answer, or not."""
        self.seen.append(request)
        if isinstance(request, PortRead):
            cpu.answer(len(self.seen))
        return getattr(request, "port", None) != self.refused


@covers("run/served")
def test_requests_that_are_served_do_not_end_the_run() -> None:
    guest = Guest(WRITE, READ, READ)
    machine = Machine(guest)
    assert guest.run() == Preempted()
    assert machine.seen == [PortWrite(0x80, 1, 0), PortRead(0x60, 1), PortRead(0x60, 1)]
    assert guest.cpu.gr[0] == 3
    assert guest.cpu.rip == 0xFFF3


@covers("run/served")
def test_request_that_is_not_served_ends_the_run() -> None:
    guest = Guest(READ, WRITE)
    machine = Machine(guest, refused=0x80)
    assert guest.run() == ToMachine(PortWrite(0x80, 1, 1))
    assert guest.run() == Preempted()
    assert guest.cpu.rip == 0xFFF2
    assert len(machine.seen) == 2


def test_long_string_is_served_element_by_element() -> None:
    guest = Guest(leave(SvmExit.IOIO, 0x60 << 16 | IN | STR | REP | SZ8 | A32, 0, 2,
                        {1: 2 * MOST_ELEMENTS, 7: 0x1000}))  # fmt: skip
    guest.backend.setdesc(guest.cpu, "es", SegmentState(0, 0, 0xFFFF_FFFF, 0x93))
    machine = Machine(guest)
    assert guest.run() == Preempted()
    assert len(machine.seen) == MOST_ELEMENTS
    assert guest.vm.memory.read(0x1000, 4) == b"\x01\x02\x03\x04"


def test_request_without_a_completion_ends_with_its_answer() -> None:
    guest = Guest(leave(0x300))
    Machine(guest)
    assert guest.run() == Preempted()


def test_machine_may_have_the_run_end() -> None:
    guest = Guest(WRITE, WRITE)

    def serve(cpu: X86Vcpu, _request: X86Request) -> bool:
        cpu.give_way()
        return True

    guest.vm.serve = serve
    assert guest.run() == Preempted()
    assert len(guest.entries) == 1
    assert guest.cpu.rip == 0xFFF1


def test_machine_may_shorten_the_slice() -> None:
    guest = Guest(WRITE, WRITE)
    wanted = iter((700, 90_000))

    def serve(cpu: X86Vcpu, _request: X86Request) -> bool:
        cpu.end_slice_at(next(wanted))
        return True

    guest.vm.serve = serve
    assert guest.run(slice_size=5000) == Preempted()
    assert [entry.deadline for entry in guest.entries] == [5000, 700, 700]
    assert guest.host.icount == 700
    guest.run(slice_size=100)
    assert guest.last.deadline == 800


def test_outcome_that_ends_the_run_is_not_served() -> None:
    guest = Guest(leave(SvmExit.INVALID))
    machine = Machine(guest)
    assert isinstance(guest.run(), Stopped)
    assert not machine.seen


@covers("run/registers")
def test_processor_gets_its_own_registers_back_when_no_guest_is_loaded() -> None:
    guest = Guest(cpus=2)
    host = guest.host
    own = host.fx, list(host.dr)
    guest.vm.vcpus[1].state = CpuState.RUNNING
    for number, cpu in enumerate(guest.vm.vcpus):
        cpu.registers.breakpoints[0] = 0x100 + number
    guest.run(0)
    host.calls.clear()
    guest.run(1)
    assert host.dr[0] == 0x101
    first, second = (cpu.vmcb_pa for cpu in guest.vm.vcpus)
    assert host.calls == [f"vmsave {first:#x}", f"vmload {second:#x}"]
    assert guest.vm.vcpus[0].registers.breakpoints[0] == 0x100
    guest.backend.cleanup()
    assert (host.fx, host.dr) == own
    assert host.calls[-1] == f"vmload {guest.cpu.last_cpu.own_state:#x}"  # type: ignore[union-attr]
