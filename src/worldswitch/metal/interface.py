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


class KeyedStorage(HostStorage, Protocol):
    """Absolute storage of s390x: each frame has a key."""

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
    def storage(self) -> KeyedStorage: ...

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


class X86Host(Protocol):
    """A physical x86-64 processor as the hypervisor that runs on it, in 64-bit mode, sees it.

    Control registers, segment registers and RIP are not here: the hypervisor's own are the same
    all the time, and the guest's are in its VMCB.
    """

    apic_id: int
    features: frozenset[str]
    """Feature names of `worldswitch.arch.x86.cpuid`, as far as the processor has them."""

    @property
    def time_slice(self) -> int:
        """Instructions after which a physical interrupt is due, from each entry into a guest on."""
        ...

    @time_slice.setter
    def time_slice(self, value: int) -> None: ...

    @property
    def deadline(self) -> int:
        """Instruction count of the processor at which one is due, whatever `time_slice` says."""
        ...

    @deadline.setter
    def deadline(self, value: int) -> None: ...

    @property
    def storage(self) -> HostStorage: ...

    @property
    def gr(self) -> Registers:
        """RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15, in the order of their numbers.

        VMRUN and #VMEXIT switch RAX and RSP; a guest leaves its own values in all others.
        """
        ...

    @property
    def dr(self) -> Registers:
        """DR0 to DR7. VMRUN loads DR6 and DR7 alone; #VMEXIT disables DR7 and leaves the rest."""
        ...

    @property
    def cr2(self) -> int:
        """The physical CR2, which VMRUN loads; after #VMEXIT it is as the guest left it."""
        ...

    @property
    def xcr0(self) -> int:
        """Extended control register 0, which nothing switches."""
        ...

    @xcr0.setter
    def xcr0(self, value: int) -> None: ...

    @property
    def icount(self) -> int:
        """Instructions that the processor has executed."""
        ...

    def cpuid(self, leaf: int, subleaf: int = 0) -> tuple[int, int, int, int]:
        """EAX, EBX, ECX and EDX."""
        ...

    def rdmsr(self, msr: int) -> int:
        """A model-specific register; raises GeneralProtection if there is none."""
        ...

    def wrmsr(self, msr: int, value: int) -> None:
        """Write one; raises GeneralProtection where WRMSR would."""
        ...

    def rdtsc(self) -> int:
        """The physical time-stamp counter (64 bits)."""
        ...

    def fxsave(self) -> bytes:
        """x87, MMX and SSE state, 512 bytes as FXSAVE64 stores them."""
        ...

    def fxrstor(self, image: bytes) -> None:
        """Load such an image; raises GeneralProtection for reserved bits of MXCSR."""
        ...

    def vmrun(self, vmcb: int) -> EntryResult:
        """VMLOAD is not part of it. The VMCB is at physical address `vmcb`.

        EXIT after every #VMEXIT, VMEXIT_INVALID among them: the physical interrupt that ends a time
        slice is one, if the VMCB intercepts it and it is enabled. PREEMPTED if it is not: the
        processor is still in the guest, and the next `vmrun` goes on with it. Raises
        GeneralProtection where VMRUN itself would fault.
        """
        ...

    def vmload(self, vmcb: int) -> None:
        """Load FS, GS, TR, LDTR and the MSRs that go with them from a VMCB."""
        ...

    def vmsave(self, vmcb: int) -> None:
        """Save them."""
        ...

    def stgi(self) -> None:
        """Set the global interrupt flag."""
        ...

    def clgi(self) -> None:
        """Clear it: interrupts, NMIs, SMIs and INIT are held pending."""
        ...

    def invlpga(self, address: int, asid: int) -> None:
        """Invalidate this processor's translation of one page in an address space."""
        ...

    def flush_tlb(self) -> None:
        """What a write to the host's CR4.PGE does: drop this processor's entries of ASID 0."""
        ...


class GeneralProtection(Exception):  # noqa: N818 - named after the architecture's exception
    """An instruction that the hypervisor issued would raise #GP(0)."""
