"""A machine whose devices are reached without the end of a run, and virtual CPUs that share one."""

from collections.abc import Callable

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.unit.hypervisor.svm.fake_host import Guest, leave
from tests.unit.hypervisor.svm.test_npf import DEVICE, guest_with, npf
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.outcome import Preempted, Stopped
from worldswitch.hypervisor.requests import Halt
from worldswitch.hypervisor.x86.devices import answered
from worldswitch.hypervisor.x86.emulate import MOST_ELEMENTS
from worldswitch.hypervisor.x86.state import CpuState, SegmentState

IN, STR, REP, SZ8, A32 = 1, 4, 8, 1 << 4, 1 << 8
READ = leave(SvmExit.IOIO, 0x60 << 16 | IN | SZ8, 0, 1)
WRITE = leave(SvmExit.IOIO, 0x80 << 16 | SZ8, 0, 1)


class Machine:
    """Devices that answer reads with a number that counts up."""

    def __init__(self, guest: Guest, on_write: Callable[[], None] | None = None) -> None:
        self.seen: list[tuple[str, int, int, int]] = []
        self._on_write = on_write
        guest.vm.devices = self

    def port_read(self, port: int, size: int) -> int:
        """IN."""
        self.seen.append(("in", port, size, 0))
        return len(self.seen)

    def port_write(self, port: int, size: int, value: int) -> None:
        """OUT."""
        self.seen.append(("out", port, size, value))
        if self._on_write is not None:
            self._on_write()

    def mmio_read(self, address: int, size: int) -> int:
        """A load."""
        self.seen.append(("load", address, size, 0))
        return len(self.seen)

    def mmio_write(self, address: int, size: int, value: int) -> None:
        """A store."""
        self.seen.append(("store", address, size, value))


@covers("run/served")
def test_port_accesses_of_a_machine_with_devices_do_not_end_the_run() -> None:
    guest = Guest(WRITE, READ, READ)
    machine = Machine(guest)
    guest.cpu.gr[0] = 0x1234_5678
    assert guest.run() == Preempted()
    assert machine.seen == [("out", 0x80, 1, 0x78), ("in", 0x60, 1, 0), ("in", 0x60, 1, 0)]
    assert guest.cpu.gr[0] == 0x1234_5603
    assert guest.cpu.rip == 0xFFF3


@pytest.mark.parametrize(
    ("size", "rax"), [(1, 0xAAAA_BBBB_CCCC_DD01), (2, 0xAAAA_BBBB_CCCC_0001), (4, 1)]
)
def test_port_read_of_a_size_leaves_the_rest_of_rax_or_clears_it(size: int, rax: int) -> None:
    guest = Guest(leave(SvmExit.IOIO, 0x60 << 16 | IN | size << 4, 0, 1))
    Machine(guest)
    guest.cpu.gr[0] = 0xAAAA_BBBB_CCCC_DDDD
    assert guest.run() == Preempted()
    assert guest.cpu.gr[0] == rax


@covers("run/served")
def test_mapped_registers_of_a_machine_with_devices_do_not_end_the_run() -> None:
    guest = guest_with(npf(DEVICE, text="8b 03"), npf(DEVICE, text="c6 03 05"))
    machine = Machine(guest)
    assert guest.run() == Preempted()
    assert machine.seen == [("load", DEVICE, 4, 0), ("store", DEVICE, 1, 5)]
    assert guest.cpu.gr[0] == 1


def test_long_string_is_carried_out_element_by_element() -> None:
    guest = Guest(leave(SvmExit.IOIO, 0x60 << 16 | IN | STR | REP | SZ8 | A32, 0, 2,
                        {1: 2 * MOST_ELEMENTS, 7: 0x1000}))  # fmt: skip
    guest.backend.setdesc(guest.cpu, "es", SegmentState(0, 0, 0xFFFF_FFFF, 0x93))
    machine = Machine(guest)
    assert guest.run() == Preempted()
    assert len(machine.seen) == MOST_ELEMENTS
    assert guest.vm.memory.read(0x1000, 4) == b"\x01\x02\x03\x04"


def test_request_that_is_no_access_to_a_device_is_an_error() -> None:
    guest = Guest()
    with pytest.raises(TypeError):
        answered(Machine(guest), Halt(0))


def test_machine_may_have_the_run_end() -> None:
    guest = Guest(WRITE, WRITE)
    Machine(guest, guest.cpu.give_way)
    assert guest.run() == Preempted()
    assert len(guest.entries) == 1
    assert guest.cpu.rip == 0xFFF1


def test_machine_may_shorten_the_slice() -> None:
    guest = Guest(WRITE, WRITE)
    wanted = iter((700, 90_000))
    Machine(guest, lambda: guest.cpu.end_slice_at(next(wanted)))
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
