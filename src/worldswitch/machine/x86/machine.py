"""The PC whose guest runs straight on the modelled processors."""

from collections.abc import Callable

from worldswitch.arch.x86.apic import DeliveryMode
from worldswitch.arch.x86.models import cpu_model
from worldswitch.engine.build import Progress
from worldswitch.machine.board import Engine
from worldswitch.machine.result import STATUS_CRASHED, Result
from worldswitch.machine.x86.board import CpuView, PcBoard
from worldswitch.machine.x86.loader import Entry
from worldswitch.machine.x86.start import start_at
from worldswitch.metal.x86.bus import BUS_OUT, BUS_WRITE
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.pending import PENDING_INTR
from worldswitch.metal.x86.processor import Complex, Processor
from worldswitch.metal.x86.storage import Storage

DEFAULT_MODEL = "epyc-milan"
GROUP = "processors"


class PcMachine(PcBoard):
    """A PC with `cpus` processors of `model` and `memory` bytes of RAM."""

    processors: list[Processor]

    def __init__(
        self,
        memory: int = 512 << 20,
        cpus: int = 1,
        model: str = DEFAULT_MODEL,
        engine: Engine = "native",
        output: Callable[[bytes], None] | None = None,
        progress: Progress | None = None,
        real_time: bool = False,
    ) -> None:
        self.storage = Storage(memory)
        self._running: Processor | None = None
        self._wake: int | None = None
        self.exits: dict[Exit, int] = {}
        """How often the processors left native code, by reason."""
        chosen = cpu_model(model)
        self.complex = Complex(self.storage, chosen, cpus, engine, progress, self._bus)
        self.processors = self.complex.processors
        super().__init__(
            self.storage, self.storage.size, self.complex.model, cpus, output, real_time
        )

    @property
    def now(self) -> int:
        processor = self._running
        return self._now if processor is None else processor.clock

    # What devices tell.

    def set_intr(self, level: bool) -> None:
        first = self.processors[0]
        if level:
            first.make_pending(PENDING_INTR)
            if first is self._running:
                first.look_soon()
        else:
            first.raw.pending &= ~PENDING_INTR

    def deliver(
        self,
        *,
        destination: int,
        logical: bool,
        mode: DeliveryMode,
        vector: int,
        level: bool,
        trigger_level: bool,
    ) -> None:
        bits = vector | mode << 8 | logical << 11 | level << 14 | trigger_level << 15
        self.processors[0].call("message", destination, bits)
        if self._running is not None:
            self._running.look_soon()

    def give_way(self) -> None:
        if self._running is not None:
            self._running.stop_soon()

    def _bus(self, processor: Processor) -> None:
        """Called by native code for an access that is not memory's."""
        raw = processor.raw
        kind = raw.bus_kind
        raw.bus_value = self.access(kind, raw.bus_address, raw.bus_size, raw.bus_value)
        if kind in (BUS_OUT, BUS_WRITE):
            # The device may want to do something before the slice is over.
            wake = self.devices.next_event()
            if wake is not None and (self._wake is None or wake < self._wake):
                self._wake = wake
                processor.stop_at(wake)

    # Turns.

    def ready(self, cpu: int) -> bool:
        processor = self.processors[cpu]
        processor.clock = self._now
        return processor.ready()

    def wake_times(self) -> list[int]:
        return [when for p in self.processors if (when := p.wake_time()) is not None]

    def turn(self, cpu: int, size: int) -> None:
        processor = self.processors[cpu]
        self._wake = self.devices.next_event()
        left = size if self._wake is None else max(1, min(size, self._wake - self._now))
        if self.observer is not None:
            self.observer.entered(GROUP, cpu, self.units)
        self._running = processor
        try:
            reason = processor.run(left)
        finally:
            self._now = max(self._now, processor.clock)
            self._running = None
        rip = processor.raw.rip
        if self.observer is not None:
            details = self.details(rip, processor.icount)
            self.observer.left(GROUP, cpu, self.units, reason.name, details)
        self.exits[reason] = self.exits.get(reason, 0) + 1
        self._recent.append((reason.name, rip))
        if reason == Exit.SHUTDOWN:
            self.end(Result(STATUS_CRASHED, f"triple fault: shutdown at {rip:#x}"))
        elif reason == Exit.EVENT_LOOP:
            self.end(Result(STATUS_CRASHED, "exceptions follow each other without end"))

    def step(self, cpu: int = 0) -> Exit:
        """Execute one instruction of one processor; why it came back, BUDGET if for nothing."""
        processor = self.processors[cpu]
        if self._end is not None or not self.ready(cpu):
            return Exit.STOPPED
        self.current = cpu
        self._running = processor
        try:
            return processor.step()
        finally:
            self._now = max(self._now, processor.clock)
            self._running = None

    def view(self, cpu: int) -> CpuView:
        processor = self.processors[cpu]
        raw = processor.raw
        return CpuView(
            raw.rip, processor.rflags, raw.cpl, raw.cr0, raw.cr2, raw.cr3, raw.cr4, raw.efer,
            tuple(raw.gr[n] for n in range(16)), processor.code_bits,
            processor.text,
        )  # fmt: skip

    def start(self, entry: Entry) -> None:
        start_at(self.processors[0], entry.registers)
