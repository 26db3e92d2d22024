"""A world switch under SVM: exit to a handler that reads one register and writes three, and back.

No hypervisor stands between: this is the metal's share of an exit. `exits` has the whole.
"""

import time
from collections.abc import Callable

from worldswitch.arch.x86.models import cpu_model
from worldswitch.arch.x86.msrs import Msr
from worldswitch.arch.x86.registers import Cr0, Efer, Rflags
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.arch.x86.svm_controls import Intercept1, Intercept2
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import ALIGNMENT, SIZE, Vmcb
from worldswitch.hypervisor.svm.words import EXIT_CODE, NEXT_RIP, RIP, words
from worldswitch.lab.bench.measure import MeasureError
from worldswitch.lab.bench.rows import OURS, Budget, Row, deferred
from worldswitch.lab.bench.x86.compiled_handler import handle_switch
from worldswitch.machine.x86.machine import DEFAULT_MODEL
from worldswitch.metal.x86.host import Host
from worldswitch.metal.x86.processor import Complex
from worldswitch.metal.x86.storage import Storage

MEMORY = 1 << 20
ORIGIN = 0x1_0000
PROGRAM = bytes.fromhex("0fa2 ebfc")
"""CPUID, and back to it."""
INSTRUCTIONS = 3
"""From one exit to the next: VMRUN, the guest's branch, and its CPUID."""
SWITCHES = 50_000
COMPILED_SHARE = 20
RBX, RCX, RDX = 3, 1, 2


def guest(block: Vmcb) -> None:
    """Make a block that of a guest in real mode, which leaves with CPUID."""
    control, save = block.control, block.save
    control.intercept_1 = Intercept1.CPUID | Intercept1.INTR
    control.intercept_2 = Intercept2.VMRUN
    control.asid = control.v_intr_masking = 1
    save.efer, save.cr0, save.rflags = Efer.SVME, Cr0.ET, Rflags.ONE
    save.dr6, save.dr7 = 0xFFFF_0FF0, 0x400
    data = SegAttr.P | SegAttr.S | SegAttr.TYPE_W | SegAttr.TYPE_A
    for name in ("es", "cs", "ss", "ds"):
        segment = getattr(save, name)
        segment.limit, segment.attrib = 0xFFFF, data
    save.cs.attrib = data | SegAttr.TYPE_CODE
    save.cs.selector, save.cs.base = ORIGIN >> 4, ORIGIN


def _host() -> tuple[Host, int]:
    """A processor with SVM on, and the address of the guest's block."""
    storage = Storage(MEMORY)
    host = Host(Complex(storage, cpu_model(DEFAULT_MODEL)).processors[0])
    host.wrmsr(Msr.EFER, host.rdmsr(Msr.EFER) | Efer.SVME)
    host.wrmsr(Msr.VM_HSAVE_PA, storage.allocate(SIZE, ALIGNMENT))
    storage.write(ORIGIN, PROGRAM)
    address = storage.allocate(SIZE, ALIGNMENT)
    guest(Vmcb(storage.view[address : address + SIZE]))
    return host, address


def _ours(switches: int) -> Callable[[], float]:
    host, address = _host()
    gr, block = host.gr, words(host.storage.view[address : address + SIZE], "Q")

    def handle() -> None:
        if block[EXIT_CODE] != SvmExit.CPUID:
            raise MeasureError(f"the guest left with exit code {block[EXIT_CODE]:#x}")
        value = gr[RBX] + 1
        gr[RBX] = gr[RCX] = gr[RDX] = value & 0xFFFF
        block[RIP] = block[NEXT_RIP]

    def run() -> float:
        gr[RBX] = 0
        began = time.process_time()
        done = 0
        while done < switches:
            host.vmrun(address)
            if block[EXIT_CODE] != SvmExit.INTR:
                handle()
                done += 1
        seconds = time.process_time() - began
        if gr[RDX] != switches & 0xFFFF:
            raise MeasureError("the registers do not count the exits")
        return seconds / switches * 1e6

    return run


def _ours_compiled(switches: int) -> Callable[[], float]:
    host, address = _host()
    block = words(host.storage.view[address : address + SIZE], "Q")
    host.handle_natively(handle_switch)

    def run() -> float:
        start, host.gr[RBX] = host.processor.icount, 0
        host.time_slice = switches * INSTRUCTIONS
        began = time.process_time()
        host.vmrun(address)
        seconds = time.process_time() - began
        if block[EXIT_CODE] != SvmExit.INTR:
            raise MeasureError("the compiled handler let an exit through")
        exits = (host.processor.icount - start) // INSTRUCTIONS
        if (host.gr[RDX] - exits) & 0xFFFF > 1:
            raise MeasureError("the registers do not count the exits")
        return seconds / exits * 1e6

    return run


def rows(quick: bool) -> list[Row]:
    """To a handler in Python, and to a compiled one."""
    switches = SWITCHES // 10 if quick else SWITCHES
    return [
        Row(
            "x86-switch",
            "world switch to a Python handler and back",
            "us",
            Budget(3.0, text="3 us"),
            {OURS: deferred(lambda: _ours(switches))},
        ),
        Row(
            "x86-switch",
            "world switch to a compiled handler and back",
            "us",
            Budget(0.3, text="0.3 us"),
            {OURS: deferred(lambda: _ours_compiled(COMPILED_SHARE * switches))},
        ),
    ]
