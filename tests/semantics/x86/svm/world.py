"""A host and a guest of SVM, for tests: memory, a VMCB, page tables, and programs in assembly.

    world = World()
    world.guest("cpuid; hlt", intercept_1=Intercept1.CPUID)
    assert world.run() == SvmExit.CPUID

The host is Python (`Host.vmrun`), or a program that executes VMRUN (`run_program`).
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from worldswitch.arch.x86.models import cpu_model
from worldswitch.arch.x86.msrs import Msr
from worldswitch.arch.x86.registers import DR6_RESET, DR7_RESET, PAT_RESET, Cr0, Cr4, Efer
from worldswitch.arch.x86.svm_controls import Intercept1, Intercept2, NestedControl
from worldswitch.arch.x86.vmcb import Vmcb
from worldswitch.lab.x86_assembler import Program, assemble
from worldswitch.metal.interface import EntryResult
from worldswitch.metal.x86.host import Host
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.processor import Complex, Processor
from worldswitch.metal.x86.storage import Storage

MODEL = "epyc-genoa"
RAM = 16 << 20
HANDLERS, GDT, IDT, TSS = 0x600, 0x1000, 0x2000, 0x3000
STACK, HOST_STACK = 0x8000, 0x7000
HOST_CODE = 0x9000
PAGES, NESTED_PAGES = 0x10000, 0x20000
VMCB, HSAVE, IOPM, MSRPM, OTHER_VMCB = 0x30000, 0x31000, 0x32000, 0x36000, 0x38000
CODE, DATA = 0x10_0000, 0x20_0000
CODE64, DATA64 = 0xA9B, 0xC93
CODE_SELECTOR, DATA_SELECTOR, TASK_SELECTOR = 8, 16, 24
HLT_EXIT = 0x78
IN, OUT = 2, 3
RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI = range(8)
LONG_EFER = Efer.SVME | Efer.LME | Efer.LMA | Efer.NXE | Efer.SCE
LONG_CR0 = Cr0.PE | Cr0.PG | Cr0.WP | Cr0.NE | Cr0.ET | Cr0.MP
LONG_CR4 = Cr4.PAE | Cr4.PGE | Cr4.OSFXSR


class World:
    """One processor and 16 MiB of memory. engine: "native" or "python"."""

    def __init__(self, engine: str = "native", model: str = MODEL) -> None:
        self.storage = Storage(RAM)
        self.ports: list[tuple[int, int, int, int]] = []
        self.on_port: Callable[[], object] = lambda: None
        self.complex = Complex(self.storage, cpu_model(model), 1, engine, bus=self._bus)
        self.processor = self.complex.processors[0]
        self.raw = self.processor.raw
        self.reset()

    def _bus(self, processor: Processor) -> None:
        raw = processor.raw
        self.ports.append((raw.bus_kind, raw.bus_address, raw.bus_size, raw.bus_value))
        raw.bus_value = 0x5A5A_5A5A_5A5A_5A5A
        self.on_port()

    def reset(self) -> None:
        """As after power-on, with a host in 64-bit mode that has SVM enabled."""
        self.storage.write(0, bytes(0x40_0000))
        self.ports.clear()
        self.on_port = lambda: None
        self.processor.reset()
        raw = self.raw
        raw.spaces_used = 0
        raw.deadline = 1 << 62
        self.host = Host(self.processor)
        self.host.stgi()
        self.gr = self.host.gr
        self.host.wrmsr(Msr.EFER, self.host.rdmsr(Msr.EFER) | Efer.SVME)
        self.host.wrmsr(Msr.VM_HSAVE_PA, HSAVE)
        self.block = Vmcb(self.storage.view, VMCB)
        self._tables()
        raw.cr3 = PAGES
        raw.gdtr_base, raw.gdtr_limit, raw.idtr_base, raw.idtr_limit = GDT, 0xFF, IDT, 0xFFF
        self.processor.call("update_mode")

    def _tables(self) -> None:
        self.map(PAGES, 0x87)
        self.map(NESTED_PAGES, 0x87)
        descriptors = (0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF,
                       0x0000_8B00_0000_0067 | TSS << 16, 0)  # fmt: skip
        self.storage.write(GDT, struct.pack("<5Q", *descriptors))
        self.storage.write(TSS + 4, struct.pack("<Q", STACK))
        for vector in range(256):
            # Handlers are HLT instructions, one for each vector.
            self.gate(vector, HANDLERS + vector)
        self.storage.write(HANDLERS, b"\xf4" * 256)

    def gate(self, vector: int, target: int) -> None:
        """Let an interrupt gate of the guest's IDT lead to an address below 4 GiB."""
        low = (target & 0xFFFF) | CODE_SELECTOR << 16 | 0x8E << 40 | (target >> 16) << 48
        self.storage.write(IDT + 16 * vector, struct.pack("<QQ", low, 0))

    def map(self, root: int, attributes: int) -> None:
        """Identity tables of 1 GiB in pages of 2 MiB: three pages at `root`."""
        self.put(root, (root + 0x1000) | 7)
        self.put(root + 0x1000, (root + 0x2000) | 7)
        entries = [(n << 21) | attributes for n in range(512)]
        self.storage.write(root + 0x2000, struct.pack("<512Q", *entries))

    def map_small(self, root: int, region: int, table: int) -> None:
        """Map a region of 2 MiB in pages of 4 KiB, by a table at `table`, one to one."""
        self.put(root + 0x2000 + 8 * (region >> 21), table | 7)
        entries = [region + (n << 12) | 7 for n in range(512)]
        self.storage.write(table, struct.pack("<512Q", *entries))

    def put(self, address: int, value: int, size: int = 8) -> None:
        """Put a little-endian number into memory."""
        self.storage.write(address, value.to_bytes(size, "little"))

    def get(self, address: int, size: int = 8) -> int:
        """A little-endian number in memory."""
        return int.from_bytes(self.storage.read(address, size), "little")

    def change(self, block: Vmcb | None = None, **values: Any) -> None:
        """Set fields of the VMCB, of either area; intercepts are added."""
        block = block or self.block
        for name, value in values.items():
            area = block.control if hasattr(block.control, name) else block.save
            if name.startswith("intercept_"):
                value |= getattr(area, name)
            setattr(area, name, value)

    def fill(self, block: Vmcb) -> None:
        """A guest in 64-bit mode, with identity paging, about to execute at CODE."""
        self.change(
            block, asid=1, intercept_1=Intercept1.HLT | Intercept1.SHUTDOWN,
            intercept_2=Intercept2.VMRUN, iopm_base_pa=IOPM, msrpm_base_pa=MSRPM,
            efer=LONG_EFER, cr0=LONG_CR0, cr3=PAGES, cr4=LONG_CR4, dr6=DR6_RESET, dr7=DR7_RESET,
            rip=CODE, rsp=STACK, rflags=2, g_pat=PAT_RESET,
        )  # fmt: skip
        save = block.save
        for name, attrib, selector in (("cs", CODE64, 8), ("ss", DATA64, 16), ("ds", DATA64, 16),
                                       ("es", DATA64, 16), ("fs", DATA64, 0), ("gs", DATA64, 0),
                                       ("tr", 0x8B, 24), ("ldtr", 0x82, 0)):  # fmt: skip
            segment = getattr(save, name)
            segment.attrib, segment.selector, segment.limit = attrib, selector, 0xFFFF_FFFF
        save.tr.base, save.tr.limit = TSS, 0x67
        save.gdtr.base, save.gdtr.limit = GDT, 0xFF
        save.idtr.base, save.idtr.limit = IDT, 0xFFF

    def guest(self, source: str, nested: bool = False, **changes: Any) -> Program:
        """A new guest that executes `source` (AT&T syntax); see `change`."""
        self.reset()
        self.fill(self.block)
        self.host.vmload(VMCB)
        program = assemble(source, CODE)
        self.storage.write(CODE, program.text + b"\xf4" * 16)
        if nested:
            self.change(nested_control=NestedControl.NP_ENABLE, nested_cr3=NESTED_PAGES)
        self.change(**changes)
        return program

    def run(self) -> int:
        """VMRUN by a host in Python; the exit code."""
        assert self.host.vmrun(VMCB) is EntryResult.EXIT
        return self.block.control.exit_code

    def run_to_end(self, **changes: Any) -> None:
        """VMRUN; the guest has to end with HLT."""
        self.change(**changes)
        code = self.run()
        assert code == HLT_EXIT, hex(code)

    def skip(self) -> None:
        """Have the guest go on behind the instruction that was intercepted."""
        self.block.save.rip = self.block.control.next_rip

    def run_program(self, source: str, limit: int = 10_000) -> Program:
        """A host program in 64-bit mode at HOST_CODE runs to its HLT; RAX is the VMCB."""
        program = assemble(source, HOST_CODE)
        self.storage.write(HOST_CODE, program.text)
        raw = self.raw
        raw.rip, raw.halted = HOST_CODE, 0
        raw.gr[RAX], raw.gr[RSP] = VMCB, HOST_STACK
        self.go(limit)
        return program

    def go(self, limit: int = 10_000) -> None:
        """Run the processor on to the host's next HLT."""
        self.raw.halted = 0
        reason = self.processor.run(limit)
        assert reason == Exit.HALT, (reason, hex(self.raw.rip), self.raw.guest, self.raw.vector)
        assert not self.raw.guest, hex(self.raw.rip)

    @property
    def info(self) -> tuple[int, int]:
        """EXITINFO1 and EXITINFO2."""
        return self.block.control.exit_info_1, self.block.control.exit_info_2


@lru_cache
def world(engine: str = "native", model: str = MODEL) -> World:
    """A world that tests share; `World.guest` makes it new."""
    return World(engine, model)
