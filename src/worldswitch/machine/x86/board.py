"""The PC, whoever executes its guest: devices, time, and how a run ends."""

import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worldswitch.arch.x86.apic import DeliveryMode
from worldswitch.arch.x86.models import CpuModel
from worldswitch.machine.board import IDLE_POLL, LONGEST_SLEEP, Board
from worldswitch.machine.image import Module
from worldswitch.machine.result import STATUS_CRASHED, STATUS_RESTART, Result
from worldswitch.machine.x86 import acpi_tables
from worldswitch.machine.x86.clock import NANOSECONDS, VIRTUAL_START
from worldswitch.machine.x86.devices import Devices
from worldswitch.machine.x86.dma import Dma, Memory
from worldswitch.machine.x86.layout import ram_ranges
from worldswitch.machine.x86.loader import Entry, ImageError, Mode, Platform, load
from worldswitch.machine.x86.virtio.block import Block
from worldswitch.machine.x86.virtio.disk import Disk
from worldswitch.machine.x86.virtio.entropy import Entropy
from worldswitch.metal.x86.bus import (
    BUS_ACKNOWLEDGE,
    BUS_EOI,
    BUS_IN,
    BUS_OUT,
    BUS_READ,
    BUS_WRITE,
)

SLICE = 1_000_000
"""Instructions a processor executes before the next one's turn.

An access to a device counts as the instructions that could have been executed in its time, so that
turns end soon in real time too: between them the machine looks at its timeout and the keyboard.
"""
SMALL_SLICE = 100_000
"""The same with several processors, and where time is real."""
UNITS_PER_125_NS = 512
"""Observers' times are in 2**-12 microseconds."""


@dataclass(frozen=True)
class CpuView:
    """What people are shown of a processor. bits: of its code segment, 16, 32 or 64."""

    rip: int
    rflags: int
    cpl: int
    cr0: int
    cr2: int
    cr3: int
    cr4: int
    efer: int
    gr: tuple[int, ...]
    bits: int
    text: Callable[[int], bytes]
    """So many bytes at RIP as memory has them; fewer or none where there is no translation."""


class PcBoard(Board):
    """A PC with `size` bytes of RAM in `memory` and `cpus` processors of `model`."""

    def __init__(
        self,
        memory: Memory,
        size: int,
        model: CpuModel,
        cpus: int,
        output: Callable[[bytes], None] | None,
        real_time: bool,
    ) -> None:
        super().__init__()
        self.memory, self.model = memory, model
        self._size = size
        self._now = 0
        self._zero = time.monotonic_ns() if real_time else None
        self._recent: deque[tuple[str, int]] = deque(maxlen=10)
        self.dma = Dma(memory, ram_ranges(size))
        self.devices = Devices(
            self,
            self,
            self.dma,
            self.deliver,
            size,
            cpus,
            output or self.console.extend,
            int(time.time()) if real_time else VIRTUAL_START,
        )

        self.devices.plug(Entropy(self.dma))

    def add_disk(self, disk: Disk) -> None:
        """A virtio block device with a disk's content."""
        self.devices.plug(Block(self.dma, disk))

    # What devices tell; `reset` and the other names are those of `devices.Owner`.

    @abstractmethod
    def set_intr(self, level: bool) -> None:
        """The 8259 pair's INTR line, wired to the first processor."""

    @abstractmethod
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
        """An interrupt message: to the local APICs that it is for."""

    def power_off(self) -> None:
        """The guest is done."""
        self.end(Result(0, "the guest switched the machine off"))

    def reset(self) -> None:
        """The guest asks for a restart."""
        self.end(Result(STATUS_RESTART, "the guest asked for a restart"))

    def debug_exit(self, status: int) -> None:
        """The guest ends the run with a status."""
        self.end(Result(status & 0xFF, f"the guest ended the run with status {status & 0xFF}"))

    def end(self, result: Result) -> None:
        super().end(self._end or result)
        self.give_way()

    @abstractmethod
    def give_way(self) -> None:
        """Have the turn end soon, if one is under way."""

    def type_in(self, data: bytes) -> None:
        self.devices.uart.receive(data)
        self.devices.touched()

    # Accesses that are not memory's.

    def access(self, kind: int, address: int, size: int, value: int) -> int:
        """A device access in the terms of metal.x86.bus; the value read."""
        self.devices.touched()
        if kind == BUS_IN:
            return self.devices.ports.read(address, size)
        if kind == BUS_OUT:
            self.devices.ports.write(address, size, value & (1 << 8 * size) - 1)
        elif kind == BUS_READ:
            return self.devices.memory.read(address, size)
        elif kind == BUS_WRITE:
            self.devices.memory.write(address, size, value & (1 << 8 * size) - 1)
        elif kind == BUS_ACKNOWLEDGE:
            return self.devices.pic.acknowledge()
        elif kind == BUS_EOI:
            self.devices.ioapic.eoi(value)
        return value

    # Turns and time.

    @property
    def now(self) -> int:
        """Nanoseconds since the machine was switched on."""
        return self._now

    def slice_size(self) -> int:
        return SLICE if self.cpu_count == 1 and self._zero is None else SMALL_SLICE

    @abstractmethod
    def ready(self, cpu: int) -> bool:
        """Whether a processor has something to execute."""

    @abstractmethod
    def turn(self, cpu: int, size: int) -> None:
        """Let a processor execute about `size` instructions."""

    @abstractmethod
    def wake_times(self) -> list[int]:
        """When waiting processors wake by themselves."""

    def round(self, size: int) -> bool:
        ran = False
        for cpu in range(self.cpu_count):
            self.keep_time()
            self.devices.run_events()
            if self._end is None and self.ready(cpu):
                ran = True
                self.current = cpu
                self.turn(cpu, size)
        return ran

    def keep_time(self) -> None:
        """Move the clock on where it follows real time."""
        if self._zero is not None:
            self._now = max(self._now, time.monotonic_ns() - self._zero)

    def idle(self) -> None:
        wakes = self.wake_times()
        event = self.devices.next_event()
        if event is not None:
            wakes.append(event)
        wake = min(wakes, default=None)
        if wake is None and self.input is None:
            self.end(Result(STATUS_CRASHED, "all processors wait and nothing can wake them"))
        elif self._zero is not None:
            longest = LONGEST_SLEEP if self.input is None else IDLE_POLL
            ahead = longest if wake is None else max(0, wake - self._now) / NANOSECONDS
            time.sleep(min(ahead, longest))
        else:
            if self.input is not None:
                time.sleep(IDLE_POLL)
            if wake is not None:
                self._now = max(self._now, wake)

    @property
    def units(self) -> int:
        """The clock as observers get it."""
        return self.now * UNITS_PER_125_NS // 125

    # Images.

    def load(
        self,
        kernel: Path,
        initrd: Path | None = None,
        append: str = "",
        modules: Sequence[Module] = (),
    ) -> None:
        platform = Platform(self._size, acpi_tables.build(range(self.cpu_count)))
        entry = load(kernel, initrd, append, platform, modules)
        if entry.registers.mode is Mode.LONG64 and not self.model.has("lm"):
            raise ImageError(
                f"{kernel} starts in 64-bit mode, which this CPU has not. Say a --cpu with lm."
            )
        entry.place(self.memory)
        self.start(entry)

    @abstractmethod
    def start(self, entry: Entry) -> None:
        """Bring the first processor to an image's entry point."""

    @abstractmethod
    def view(self, cpu: int) -> CpuView:
        """A processor for people."""

    def recent_exits(self) -> list[str]:
        return [f"{reason} at {address:X}" for reason, address in self._recent]

    def details(self, rip: int, instructions: int) -> dict[str, Any]:
        """What observers are told of an exit."""
        return {"rip": f"{rip:#x}", "instructions": instructions}
