"""The guest's own page tables, walked for instructions that the hypervisor executes itself."""

from typing import Protocol

from worldswitch.arch.x86 import paging as forms
from worldswitch.arch.x86.exceptions import PageFaultError
from worldswitch.arch.x86.paging import (
    ADDRESS,
    ADDRESS_32,
    ADDRESS_PSE,
    PSE36_MASK,
    PSE36_SHIFT,
    Level,
    PagingForm,
    Pte,
    reserved_address_bits,
)
from worldswitch.arch.x86.registers import (
    CR3_BASE_LEGACY,
    CR3_BASE_LONG,
    CR3_BASE_PAE,
    Cr0,
    Cr4,
    Efer,
    Rflags,
)
from worldswitch.hypervisor.x86.events import page_fault
from worldswitch.hypervisor.x86.memory import GuestMemory, OutsideMemoryError
from worldswitch.hypervisor.x86.state import MASK32, PagingMode, paging_mode

FORMS: dict[PagingMode, PagingForm] = {
    PagingMode.LEGACY: forms.LEGACY,
    PagingMode.PAE: forms.PAE,
    PagingMode.LONG: forms.LONG_4,
    PagingMode.LONG_5: forms.LONG_5,
}
ROOTS: dict[PagingMode, int] = {
    PagingMode.LEGACY: CR3_BASE_LEGACY,
    PagingMode.PAE: CR3_BASE_PAE,
    PagingMode.LONG: CR3_BASE_LONG,
    PagingMode.LONG_5: CR3_BASE_LONG,
}
USER = 3
NOTHING = (1 << 64) - 1
"""What is read of a table that is not in storage."""


class Translating(Protocol):
    """The state that translation depends on."""

    @property
    def cr0(self) -> int: ...
    @property
    def cr3(self) -> int: ...
    @property
    def cr4(self) -> int: ...
    @property
    def efer(self) -> int: ...
    @property
    def rflags(self) -> int: ...
    @property
    def cpl(self) -> int: ...
    @property
    def physical_bits(self) -> int: ...
    @property
    def memory(self) -> GuestMemory: ...


class _Walk:
    """One walk: where the entries are, and what they allow together."""

    def __init__(self, cpu: Translating, mode: PagingMode, linear: int) -> None:
        self.memory = cpu.memory
        self.mode = mode
        self.linear = linear
        self.entries: list[tuple[int, int]] = []
        self.writable = self.user = True
        self.executable = True
        self.fault = 0
        self.present = False
        self.gpa = 0
        no_execute = bool(cpu.efer & Efer.NXE)
        self.reserved = 0
        if mode is not PagingMode.LEGACY:
            self.reserved = reserved_address_bits(
                cpu.physical_bits,
                no_execute=no_execute,
                long_mode=mode is not PagingMode.PAE,
            )
        self._go(cpu.cr3 & ROOTS[mode], FORMS[mode], bool(cpu.cr4 & Cr4.PSE))

    def _go(self, table: int, form: PagingForm, pse: bool) -> None:
        for level in form.levels:
            where = table + level.index(self.linear) * form.entry_size
            entry = self._read(where, form.entry_size)
            if not entry & Pte.P:
                return
            last = level is form.levels[-1]
            legacy = form.entry_size == 4
            large = level.large and bool(entry & Pte.PS) and (pse or not legacy)
            reserved = self.reserved | (level.large_reserved if large else level.reserved)
            if legacy and not large:
                reserved = 0
            if entry & reserved:
                self.fault = PageFaultError.P | PageFaultError.RSV
                return
            self.entries.append((where, entry))
            if not (self.mode is PagingMode.PAE and level is form.levels[0]):
                self.writable = self.writable and bool(entry & Pte.RW)
                self.user = self.user and bool(entry & Pte.US)
            self.executable = self.executable and not entry & Pte.NX
            if last or large:
                self.present = True
                self.gpa = self._address(entry, level, legacy, large)
                return
            table = entry & (ADDRESS_32 if legacy else ADDRESS)

    def _address(self, entry: int, level: Level, legacy: bool, large: bool) -> int:
        inside = self.linear & (level.page_size - 1)
        if legacy and large:
            high = (entry >> PSE36_SHIFT & PSE36_MASK) << 32
            return high | entry & ADDRESS_PSE | inside
        base = entry & (ADDRESS_32 if legacy else ADDRESS)
        return base & -level.page_size | inside

    def _read(self, where: int, size: int) -> int:
        try:
            return int.from_bytes(self.memory.read(where, size), "little")
        except OutsideMemoryError:
            return NOTHING >> (64 - 8 * size)

    def mark(self, form: PagingForm, write: bool) -> None:
        """Set the accessed bits, and the dirty bit of the page for a store. ref: APM2 5.4.2."""
        size = form.entry_size
        for number, (where, entry) in enumerate(self.entries):
            if self.mode is PagingMode.PAE and number == 0:
                continue
            wanted = entry | Pte.A
            if write and number == len(self.entries) - 1:
                wanted |= Pte.D
            if wanted != entry and self.memory.has(where, size):
                self.memory.write(where, int(wanted).to_bytes(size, "little"))


def translate(
    cpu: Translating,
    linear: int,
    write: bool = False,
    fetch: bool = False,
    supervisor: bool = False,
) -> int:
    """The guest physical address behind a linear address.

    supervisor: an access that counts as the supervisor's whatever the privilege level, such as to
    a descriptor table. Raises GuestException for a page fault. ref: APM2 5.6 Page-Protection Checks
    """
    cr0, cr4 = cpu.cr0, cpu.cr4
    mode = paging_mode(cr0, cr4, cpu.efer)
    if mode is PagingMode.FLAT:
        return linear & MASK32
    user = cpu.cpl == USER and not supervisor
    if mode in (PagingMode.LEGACY, PagingMode.PAE):
        linear &= MASK32
    walk = _Walk(cpu, mode, linear)
    error = _fault(cpu, walk, user, write, fetch)
    if error is not None:
        if write:
            error |= PageFaultError.RW
        if user:
            error |= PageFaultError.US
        no_execute = cpu.efer & Efer.NXE and mode is not PagingMode.LEGACY
        if fetch and (no_execute or cr4 & Cr4.SMEP):
            error |= PageFaultError.ID
        raise page_fault(linear, error)
    walk.mark(FORMS[mode], write)
    return walk.gpa


def _fault(cpu: Translating, walk: _Walk, user: bool, write: bool, fetch: bool) -> int | None:
    """The lowest bits of the error code, or None if the access is allowed."""
    if not walk.present:
        return walk.fault
    refused = False
    if user:
        refused = not walk.user or (write and not walk.writable)
    elif write and not walk.writable and cpu.cr0 & Cr0.WP:
        refused = True
    elif walk.user and fetch:
        refused = bool(cpu.cr4 & Cr4.SMEP)
    elif walk.user:
        refused = bool(cpu.cr4 & Cr4.SMAP) and not cpu.rflags & Rflags.AC
    if fetch and not walk.executable:
        refused = True
    # UNMODELLED: protection keys, for instructions that the hypervisor executes.
    return int(PageFaultError.P) if refused else None
