"""The PC's devices and their wiring, whoever executes the guest."""

from collections.abc import Callable
from typing import Protocol

from worldswitch.machine.x86.acpi import PowerManagement
from worldswitch.machine.x86.acpi_tables import interrupt_pin
from worldswitch.machine.x86.bus import MemoryBus, PortBus
from worldswitch.machine.x86.clock import VIRTUAL_START, Clock, Timed
from worldswitch.machine.x86.cmos import Cmos
from worldswitch.machine.x86.debug import DebugExit, DebugPort
from worldswitch.machine.x86.dma import Dma
from worldswitch.machine.x86.fwcfg import FwCfg
from worldswitch.machine.x86.ioapic import Deliver, IoApic
from worldswitch.machine.x86.keyboard import KeyboardController
from worldswitch.machine.x86.layout import ram_ranges
from worldswitch.machine.x86.lines import SCI_IRQ, Lines, send_message
from worldswitch.machine.x86.pci import SLOTS, PciBus, host_bridge
from worldswitch.machine.x86.pic import PicPair
from worldswitch.machine.x86.pit import Pit
from worldswitch.machine.x86.reset import FastReset, ResetControl
from worldswitch.machine.x86.uart import Uart
from worldswitch.machine.x86.virtio.device import VirtioDevice
from worldswitch.machine.x86.virtio.pci import VirtioPci

UART_PORT = 0x3F8
UART_IRQ, KEYBOARD_IRQ, CMOS_IRQ = 4, 1, 8


class Owner(Protocol):
    """What the devices need of the machine that they are in."""

    def set_intr(self, level: bool) -> None:
        """The 8259 pair's INTR line."""
        ...

    def power_off(self) -> None:
        """The guest switches the machine off."""
        ...

    def reset(self) -> None:
        """The guest resets the machine."""
        ...

    def debug_exit(self, status: int) -> None:
        """The guest ends the run with a status."""
        ...


class Devices:
    """All devices of a PC with `memory` bytes and `cpus` processors.

    output: takes what the guest prints. start: seconds since 1970 at which the clock begins.
    """

    def __init__(
        self,
        owner: Owner,
        clock: Clock,
        dma: Dma,
        deliver: Deliver,
        memory: int,
        cpus: int,
        output: Callable[[bytes], None],
        start: int = VIRTUAL_START,
    ) -> None:
        self.ports = PortBus()
        self.memory = MemoryBus()
        self.pic = PicPair(owner.set_intr)
        self.ioapic = IoApic(deliver)
        self.lines = Lines(self.pic, self.ioapic)
        self.pit = Pit(clock, self.lines.source(0))
        self.cmos = Cmos(clock, self.lines.source(CMOS_IRQ), start)
        self.uart = Uart(clock, output, self.lines.source(UART_IRQ))
        self.acpi = PowerManagement(clock, self.lines.source(SCI_IRQ), owner.power_off)
        self.keyboard = KeyboardController(self.lines.source(KEYBOARD_IRQ), owner.reset)
        self.fw_cfg = FwCfg(dma, memory, cpus)
        for device in (
            self.pic, self.pit, self.cmos, self.acpi, self.keyboard, self.fw_cfg,
            FastReset(owner.reset), DebugExit(owner.debug_exit), DebugPort(output),
        ):  # fmt: skip
            device.attach(self.ports)
        self.ports.add(UART_PORT, 8, self.uart, "serial port 1", width=1)
        self.ioapic.attach(self.memory)
        self.reset_control = ResetControl(owner.reset)
        self.pci = PciBus(
            self.ports, self.memory, self.reset_control,
            lambda slot, pin: self.lines.source(interrupt_pin(slot, pin)),
        )  # fmt: skip
        self.pci.add(0, host_bridge())
        self._deliver = deliver
        self._clock = clock
        self._next: int | None = None
        self._known = False
        self._ram = memory
        self.firmware()
        self.timed: list[Timed] = [self.pit, self.cmos, self.uart, self.acpi]

    def plug(self, device: VirtioDevice) -> int:
        """Put a virtio device in the first free PCI slot and place its registers; the slot.

        Raises ValueError if all slots are taken.
        """
        slot = next((slot for slot in range(SLOTS) if slot not in self.pci.devices), SLOTS)

        def message(address: int, data: int) -> None:
            send_message(address, data, self._deliver)

        self.pci.add(slot, VirtioPci(device, message))
        self.pci.assign(interrupt_pin)
        return slot

    def firmware(self) -> None:
        """What firmware does before it starts an image: wiring, sizes, PCI addresses."""
        low, *high = ram_ranges(self._ram)
        self.lines.reset()
        self.cmos.set_memory(low.size, sum(part.size for part in high))
        self.pci.assign(interrupt_pin)

    def touched(self) -> None:
        """A device was accessed: what it does next may have changed."""
        self._known = False

    def next_event(self) -> int | None:
        """Guest time in nanoseconds of the first thing that a device does by itself."""
        if not self._known:
            times = [when for device in self.timed if (when := device.next_event()) is not None]
            self._next = min(times, default=None)
            self._known = True
        return self._next

    def run_events(self) -> None:
        """Let the devices do what is due."""
        due = self.next_event()
        if due is None or due > self._clock.now:
            return
        for device in self.timed:
            device.run_events()
        self.touched()
