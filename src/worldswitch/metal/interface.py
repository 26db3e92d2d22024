"""The architected interface of processors: all that a hypervisor may see of the metal.

A hypervisor reads and writes physical registers and host storage, and issues the entry
instruction. Everything else it learns from control blocks.
"""

from enum import Enum
from typing import Protocol

from worldswitch.arch.s390x.models import SieFeatures


class EntryResult(Enum):
    """How an entry instruction issued by the hypervisor ended."""

    EXIT = "exit"
    """The guest was left; the control block says why."""
    HOST_FAULT = "host fault"
    """A host program interruption is due: see `host_fault_code` and `host_fault_address`."""
    PREEMPTED = "preempted"
    """The host's own time slice ended (an external interruption of the host)."""


class Registers(Protocol):
    """Registers by number: a live view, so that item assignment writes the register."""

    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...
    def __len__(self) -> int: ...


class HostStorage(Protocol):
    """Host absolute storage as the hypervisor addresses it, byte order as it stands."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def view(self) -> memoryview:
        """The whole of it, writable. Control blocks are declared over slices of this."""
        ...

    def allocate(self, size: int, alignment: int = 4096) -> int:
        """Reserve zeroed host storage; returns its absolute address."""
        ...

    def read(self, address: int, size: int) -> bytes:
        """Bytes at an absolute address; raises SecureStorageAccess for a protected guest's page."""
        ...

    def write(self, address: int, data: bytes) -> None:
        """Store bytes; raises SecureStorageAccess for a protected guest's page."""
        ...

    def get_key(self, address: int) -> int:
        """Storage key of the 4 KiB frame at `address` (8 bits: ACC, F, R, C)."""
        ...

    def set_key(self, address: int, key: int) -> None:
        """Set the storage key of a frame."""
        ...


class SecureStorageAccess(Exception):  # noqa: N818 - named after the architecture's exception
    """The host touched storage that the Ultravisor has made secure (program code 0x3D)."""

    def __init__(self, address: int) -> None:
        super().__init__(f"host access to secure storage at {address:#x}")
        self.address = address


class S390Host(Protocol):
    """A physical s390x processor as the hypervisor that runs on it sees it."""

    cpu_address: int
    facilities: frozenset[int]
    """Installed facilities (bit numbers)."""
    sie_features: SieFeatures
    """Interpretive-execution facilities that are modelled, as READ SCP INFO reports them."""

    @property
    def storage(self) -> HostStorage: ...

    @property
    def fpc(self) -> int:
        """Floating-point control register."""
        ...

    @fpc.setter
    def fpc(self, value: int) -> None: ...

    @property
    def gr(self) -> Registers:
        """General registers 0-15."""
        ...

    @property
    def ar(self) -> Registers:
        """Access registers."""
        ...

    @property
    def fr(self) -> Registers:
        """Floating-point registers; vector registers' left halves."""
        ...

    @property
    def vr(self) -> Registers:
        """Vector registers, 128 bits each."""
        ...

    @property
    def cr(self) -> Registers:
        """Host control registers: CR1 holds the ASCE that maps guest absolute storage."""
        ...

    @property
    def host_fault_code(self) -> int:
        """Program-interruption code of the host's own exception during SIE."""
        ...

    @property
    def host_fault_address(self) -> int:
        """Host virtual address that it was about."""
        ...

    @property
    def host_fault_store(self) -> bool:
        """Whether the guest was storing."""
        ...

    def sie(self, state_description: int) -> EntryResult:
        """Issue SIE with the state description at absolute address `state_description`."""
        ...

    def stidp(self) -> int:
        """CPU id as STIDP stores it (64 bits)."""
        ...

    def stck(self) -> int:
        """The host's TOD clock (64 bits)."""
        ...

    def ptlb(self) -> None:
        """Purge this processor's TLB of all entries, guests' included."""
        ...

    def ipte(self, page_table: int, address: int) -> None:
        """Invalidate a page-table entry of the host's tables and its TLB entries everywhere."""
        ...

    def uvc(self, control_block: int) -> int:
        """Ultravisor call with the control block at an absolute address; the condition code."""
        ...
