"""The PC whose guest runs straight on the modelled processors."""

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from worldswitch.arch.x86.apic import DeliveryMode
from worldswitch.arch.x86.models import cpu_model
from worldswitch.engine.build import Progress
from worldswitch.machine.result import STATUS_CRASHED, STATUS_RESTART, STATUS_TIMEOUT, Result
from worldswitch.machine.x86 import acpi_tables
from worldswitch.machine.x86.clock import VIRTUAL_START
from worldswitch.machine.x86.devices import Devices
from worldswitch.machine.x86.dma import Dma
from worldswitch.machine.x86.layout import ram_ranges
from worldswitch.machine.x86.loader import Platform, load
from worldswitch.machine.x86.start import start_at
from worldswitch.metal.x86.bus import (
    BUS_ACKNOWLEDGE,
    BUS_EOI,
    BUS_IN,
    BUS_OUT,
    BUS_READ,
    BUS_WRITE,
)
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.pending import PENDING_INTR
from worldswitch.metal.x86.processor import Complex, Processor
from worldswitch.metal.x86.storage import Storage

SLICE = 1_000_000
"""Instructions a processor executes before the next one's turn."""
SMALL_SLICE = 100_000
"""The same with several processors."""
DEFAULT_MODEL = "epyc-milan"
Engine = Literal["native", "python"]


class PcMachine:
    """A PC with `cpus` processors of `model` and `memory` bytes of RAM."""

    def __init__(
        self,
        memory: int = 512 << 20,
        cpus: int = 1,
        model: str = DEFAULT_MODEL,
        engine: Engine = "native",
        output: Callable[[bytes], None] | None = None,
        progress: Progress | None = None,
        start: int = VIRTUAL_START,
    ) -> None:
        self.console = bytearray()
        """What the guest printed, unless `output` took it."""
        self.storage = Storage(memory)
        self.model = cpu_model(model)
        self._now = 0
        self._running: Processor | None = None
        self.complex = Complex(self.storage, self.model, cpus, engine, progress, self._bus)
        self.processors = self.complex.processors
        dma = Dma(self.storage, ram_ranges(self.storage.size))
        self.devices = Devices(
            self, self, dma, self._deliver, self.storage.size, cpus,
            output or self.console.extend, start,
        )  # fmt: skip
        self.exits: dict[Exit, int] = {}
        self.input: Callable[[], bytes] | None = None
        """Polled between slices for console input; None if nobody types."""
        self.current = 0
        """Number of the processor that ran last."""
        self._recent: deque[tuple[Exit, int]] = deque(maxlen=10)
        self._end: Result | None = None
        self._wake: int | None = None

    # Time.

    @property
    def now(self) -> int:
        """Nanoseconds since the machine was switched on."""
        processor = self._running
        return self._now if processor is None else processor.clock

    # What devices tell.

    def set_intr(self, level: bool) -> None:
        """INTR is wired to the first processor."""
        raw = self.processors[0].raw
        if level:
            raw.pending |= PENDING_INTR
            self._interrupt(self.processors[0])
        else:
            raw.pending &= ~PENDING_INTR

    def _interrupt(self, processor: Processor) -> None:
        """Something is pending at a processor: it has to look soon."""
        processor.raw.check = 1
        if processor is self._running:
            processor.look_soon()

    def _deliver(
        self,
        *,
        destination: int,
        logical: bool,
        mode: DeliveryMode,
        vector: int,
        level: bool,
        trigger_level: bool,
    ) -> None:
        """An interrupt message: to the local APICs that it is for."""
        if mode == DeliveryMode.EXTINT:
            return
        bits = vector | mode << 8 | logical << 11 | level << 14 | trigger_level << 15
        self.processors[0].call("message", destination, bits)
        if self._running is not None:
            self._running.look_soon()

    def power_off(self) -> None:
        """The guest is done."""
        self.end(Result(0, "the guest switched the machine off"))

    def reset(self) -> None:
        """The guest asks for a restart."""
        self.end(Result(STATUS_RESTART, "the guest asked for a restart"))

    def debug_exit(self, status: int) -> None:
        """isa-debug-exit."""
        self.end(Result(status & 0xFF, "the guest ended the run through the debug exit"))

    def end(self, result: Result) -> None:
        """End the run: `run` returns this result."""
        self._end = self._end or result
        if self._running is not None:
            self._running.stop_soon()

    # Accesses that are not memory's.

    def _bus(self, processor: Processor) -> None:
        raw = processor.raw
        kind, address, size = raw.bus_kind, raw.bus_address, raw.bus_size
        if kind == BUS_IN:
            raw.bus_value = self.devices.ports.read(address, size)
        elif kind == BUS_OUT:
            self.devices.ports.write(address, size, raw.bus_value & (1 << 8 * size) - 1)
            self._plan(processor)
        elif kind == BUS_READ:
            raw.bus_value = self.devices.memory.read(address, size)
        elif kind == BUS_WRITE:
            self.devices.memory.write(address, size, raw.bus_value & (1 << 8 * size) - 1)
            self._plan(processor)
        elif kind == BUS_ACKNOWLEDGE:
            raw.bus_value = self.devices.pic.acknowledge()
        elif kind == BUS_EOI:
            self.devices.ioapic.eoi(raw.bus_value)

    def _plan(self, processor: Processor) -> None:
        """A device was written to: it may want to do something before the slice is over."""
        wake = self.devices.next_event()
        if wake is not None and (self._wake is None or wake < self._wake):
            self._wake = wake
            processor.stop_at(wake)

    # Turns.

    def run(self, timeout: float | None = None, stop: Callable[[], bool] | None = None) -> Result:
        """Run until the guest ends, `timeout` seconds of real time are over, or `stop()` holds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        size = SLICE if len(self.processors) == 1 else SMALL_SLICE
        while self._end is None:
            if deadline is not None and time.monotonic() > deadline:
                return Result(STATUS_TIMEOUT, f"the guest was still running after {timeout:g} s")
            if self.input is not None:
                typed = self.input()
                if typed:
                    self.devices.uart.receive(typed)
            if stop is not None and stop():
                return Result(0, "ended from the console")
            if not self._round(size) and self._end is None:
                self._idle()
        return self._end

    def _round(self, size: int) -> bool:
        """Give every processor that is ready its turn; whether there was one."""
        ran = False
        for number, processor in enumerate(self.processors):
            self.devices.run_events()
            processor.clock = self._now
            if self._end is None and processor.ready():
                ran = True
                self.current = number
                self._turn(processor, size)
        return ran

    def _turn(self, processor: Processor, size: int) -> None:
        self._running = processor
        self._wake = self.devices.next_event()
        left = size
        if self._wake is not None:
            left = max(1, min(size, self._wake - self._now))
        try:
            reason = processor.run(left)
        finally:
            self._now = max(self._now, processor.clock)
            self._running = None
        self.exits[reason] = self.exits.get(reason, 0) + 1
        self._recent.append((reason, processor.raw.rip))
        if reason == Exit.SHUTDOWN:
            self.end(Result(STATUS_CRASHED, f"triple fault at {processor.raw.rip:#x}"))
        elif reason == Exit.EVENT_LOOP:
            self.end(Result(STATUS_CRASHED, "exceptions follow each other without end"))

    def _idle(self) -> None:
        """All processors wait: virtual time jumps to the next timer."""
        wakes = [p.wake_time() for p in self.processors] + [self.devices.next_event()]
        wake = min((w for w in wakes if w is not None), default=None)
        if wake is not None:
            self._now = max(self._now, wake)
        elif self.input is None:
            self.end(Result(STATUS_CRASHED, "all processors wait and nothing can wake them"))
        if self.input is not None:
            time.sleep(0.002)

    def load(self, kernel: Path, initrd: Path | None = None, append: str = "") -> None:
        """Load an image and have the first processor start it; raises ImageError."""
        platform = Platform(self.storage.size, acpi_tables.build(range(len(self.processors))))
        entry = load(kernel, initrd, append, platform)
        entry.place(self.storage)
        start_at(self.processors[0], entry.registers)

    def recent_exits(self) -> list[str]:
        """The last ten exits, oldest first."""
        return [f"{reason.name} at {address:X}" for reason, address in self._recent]
