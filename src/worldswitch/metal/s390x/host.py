"""A physical processor as the hypervisor on it sees it: `interface.S390Host`, on the metal."""

import ctypes
from typing import Any

from worldswitch.arch.s390x.sie_host import SieHost
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.arch.s390x.validity import set_validity_interception, validity
from worldswitch.engine import Typed
from worldswitch.metal.host import HostBase
from worldswitch.metal.interface import EntryResult
from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.processor import Processor
from worldswitch.metal.s390x.secure_cpu import SecureEntry
from worldswitch.metal.s390x.sie.compiled import CompiledHandler
from worldswitch.metal.s390x.state import Cpu
from worldswitch.metal.s390x.ultravisor import ultravisor_of

STATE_DESCRIPTION = 512
PAGE = 4096


class _Even:
    """Live view of the floating-point registers: the left halves of vector registers."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __getitem__(self, index: int) -> int:
        return self._array[2 * index]

    def __setitem__(self, index: int, value: int) -> None:
        self._array[2 * index] = value

    def __len__(self) -> int:
        return 16


class _Vectors:
    """Live view of the vector registers as 128-bit integers."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __getitem__(self, index: int) -> int:
        return self._array[2 * index] << 64 | self._array[2 * index + 1]

    def __setitem__(self, index: int, value: int) -> None:
        self._array[2 * index] = value >> 64
        self._array[2 * index + 1] = value & (1 << 64) - 1

    def __len__(self) -> int:
        return 32


class Host(HostBase):
    """One physical processor, in the state that a hypervisor's code would run in."""

    def __init__(self, processor: Processor) -> None:
        super().__init__(processor, Cpu)
        self.processor = processor
        self.storage = processor.storage
        self.cpu_address = processor.cpu_address
        self.gr = self.array("gr", ctypes.c_uint64, 16)
        self.ar = self.array("ar", ctypes.c_uint32, 16)
        self.cr = self.array("cr", ctypes.c_uint64, 16)
        vr = self.array("vr", ctypes.c_uint64, 64)
        self.fr, self.vr = _Even(vr), _Vectors(vr)
        self._fpc = self.array("fpc", ctypes.c_uint32)
        self._request = self.array("sie_request", ctypes.c_uint64)
        self._ram = self.storage.address
        self._enter = processor.enter
        self.facilities = processor.complex.model.facilities
        self.sie_features = processor.complex.model.sie
        self.checked_for = SieHost.of(
            processor.complex.model, storage_limit=self.storage.size, protected=True
        )
        self._compiled: CompiledHandler | None = None
        self._secure = SecureEntry(ultravisor_of(processor.complex), processor)
        raw = processor.raw
        raw.running = 1
        raw.sie_native = 0

    @property
    def fpc(self) -> int:
        """Floating-point control register, 32 bits."""
        return self._fpc[0]

    @fpc.setter
    def fpc(self, value: int) -> None:
        self._fpc[0] = value

    @property
    def host_fault_code(self) -> int:
        """Program-interruption code of the host's own exception during SIE."""
        return self.processor.raw.fault_code

    @property
    def host_fault_address(self) -> int:
        """The host virtual address (guest absolute plus origin) that it was about."""
        return self.processor.raw.host_fault_address

    @property
    def host_fault_store(self) -> bool:
        """Whether the guest was storing."""
        return bool(self.processor.raw.host_fault_store)

    def sie(self, state_description: int) -> EntryResult:
        """Issue SIE with the state description at absolute address `state_description`.

        Raises ValueError for an address that SIE refuses with a specification or addressing
        exception.
        """
        if self._others:
            self.processor.tod = self.stck()
        self._request[0] = self._ram + state_description
        result = _RESULTS.get(self._enter())
        return self._sie_checked(state_description) if result is None else result

    def handle_natively(self, handler: Typed[Any, Any] | None) -> None:
        """Have a typed function deal with interceptions, without a return to Python.

        See `sie.compiled.CompiledHandler`; None: no longer. What the handler returns False for
        comes out of `sie` as ever.
        """
        self._compiled = None
        if handler is not None:
            self._compiled = CompiledHandler(handler, self.processor.complex.image)
        self.processor.raw.exit_handler = 0 if self._compiled is None else self._compiled.address

    def _sie_checked(self, where: int) -> EntryResult:
        """SIE with a state description that is new, or has changed in what the checks read."""
        storage = self.storage
        end = where + STATE_DESCRIPTION
        if where % STATE_DESCRIPTION or not 0 < end <= storage.size:
            raise ValueError(f"no state description can be at {where:#x}")
        block = StateDescription(storage.view, where)
        while True:
            report = validity(block, self.checked_for)
            if report is not None:
                set_validity_interception(block, report)
                return EntryResult.EXIT
            if block.sdf:
                return self._sie_protected(block, where)
            self.processor.known.add(self._ram + where)
            self._request[0] = self._ram + where
            result = _RESULTS.get(self._enter())
            if result is not None:
                return result

    def _sie_protected(self, block: StateDescription, where: int) -> EntryResult:
        """SIE with a protected guest: the Ultravisor stands between it and the host."""
        if where % PAGE:
            raise ValueError(f"a protected guest's state description cannot be at {where:#x}")
        while True:
            result = self._secure.enter(block, where)
            if result is not None:
                return result
            self.processor.raw.sie_checked = 1
            self._request[0] = self._ram + where
            result = _RESULTS[self._enter()]
            if result is EntryResult.EXIT:
                result = self._secure.leave(block, where)
            if result is not None:
                return result

    def uvc(self, control_block: int) -> int:
        """Ultravisor call with the control block at an absolute address; the condition code."""
        return self._secure.ultravisor.call(control_block)

    def stidp(self) -> int:
        """CPU id as STIDP stores it (64 bits)."""
        return self.processor.raw.cpu_id

    def stck(self) -> int:
        """The host's TOD clock (64 bits).

        The processors of a complex execute in turn and their clocks run together: it is as late as
        the latest of them.
        """
        now = self.processor.tod
        return max(now, *(other.tod for other in self._others)) if self._others else now

    def ptlb(self) -> None:
        """Purge this processor's TLB of all entries, guests' included."""
        self.processor.call("purge_all")

    def ipte(self, page_table: int, address: int) -> None:
        """Invalidate a page-table entry of the host's tables and its TLB entries everywhere."""
        entry = page_table + (address >> 12 & 0xFF) * 8
        value = int.from_bytes(self.storage.read(entry, 8), "big") | 0x400
        self.storage.write(entry, value.to_bytes(8, "big"))
        for processor in self.processor.complex.processors:
            processor.call("purge_all")


_RESULTS: dict[int, EntryResult] = {
    Exit.SIE_DONE: EntryResult.EXIT,
    Exit.SIE_HOST_FAULT: EntryResult.HOST_FAULT,
    Exit.SIE_PREEMPTED: EntryResult.PREEMPTED,
}
