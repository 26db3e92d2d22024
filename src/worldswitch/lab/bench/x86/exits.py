"""Exits of a guest under SVM, by kind: to the hypervisor in Python, and to a compiled handler."""

import time
from collections.abc import Callable

from worldswitch.arch.x86.models import cpu_model
from worldswitch.hypervisor import requests
from worldswitch.hypervisor.outcome import Preempted, ToMachine
from worldswitch.hypervisor.svm.backend import SvmBackEnd
from worldswitch.hypervisor.svm.options import SvmOptions
from worldswitch.hypervisor.x86.state import CpuState
from worldswitch.lab.bench.loop import UNICORN, unicorn_missing
from worldswitch.lab.bench.measure import MeasureError
from worldswitch.lab.bench.rows import OURS, Row, deferred
from worldswitch.lab.bench.x86.compiled_handler import FINISH_PORT, handle
from worldswitch.lab.bench.x86.image import ORIGIN, program, start
from worldswitch.lab.bench.x86.unicorn_exits import MISSING, unicorn
from worldswitch.machine.x86.guest import HOST_MEMORY, NAMES, segment_state
from worldswitch.machine.x86.machine import DEFAULT_MODEL
from worldswitch.metal.x86.host import Host
from worldswitch.metal.x86.processor import Complex
from worldswitch.metal.x86.storage import Storage

NAME = "x86_exits"
COMPILED = f"{OURS} compiled"
MEMORY = 16 << 20
READY_PORT = 0x80
EXITS = 20_000
COMPILED_SHARE = 20
"""The compiled handler gets so many times more to do."""
KINDS = {
    "CPUID": "cpuid",
    "port I/O": "in $0x60, %al",
    "RDMSR": "rdmsr",
    "MMIO": "mov (%rdi), %eax",
    "HLT": "hlt",
}
"""Instructions that leave the guest, as lab/programs/x86_exits.s has them executed.

CPUID writes RCX, and RDMSR reads it: each program has one of them alone.
"""


class Guest:
    """A guest that executes one of these instructions again and again.

    The hypervisor answers CPUID and RDMSR itself, and has ports and MMIO from the device that this
    class is. HLT ends a run, as with a machine, where it has other virtual CPUs to look after.
    """

    def __init__(self, kind: str, exits: int, compiled: bool, engine: str = "native") -> None:
        self.exits = exits
        self._handler = handle if compiled else None
        self._program = program(NAME, KINDS[kind], rounds=exits, expected=exits)
        shared = Complex(Storage(MEMORY + HOST_MEMORY), cpu_model(DEFAULT_MODEL), 1, engine)
        self._host = Host(shared.processors[0])
        self._back_end = SvmBackEnd(SvmOptions(model=shared.model))
        self._back_end.init(self._host)
        self._vm = self._back_end.vminit(MEMORY, 1)
        self._vcpu = self._vm.vcpus[0]
        self._vm.devices = self
        self._written: dict[int, int] = {}

    # One that answers everywhere, and notes what is written to ports.

    def port_read(self, port: int, size: int) -> int:
        """IN."""
        return self.mmio_read(port, size)

    def port_write(self, port: int, size: int, value: int) -> None:
        """OUT, with which the run ends."""
        self._written[port] = value
        self._vcpu.give_way()

    def mmio_read(self, address: int, size: int) -> int:
        """A register of the device, which reads as 0."""
        return 0

    def mmio_write(self, address: int, size: int, value: int) -> None:
        """What is written is lost."""

    def _start(self) -> None:
        vcpu, wanted = self._vcpu, start()
        vcpu.reset()
        self._vm.memory.write(ORIGIN, self._program.text)
        for number, segment in wanted.segments.items():
            vcpu.set_descriptor(NAMES[number], segment_state(segment))
        vcpu.efer, vcpu.cr0 = wanted.efer, wanted.cr0
        vcpu.cr3, vcpu.cr4 = wanted.cr3, wanted.cr4
        vcpu.rflags, vcpu.rip = wanted.rflags, wanted.rip

    def _until(self, port: int) -> int:
        """Run and answer until a byte is written to a port: the byte."""
        vcpu, run, host = self._vcpu, self._back_end.run, self._host
        while True:
            end = run(vcpu, host)
            if isinstance(end, Preempted):
                if port in self._written:
                    return self._written.pop(port)
            elif isinstance(end, ToMachine) and isinstance(end.request, requests.Halt):
                vcpu.state = CpuState.RUNNING
                vcpu.answer()
            else:
                raise MeasureError(f"the guest ended with {end}")

    def run(self) -> float:
        """Exits per CPU second, in thousands."""
        self._start()
        self._until(READY_PORT)
        self._host.handle_natively(self._handler)
        began = time.process_time()
        status = self._until(FINISH_PORT)
        seconds = time.process_time() - began
        self._host.handle_natively(None)
        if status:
            raise MeasureError("the guest did not count as many exits as it should")
        return self.exits / seconds / 1e3


def _ours(kind: str, exits: int) -> dict[str, Callable[[], float]]:
    return {
        OURS: deferred(lambda: Guest(kind, exits, False).run),
        COMPILED: deferred(lambda: Guest(kind, exits * COMPILED_SHARE, True).run),
    }


def _unicorn(kind: str, exits: int) -> Callable[[], float]:
    return deferred(lambda: unicorn(NAME, kind, KINDS[kind], exits))


def rows(quick: bool) -> list[Row]:
    """A row for each kind of exit."""
    exits = EXITS // 10 if quick else EXITS
    made: list[Row] = []
    for kind in KINDS:
        title = f"exits of a guest by {kind}"
        row = Row("x86-exits", title, "thousand exits/s", None, _ours(kind, exits), rate=True)
        if why := unicorn_missing() or MISSING.get(kind):
            row.missing[UNICORN] = why
        else:
            row.sides[UNICORN] = _unicorn(kind, exits)
        made.append(row)
    return made
