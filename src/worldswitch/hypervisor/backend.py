"""What every virtualization facility's code offers to the common part and to the machine."""

from typing import Any, Protocol

from worldswitch.hypervisor.outcome import RunEnd
from worldswitch.hypervisor.vcpu import Vcpu
from worldswitch.hypervisor.vm import Vm


class SecondLevel(Protocol):
    """The tables that map a guest's physical (absolute) storage to the host's."""

    def insert(self, guest: int, host: int, size: int) -> None:
        """Let guest addresses from `guest` on designate `size` bytes of host storage."""
        ...

    def resolve(self, guest: int, store: bool) -> int | None:
        """The host address that a guest address designates, filling in tables; None if none."""
        ...

    def unmap(self, guest: int, size: int) -> None:
        """Forget translations of a range, and purge what processors hold of them."""
        ...


class InterruptController(Protocol):
    """Interruptions that any virtual CPU of the guest may take."""

    def inject(self, event: Any) -> None:
        """Make a floating interruption pending."""
        ...

    def pending(self) -> bool:
        """Whether any floating interruption is pending."""
        ...


class BackEnd(Protocol):
    """One virtualization facility, in the vocabulary of hypervisors' machine-dependent halves."""

    name: str

    def init(self, host: Any) -> None:
        """Prepare a physical processor; raises RuntimeError if it lacks the facility."""
        ...

    def cleanup(self) -> None:
        """Undo `init` on every processor."""
        ...

    def vminit(self, memory: int, cpus: int) -> Vm:
        """A virtual machine with so many bytes of storage and so many virtual CPUs."""
        ...

    def run(self, vcpu: Vcpu, host: Any) -> RunEnd:
        """Run a virtual CPU on a physical processor until something else must happen."""
        ...

    def getreg(self, vcpu: Vcpu, name: str) -> int:
        """A guest register by name."""
        ...

    def setreg(self, vcpu: Vcpu, name: str, value: int) -> None:
        """Set a guest register."""
        ...

    def getdesc(self, vcpu: Vcpu, name: str) -> Any:
        """A guest descriptor: on s390x an address-space-control element or the PSW, by name."""
        ...

    def setdesc(self, vcpu: Vcpu, name: str, value: Any) -> None:
        """Set a guest descriptor."""
        ...

    def getcap(self, vcpu: Vcpu, name: str) -> int:
        """Whether a capability is on; raises KeyError for one that does not exist."""
        ...

    def setcap(self, vcpu: Vcpu, name: str, value: int) -> None:
        """Turn a capability on or off."""
        ...

    def second_level(self, vm: Vm) -> SecondLevel:
        """The virtual machine's second-level tables."""
        ...

    def interrupt_controller(self, vm: Vm) -> InterruptController:
        """The virtual machine's interrupt controller."""
        ...
