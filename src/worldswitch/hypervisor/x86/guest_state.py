"""A guest's state as all that is common to the facilities reads and writes it."""

from abc import abstractmethod
from typing import ClassVar

from worldswitch.hypervisor.vcpu import Vcpu
from worldswitch.hypervisor.x86.state import CpuMode, SegmentState
from worldswitch.metal.interface import Registers, X86Host


class GuestState(Vcpu):
    """Where the state is, the facility knows."""

    ADDRESS_NAME: ClassVar[str] = "rip"
    OWN_REGISTERS: ClassVar[frozenset[int]] = frozenset()
    """Numbers of the general registers that entering and leaving the guest switches."""
    gr: Registers

    @property
    @abstractmethod
    def rip(self) -> int:
        """The address of the guest's instruction."""

    @rip.setter
    @abstractmethod
    def rip(self, value: int) -> None: ...

    @property
    @abstractmethod
    def rflags(self) -> int:
        """RFLAGS."""

    @rflags.setter
    @abstractmethod
    def rflags(self, value: int) -> None: ...

    @property
    @abstractmethod
    def cr0(self) -> int:
        """CR0."""

    @cr0.setter
    @abstractmethod
    def cr0(self, value: int) -> None: ...

    @property
    @abstractmethod
    def cr2(self) -> int:
        """CR2."""

    @cr2.setter
    @abstractmethod
    def cr2(self, value: int) -> None: ...

    @property
    @abstractmethod
    def cr3(self) -> int:
        """CR3."""

    @cr3.setter
    @abstractmethod
    def cr3(self, value: int) -> None: ...

    @property
    @abstractmethod
    def cr4(self) -> int:
        """CR4."""

    @cr4.setter
    @abstractmethod
    def cr4(self, value: int) -> None: ...

    @property
    @abstractmethod
    def efer(self) -> int:
        """EFER."""

    @efer.setter
    @abstractmethod
    def efer(self, value: int) -> None: ...

    @property
    @abstractmethod
    def cpl(self) -> int:
        """The privilege level, 0 to 3."""

    @abstractmethod
    def mode(self) -> CpuMode:
        """The operating mode."""

    @abstractmethod
    def descriptor(self, name: str) -> SegmentState:
        """A segment or table register by name, with its hidden part."""

    @abstractmethod
    def set_descriptor(self, name: str, value: SegmentState) -> None:
        """Set one."""

    @abstractmethod
    def segment(self, number: int) -> SegmentState:
        """A segment register by its number."""

    @abstractmethod
    def system(self, name: str) -> int:
        """A register that the facility's control block holds, by the block's name for it."""

    @abstractmethod
    def set_system(self, name: str, value: int) -> None:
        """Set one."""

    @property
    @abstractmethod
    def interrupt_shadow(self) -> bool:
        """Whether the next instruction is executed before interrupts are taken."""

    @interrupt_shadow.setter
    @abstractmethod
    def interrupt_shadow(self, value: bool) -> None: ...

    @property
    @abstractmethod
    def nmi_blocked(self) -> bool:
        """Whether an NMI has to wait for an IRET."""

    @property
    @abstractmethod
    def tsc_offset(self) -> int:
        """What the guest's time-stamp counter is ahead of the host's by (64 bits)."""

    @tsc_offset.setter
    @abstractmethod
    def tsc_offset(self, value: int) -> None: ...

    @property
    @abstractmethod
    def host(self) -> X86Host:
        """The physical processor that the virtual CPU is loaded on."""
