"""A virtual local APIC's registers: in storage's space, and as MSRs.

ref: APM2 16.3.2 APIC Registers; APM2 16.11.1 x2APIC Register Address Space
"""

from collections.abc import Callable

from worldswitch.arch.x86.apic import (
    ABSENT_IN_X2APIC,
    DELIVERY_SHIFT,
    DESTINATION_SHIFT,
    DFR_CLUSTER,
    DFR_FLAT,
    LOWEST_VECTOR,
    READ_ONLY,
    WRITE_ONLY,
    DeliveryMode,
    Esr,
    x2apic_logical_id,
    x2apic_offset,
)
from worldswitch.hypervisor.x86.events import general_protection
from worldswitch.hypervisor.x86.lapic_core import (
    ASE,
    BUSY,
    LVT_WRITABLE,
    MASKED,
    SVR_WRITABLE,
    TSC_DEADLINE,
    VERSION_REGISTER,
    ApicCore,
    ApicOptions,
    Owner,
    R,
)
from worldswitch.hypervisor.x86.state import MASK32

__all__ = ["ApicOptions", "LocalApic", "Owner"]
X2APIC_ICR_RESERVED = 0xFFF3_2000


class LocalApic(ApicCore):
    """The local APIC of a virtual CPU."""

    def mmio_read(self, address: int, size: int) -> int:
        """A load of `size` bytes; each register is 4 bytes of 16. ref: APM2 16.3.2."""
        offset = address & 0xFFF
        if offset & 0xC:
            return 0
        value = self.read(offset & 0xFF0) >> 8 * (offset & 3)
        return value & (1 << 8 * size) - 1

    def mmio_write(self, address: int, size: int, value: int) -> None:
        """A store. One that is not of 4 aligned bytes is undefined, and does nothing here."""
        offset = address & 0xFFF
        if offset & 0xF or size < 4:
            return
        self.write(offset, value & MASK32)

    def read(self, offset: int) -> int:
        """A register of 32 bits by its offset in the page."""
        if R.ISR <= offset < R.ESR:
            bitmap = (self.isr, self.tmr, self.irr)[(offset - R.ISR) // 0x80]
            return bitmap >> 2 * (offset & 0x70) & MASK32
        getter = _READS.get(offset)
        if getter is not None:
            return getter(self)
        value = self.lvt.get(offset)
        if value is None:
            self.error(Esr.ILLEGAL_REGISTER)
            return 0
        return value

    def write(self, offset: int, value: int) -> None:
        """Write one. What is read-only ignores it."""
        setter = _WRITES.get(offset)
        if setter is not None:
            setter(self, value)
        elif offset in LVT_WRITABLE:
            self._write_lvt(offset, value)
        elif offset not in READ_ONLY and not R.ISR <= offset < R.ESR:
            self.error(Esr.ILLEGAL_REGISTER)

    def _write_lvt(self, offset: int, value: int) -> None:
        value &= LVT_WRITABLE[offset]
        if not self.svr & ASE:
            value |= MASKED
        if offset == R.LVT_TIMER:
            if not self.options.tsc_deadline:
                value &= ~TSC_DEADLINE
            self.timer.set_lvt(value)
        else:
            self.lvt[offset] = value
            self.changed()

    def write_tpr(self, value: int) -> None:
        """The task-priority register."""
        self.tpr = value & 0xFF
        self.changed()

    def write_svr(self, value: int) -> None:
        """The spurious-interrupt register; software-disabling masks the local vector table."""
        self.svr = value & SVR_WRITABLE
        if not value & ASE:
            self.timer.set_lvt(self.timer.lvt | MASKED)
            for entry in self.lvt:
                self.lvt[entry] |= MASKED
        self.changed()

    def write_esr(self, _value: int) -> None:
        """The error-status register: a write moves what has happened into it."""
        self.esr, self.errors = self.errors, 0

    def write_icr(self, value: int) -> None:
        """The low half of the interrupt command register: send. ref: APM2 16.5."""
        value &= ~BUSY
        self.icr = self.icr & ~MASK32 | value
        self._send(value, self.icr >> DESTINATION_SHIFT)

    def _send(self, command: int, destination: int) -> None:
        fixed = command >> DELIVERY_SHIFT & 7 in (DeliveryMode.FIXED, DeliveryMode.LOWEST_PRIORITY)
        if fixed and command & 0xFF < LOWEST_VECTOR:
            self.error(Esr.SENT_ILLEGAL_VECTOR)
            return
        self.bus.ipi(self, command, destination)

    def id_register(self) -> int:
        """The ID register."""
        return self.apic_id << 24

    # Registers as MSRs.

    def msr_read(self, msr: int) -> int:
        """An x2APIC register; #GP for one that is not there. ref: APM2 16.11.1."""
        offset = x2apic_offset(msr)
        if not self.x2apic or offset in ABSENT_IN_X2APIC or offset in WRITE_ONLY:
            raise general_protection()
        if offset == R.ID:
            return self.number
        if offset == R.LDR:
            return x2apic_logical_id(self.number)
        if offset == R.ICR_LOW:
            return self.icr
        if offset in _READS or offset in self.lvt or R.ISR <= offset < R.ESR:
            return self.read(offset)
        raise general_protection()

    def msr_write(self, msr: int, value: int) -> None:
        """Write one; #GP for reserved bits and for what cannot be written."""
        offset = x2apic_offset(msr)
        if not self.x2apic or offset in ABSENT_IN_X2APIC:
            raise general_protection()
        if offset == R.ICR_LOW:
            if value & X2APIC_ICR_RESERVED:
                raise general_protection()
            self.icr = value & ~BUSY
            self._send(value & MASK32, value >> 32)
            return
        if value >> 32:
            raise general_protection()
        if offset == R.SELF_IPI:
            if value >> 8:
                raise general_protection()
            self.accept(value)
            return
        if offset in (R.EOI, R.ESR) and value:
            raise general_protection()
        if offset in _X2APIC_READ_ONLY or not (offset in _WRITES or offset in LVT_WRITABLE):
            raise general_protection()
        self.write(offset, value)


_READS: dict[int, Callable[[LocalApic], int]] = {
    R.ID: LocalApic.id_register,
    R.VERSION: lambda apic: VERSION_REGISTER,
    R.TPR: lambda apic: apic.tpr,
    R.APR: lambda apic: apic.processor_priority,
    R.PPR: lambda apic: apic.processor_priority,
    R.EOI: lambda apic: 0,
    R.REMOTE_READ: lambda apic: 0,
    R.LDR: lambda apic: apic.ldr,
    R.DFR: lambda apic: apic.dfr,
    R.SVR: lambda apic: apic.svr,
    R.ESR: lambda apic: apic.esr,
    R.ICR_LOW: lambda apic: apic.icr & MASK32,
    R.ICR_HIGH: lambda apic: apic.icr >> 32,
    R.LVT_TIMER: lambda apic: apic.timer.lvt,
    R.TIMER_INITIAL_COUNT: lambda apic: apic.timer.initial,
    R.TIMER_CURRENT_COUNT: lambda apic: apic.timer.current,
    R.TIMER_DIVIDE: lambda apic: apic.timer.divide,
}


def _set(name: str, mask: int, fixed: int = 0) -> Callable[[LocalApic, int], None]:
    def write(apic: LocalApic, value: int) -> None:
        setattr(apic, name, value & mask | fixed)

    return write


def _write_icr_high(apic: LocalApic, value: int) -> None:
    apic.icr = apic.icr & MASK32 | (value & 0xFF00_0000) << 32


def _write_id(apic: LocalApic, value: int) -> None:
    apic.apic_id = value >> 24


_WRITES: dict[int, Callable[[LocalApic, int], None]] = {
    R.ID: _write_id,
    R.TPR: LocalApic.write_tpr,
    R.EOI: lambda apic, value: apic.end_of_interrupt(),
    R.LDR: _set("ldr", 0xFF00_0000),
    R.DFR: _set("dfr", DFR_FLAT, DFR_CLUSTER),
    R.SVR: LocalApic.write_svr,
    R.ESR: LocalApic.write_esr,
    R.ICR_LOW: LocalApic.write_icr,
    R.ICR_HIGH: _write_icr_high,
    R.TIMER_INITIAL_COUNT: lambda apic, value: apic.timer.set_initial(value),
    R.TIMER_DIVIDE: lambda apic, value: apic.timer.set_divide(value),
}
_X2APIC_READ_ONLY = frozenset({R.ID, R.LDR, R.VERSION})
