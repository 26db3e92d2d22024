"""A bare host with one processor and a guest of one megabyte, prepared anew for each scene."""

from enum import Enum
from typing import Any

from worldswitch.arch.x86.models import cpu_model
from worldswitch.arch.x86.msrs import Msr
from worldswitch.arch.x86.permission_maps import IOPM_SIZE, MSRPM_SIZE
from worldswitch.arch.x86.registers import DR6_RESET, DR7_RESET, PAT_RESET, Cr0, Cr4, Efer, Rflags
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.arch.x86.svm_controls import (
    Intercept1,
    Intercept2,
    NestedControl,
    TlbControl,
    intercept_of,
)
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.svm_host import SvmHost
from worldswitch.arch.x86.vmcb import SIZE, Vmcb
from worldswitch.engine.build import Progress
from worldswitch.lab.demo.switch import Switch
from worldswitch.lab.demo.x86.fields import exit_name, field_texts
from worldswitch.lab.demo.x86.tables import PAGE, NestedTables, identity_tables
from worldswitch.lab.programs import source
from worldswitch.lab.x86_assembler import assemble
from worldswitch.machine.x86.machine import DEFAULT_MODEL
from worldswitch.metal.host import TIME_SLICE
from worldswitch.metal.interface import EntryResult
from worldswitch.metal.x86.host import Host
from worldswitch.metal.x86.processor import Complex
from worldswitch.metal.x86.storage import Storage

MEGABYTE = 1 << 20
STORAGE = 8 * MEGABYTE
GUEST = MEGABYTE
GUEST_SIZE = MEGABYTE
PROGRAM = 0x2000
VIDEO = range(0xA_0000, 0xC_0000)
"""Guest physical addresses that are no RAM."""
CODE_SELECTOR, DATA_SELECTOR = 0x08, 0x10
FLAT = 0xFFFF_FFFF
CODE_64 = int(SegAttr.P | SegAttr.S | SegAttr.TYPE_CODE | SegAttr.TYPE_W | SegAttr.TYPE_A
              | SegAttr.L | SegAttr.G)  # fmt: skip
CODE_32 = CODE_64 & ~SegAttr.L | SegAttr.DB
DATA = int(SegAttr.P | SegAttr.S | SegAttr.TYPE_W | SegAttr.TYPE_A | SegAttr.DB | SegAttr.G)
BUSY_TASK, LDT = 0x8B, 0x82
USER = int(SegAttr.DPL_LOW | SegAttr.DPL_HIGH)
LONG_EFER = Efer.SVME | Efer.LME | Efer.LMA
LONG_CR0 = Cr0.PG | Cr0.AM | Cr0.WP | Cr0.NE | Cr0.ET | Cr0.MP | Cr0.PE
LONG_CR4 = Cr4.PAE | Cr4.OSFXSR | Cr4.OSXMMEXCPT | Cr4.OSXSAVE
STILL_ENTERED = "its state is in the processor still, not in the VMCB"
SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs")


class Mode(Enum):
    """What the guest executes a scene in."""

    LONG = "64-bit mode"
    USER = "64-bit mode at privilege level 3"
    PROTECTED = "32-bit protected mode without paging"


class Stage:
    """`block`: the guest's VMCB, a view of host storage at `where`."""

    def __init__(self, engine: str = "native", progress: Progress | None = None) -> None:
        program = assemble(source("x86_demo"), PROGRAM)
        self.symbols = program.symbols
        self.storage = Storage(STORAGE)
        complex = Complex(self.storage, cpu_model(DEFAULT_MODEL), 1, engine, progress)
        self.processor = complex.processors[0]
        self.host = Host(self.processor)
        self.described = SvmHost.of(complex.model)
        """The processor as the rules for VMCBs need it."""
        self.host.wrmsr(Msr.EFER, self.host.rdmsr(Msr.EFER) | Efer.SVME)
        self.host.wrmsr(Msr.VM_HSAVE_PA, self.storage.allocate(PAGE))
        self.where = self.storage.allocate(SIZE)
        self.block = Vmcb(self.storage.view, self.where)
        self.tables = NestedTables(self.storage, GUEST)
        # All ones: every port and every model-specific register is intercepted.
        self._ports = self._ones(IOPM_SIZE)
        self._msrs = self._ones(MSRPM_SIZE)
        self._image = bytearray(GUEST_SIZE)
        self._put(PROGRAM, program.text)
        self._put(self.symbols["tables"], identity_tables(self.symbols["tables"]))

    def _ones(self, size: int) -> int:
        where = self.storage.allocate(size)
        self.storage.write(where, b"\xff" * size)
        return where

    def _put(self, address: int, data: bytes) -> None:
        self._image[address : address + len(data)] = data

    def prepare(self, label: str, mode: Mode = Mode.LONG) -> Vmcb:
        """Fresh guest storage and a fresh VMCB, about to execute at a label of the program."""
        self.storage.write(GUEST, bytes(self._image))
        for address in range(0, GUEST_SIZE, PAGE):
            if address in VIDEO:
                self.tables.unmap(address)
            else:
                self.tables.map(address)
        for number in range(len(self.host.gr)):
            self.host.gr[number] = 0
        self.host.time_slice = TIME_SLICE
        self.processor.raw.pending = 0
        self.block.write(bytes(SIZE))
        self._control()
        self._save(label, mode)
        return self.block

    def _control(self) -> None:
        control = self.block.control
        # VMRUN refuses a VMCB without the one; the other would take the processor down.
        control.intercept_1, control.intercept_2 = Intercept1.SHUTDOWN, Intercept2.VMRUN
        control.iopm_base_pa, control.msrpm_base_pa = self._ports, self._msrs
        control.asid, control.tlb_control = 1, TlbControl.FLUSH_ALL
        control.nested_control, control.nested_cr3 = NestedControl.NP_ENABLE, self.tables.root

    def _save(self, label: str, mode: Mode) -> None:
        save: Any = self.block.save
        level = 3 if mode is Mode.USER else 0
        long = mode is not Mode.PROTECTED
        for name in SEGMENTS:
            part = getattr(save, name)
            part.selector, part.limit, part.attrib = DATA_SELECTOR | level, FLAT, DATA
        save.cs.selector, save.cs.attrib = CODE_SELECTOR | level, CODE_64 if long else CODE_32
        if level:
            save.cs.attrib |= USER
            save.ss.attrib |= USER
        save.tr.attrib, save.tr.limit, save.ldtr.attrib = BUSY_TASK, 0x67, LDT
        for name in ("gdt", "idt"):
            part, base = getattr(save, f"{name}r"), self.symbols[name]
            part.base, part.limit = base, self.symbols[f"{name}_end"] - base - 1
        save.cpl = level
        save.efer = LONG_EFER if long else Efer.SVME
        save.cr0 = LONG_CR0 if long else Cr0.NE | Cr0.ET | Cr0.PE
        save.cr3 = self.symbols["tables"] if long else 0
        save.cr4 = LONG_CR4 if long else 0
        save.dr6, save.dr7, save.g_pat = DR6_RESET, DR7_RESET, PAT_RESET
        save.rflags, save.rip, save.rsp = Rflags.ONE, self.symbols[label], self.symbols["stack"]

    def intercept(self, code: SvmExit) -> None:
        """Have the guest leave with an exit code, where that has to be asked for."""
        found = intercept_of(code)
        if found is not None:
            control, (field, bit) = self.block.control, found
            setattr(control, field, getattr(control, field) | bit)

    def enter(
        self, did: str, answer: str, extra: tuple[str, ...] = (), brief: bool = False
    ) -> Switch:
        """Issue VMRUN between CLGI and STGI, and note how it ended."""
        host = self.host
        host.vmload(self.where)
        host.clgi()
        result = host.vmrun(self.where)
        code = SvmExit(self.block.control.exit_code)
        details = (STILL_ENTERED,)
        if result is EntryResult.EXIT:
            details = field_texts(self.block, code, brief)
        switch = Switch(
            result, code, exit_name(code), did, (*extra, *details), answer, bytes(self.block)
        )
        self._finish(result)
        return switch

    def _finish(self, result: EntryResult) -> None:
        """Leave the guest if it was not; forget what was to be pending for it."""
        host = self.host
        host.time_slice = TIME_SLICE
        while result is EntryResult.PREEMPTED:
            result = host.vmrun(self.where)
        self.processor.raw.pending = 0
        host.stgi()
