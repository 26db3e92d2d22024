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


class HostStorage(Protocol):
    """Host absolute storage as the hypervisor addresses it, byte order as it stands."""

    size: int
    view: memoryview
    """The whole of it, writable. Control blocks are declared over slices of this."""

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

    storage: HostStorage
    cpu_address: int
    gr: list[int]
    """General registers 0-15 (a live view: item assignment writes the register)."""
    ar: list[int]
    fr: list[int]
    """Floating-point registers; vector registers' left halves."""
    vr: list[int]
    """Vector registers, 128 bits each."""
    cr: list[int]
    """Host control registers: CR1 holds the ASCE that maps guest absolute storage."""
    fpc: int
    facilities: frozenset[int]
    """Installed facilities (bit numbers)."""
    sie_features: SieFeatures
    """Interpretive-execution facilities that are modelled, as READ SCP INFO reports them."""
    host_fault_code: int
    host_fault_address: int
    host_fault_store: bool

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
