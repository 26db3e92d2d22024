"""A virtual machine for x86: storage, processors, interrupt messages, what stops all of them."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from worldswitch.arch.x86.msrs import Msr
from worldswitch.hypervisor.vm import Vm
from worldswitch.hypervisor.x86.apic_bus import ApicBus
from worldswitch.hypervisor.x86.cpuid_policy import CpuidPolicy
from worldswitch.hypervisor.x86.devices import Devices
from worldswitch.hypervisor.x86.lapic import ApicOptions
from worldswitch.hypervisor.x86.memory import LARGE_PAGE, GuestMemory
from worldswitch.hypervisor.x86.mmio import DecodedInstructions
from worldswitch.hypervisor.x86.options import Options
from worldswitch.metal.interface import GeneralProtection, X86Host

if TYPE_CHECKING:
    from worldswitch.hypervisor.x86.vcpu import X86Vcpu

FOUR_GIB = 1 << 32
MOST_CPUS = 255
"""APIC IDs of 8 bits, the last of which is everybody's."""


class Pic(Protocol):
    """The 8259 pair, as a processor's INTR pin and acknowledge cycle see it."""

    intr: bool
    """Whether the INTR line is asserted."""

    def acknowledge(self) -> int:
        """The acknowledge cycle: the vector, whose interrupt is in service from now on."""
        ...


class X86Vm(Vm):
    """What all virtual machines for x86 have.

    memory: bytes of guest storage, from address 0 up to the hole and from 4 GiB on.
    """

    def __init__(
        self, hosts: list[X86Host], memory: int, cpus: int, options: Options, name: str
    ) -> None:
        super().__init__(name)
        if not 0 < cpus <= MOST_CPUS:
            raise ValueError(f"a guest has 1 to {MOST_CPUS} processors, not {cpus}")
        self.hosts = hosts
        self.now = hosts[0].rdtsc
        """The physical time-stamp counter, by which all times here are."""
        self.options = options
        self.storage = hosts[0].storage
        self.memory = GuestMemory(self.storage)
        self.size = -(-memory // LARGE_PAGE) * LARGE_PAGE
        self.decoded = DecodedInstructions()
        self.bus = ApicBus()
        self.pic: Pic | None = None
        """Set by a machine that has one."""
        self.devices: Devices | None = None
        """Set by a machine whose devices are reached without the end of a run."""
        self.cpuid_policy = CpuidPolicy(hosts, cpus, options)
        self.apic_options = ApicOptions(
            options.x2apic, options.tsc_deadline, options.tsc_hz, options.apic_hz
        )
        self.on_machine_check: Callable[[X86Host], None] | None = None
        """The host's machine-check handler, called for one that happened in a guest."""
        self.suspended = ""
        """Why no virtual CPU is to run any more; empty: they are."""
        self._rendezvous: Callable[[X86Vcpu], None] | None = None
        self._missing: set[int] = set()

    @property
    def vcpus(self) -> "Sequence[X86Vcpu]":
        return ()

    @abstractmethod
    def map(self, guest: int, host: int, size: int, writable: bool = True) -> None:
        """Let guest physical addresses from `guest` on be host storage; whole pages."""

    def populate(self) -> None:
        """Give the guest its storage."""
        low = min(self.size, self.options.hole_start)
        backing = self.storage.allocate(self.size, LARGE_PAGE)
        self.map(0, backing, low)
        if low < self.size:
            self.map(FOUR_GIB, backing + low, self.size - low)

    @property
    def low_end(self) -> int:
        """Where storage below 4 GiB ends."""
        return min(self.size, self.options.hole_start)

    def patch_level(self) -> int:
        """The processor's microcode, as the guest is told; 0 if there is no telling."""
        try:
            return self.hosts[0].rdmsr(Msr.PATCH_LOADER_SIG)
        except GeneralProtection:
            return 0

    def vcpu(self, address: int) -> "X86Vcpu | None":
        """The virtual CPU of a number, or None."""
        vcpus = self.vcpus
        return vcpus[address] if 0 <= address < len(vcpus) else None

    def deliver(
        self,
        destination: int,
        logical: bool,
        delivery_mode: int,
        vector: int,
        level: bool = True,
        trigger: bool = False,
    ) -> bool:
        """An interrupt message of the I/O APIC or a device; see `ApicBus.deliver`."""
        return self.bus.deliver(destination, logical, delivery_mode, vector, level, trigger)

    def on_eoi(self, callback: Callable[[int], None]) -> None:
        """Have the vectors of level-triggered interrupts told when they end."""
        self.bus.on_eoi = callback

    def reset(self) -> None:
        """The processors as after power-on; storage stays."""
        self.suspended = ""
        self._rendezvous = None
        self._missing.clear()
        for vcpu in self.vcpus:
            vcpu.reset()

    # What stops all of them.

    def suspend(self, how: str) -> None:
        """Have every virtual CPU leave the guest for good, and say why."""
        self.suspended = how
        for vcpu in self.vcpus:
            vcpu.call_attention()

    def rendezvous(self, action: "Callable[[X86Vcpu], None]") -> None:
        """Have every virtual CPU do something while it is not in the guest.

        A virtual CPU does it before it enters the guest again; one that cannot run does it at once.
        RuntimeError if not all have done what they were called together for before.
        """
        if self._missing:
            raise RuntimeError("virtual CPUs are missing from a rendezvous that was called before")
        self._rendezvous = action
        for vcpu in self.vcpus:
            if vcpu.runnable():
                self._missing.add(vcpu.address)
                vcpu.call_attention()
            else:
                action(vcpu)

    def attend_rendezvous(self, vcpu: "X86Vcpu") -> int | None:
        """A virtual CPU does what it was called for; how many are missing, None if it was not."""
        action = self._rendezvous
        if action is None or vcpu.address not in self._missing:
            return None
        self._missing.discard(vcpu.address)
        action(vcpu)
        return len(self._missing)
