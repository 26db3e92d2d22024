"""A PCI bus behind configuration mechanism #1. ref: PCI Local Bus Specification 3.0, chapter 6.

One bus, function 0 of 32 slots. Devices' registers appear on the buses of the board where their
base address registers say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum, IntFlag

from worldswitch.machine.x86.bus import Bus, BusConflictError, Handler, PortBus, Region
from worldswitch.machine.x86.layout import PCI_HOLE, PCI_HOLE_END, PCI_PORTS, PCI_PORTS_END
from worldswitch.machine.x86.reset import ResetControl

CONFIG_PORT, CONFIG_PORTS = 0xCF8, 8
DATA_OFFSET, RESET_OFFSET = 4, 1
ENABLE = 1 << 31
ADDRESS_MASK = 0x8FFF_FFFC
EXTENDED = 0x0F00_0000
"""Register numbers from 100h on, as AMD's processors pass them on; a PCI device has none there."""
CONFIG_SIZE = 256
SLOTS = 32
BARS = 6
ALL_ONES = 0xFFFF_FFFF


class Config(IntEnum):
    """Offsets in the configuration header."""

    VENDOR = 0x00
    DEVICE = 0x02
    COMMAND = 0x04
    STATUS = 0x06
    REVISION = 0x08
    CLASS = 0x09
    BAR0 = 0x10
    SUBSYSTEM_VENDOR = 0x2C
    SUBSYSTEM = 0x2E
    CAPABILITIES = 0x34
    INTERRUPT_LINE = 0x3C
    INTERRUPT_PIN = 0x3D
    FIRST_CAPABILITY = 0x40


class Command(IntFlag):
    """The command register's bits that do something here."""

    IO = 1 << 0
    MEMORY = 1 << 1
    MASTER = 1 << 2
    PARITY = 1 << 6
    SERR = 1 << 8
    INTX_DISABLE = 1 << 10


class Status(IntFlag):
    """The status register."""

    INTERRUPT = 1 << 3
    CAPABILITIES = 1 << 4


WRITABLE_COMMAND = int(
    Command.IO
    | Command.MEMORY
    | Command.MASTER
    | Command.PARITY
    | Command.SERR
    | Command.INTX_DISABLE
)


class BarKind(Enum):
    """What a base address register asks for, as its fixed low bits."""

    PORTS = 0x1
    MEMORY32 = 0x0
    MEMORY64 = 0xC
    """64 bits wide and prefetchable; takes the next register as its upper half."""


@dataclass(eq=False)
class Bar:
    """A range of registers that the guest places. size: a power of two, in bytes."""

    number: int
    kind: BarKind
    size: int
    handler: Handler
    width: int = 4
    region: Region | None = None

    @property
    def offset(self) -> int:
        """Where its register is in configuration space."""
        return Config.BAR0 + 4 * self.number

    @property
    def bytes(self) -> int:
        """Bytes of its register."""
        return 8 if self.kind is BarKind.MEMORY64 else 4


@dataclass(frozen=True)
class Identity:
    """What a device says it is. class_code: class, subclass and interface (24 bits)."""

    vendor: int
    device: int
    class_code: int
    revision: int = 0
    subsystem_vendor: int = 0
    subsystem: int = 0


class PciDevice:
    """A device's configuration space, and its registers on the board's buses."""

    def __init__(self, identity: Identity, pin: int = 0) -> None:
        self.identity = identity
        self.config = bytearray(CONFIG_SIZE)
        self.writable = bytearray(CONFIG_SIZE)
        """Bits of configuration space that the guest may change."""
        self.bars: list[Bar] = []
        self._pin = pin
        self._free = int(Config.FIRST_CAPABILITY)
        self._last_capability = int(Config.CAPABILITIES)
        self._initial = b""
        self._asserted = False
        self.bus: PciBus | None = None
        self.watchers: list[Callable[[], None]] = []
        """Called when the guest has written to configuration space."""
        self.interrupt: Callable[[bool], None] = lambda level: None
        """Told the level of INTA."""
        for offset, size, value in (
            (Config.VENDOR, 2, identity.vendor),
            (Config.DEVICE, 2, identity.device),
            (Config.REVISION, 1, identity.revision),
            (Config.CLASS, 3, identity.class_code),
            (Config.SUBSYSTEM_VENDOR, 2, identity.subsystem_vendor),
            (Config.SUBSYSTEM, 2, identity.subsystem),
            (Config.INTERRUPT_PIN, 1, pin),
        ):
            self.config[offset : offset + size] = value.to_bytes(size, "little")
        self.allow(Config.COMMAND, 2, WRITABLE_COMMAND)
        self.allow(Config.INTERRUPT_LINE, 1, 0xFF)

    def allow(self, offset: int, size: int, bits: int) -> None:
        """Let the guest change these bits of configuration space."""
        self.writable[offset : offset + size] = bits.to_bytes(size, "little")

    def add_bar(self, bar: Bar) -> None:
        """Declare a base address register."""
        base = self.config_value(bar.offset, bar.bytes) | bar.kind.value
        self.config[bar.offset : bar.offset + bar.bytes] = base.to_bytes(bar.bytes, "little")
        least = 4 if bar.kind is BarKind.PORTS else 16
        self.allow(bar.offset, bar.bytes, -max(bar.size, least) & (1 << 8 * bar.bytes) - 1)
        self.bars.append(bar)

    def add_capability(self, identifier: int, content: bytes) -> int:
        """Add to the list of capabilities; its offset. `content` goes behind the two-byte head."""
        at = self._free
        self.config[at : at + 2 + len(content)] = bytes([identifier, 0]) + content
        head = self._last_capability
        self.config[head + (0 if head == Config.CAPABILITIES else 1)] = at
        self._last_capability = at
        self._free = -(-(at + 2 + len(content)) // 4) * 4
        self.config[Config.STATUS] |= Status.CAPABILITIES
        return at

    def config_value(self, offset: int, size: int) -> int:
        """A number in configuration space."""
        return int.from_bytes(self.config[offset : offset + size], "little")

    def reset(self) -> None:
        """Configuration space as it was when the device joined the bus."""
        self.config[:] = self._initial
        self._asserted = False
        self.interrupt(False)

    def joined(self, bus: "PciBus") -> None:
        """The device is on a bus, and its configuration space complete."""
        self.bus = bus
        self._initial = bytes(self.config)

    # --- the guest's accesses ----------------------------------------------------------------

    def read_config(self, offset: int, size: int) -> int:
        """A number in configuration space, as the guest sees it."""
        return self.config_value(offset, size)

    def write_config(self, offset: int, size: int, value: int) -> None:
        """The guest stores in configuration space."""
        for at, byte in enumerate(value.to_bytes(size, "little"), offset):
            mask = self.writable[at]
            self.config[at] = self.config[at] & ~mask | byte & mask
        if offset < Config.BAR0 + 4 * BARS and offset + size > Config.COMMAND:
            self._update_interrupt()
            if self.bus is not None:
                self.bus.map_bars()
        for watcher in self.watchers:
            watcher()

    # --- interrupts --------------------------------------------------------------------------

    def set_interrupt(self, level: bool) -> None:
        """Assert or release INTA."""
        self._asserted = level
        self._update_interrupt()

    def _update_interrupt(self) -> None:
        status = self.config[Config.STATUS] & ~int(Status.INTERRUPT)
        self.config[Config.STATUS] = status | (Status.INTERRUPT if self._asserted else 0)
        disabled = self.config_value(Config.COMMAND, 2) & Command.INTX_DISABLE
        self.interrupt(self._asserted and not disabled)

    # --- base addresses ----------------------------------------------------------------------

    def wanted_base(self, bar: Bar) -> int | None:
        """Where a BAR's registers are to answer now; None: nowhere."""
        decoded = Command.IO if bar.kind is BarKind.PORTS else Command.MEMORY
        if not self.config_value(Config.COMMAND, 2) & decoded:
            return None
        low = 0x3 if bar.kind is BarKind.PORTS else 0xF
        # IMPDEF: an address of 0 stands for none.
        return self.config_value(bar.offset, bar.bytes) & ~low or None

    def set_base(self, bar: Bar, base: int) -> None:
        """Store a base address as firmware does."""
        self.write_config(bar.offset, 4, base & ALL_ONES)
        if bar.bytes == 8:
            self.write_config(bar.offset + 4, 4, base >> 32)


class PciBus:
    """Bus 0 and the host bridge's ports.

    route: gives the interrupt line's source for a slot and a pin (0 is INTA).
    """

    def __init__(
        self,
        ports: PortBus,
        memory: Bus,
        reset_control: ResetControl,
        route: Callable[[int, int], Callable[[bool], None]],
    ) -> None:
        self._ports = ports
        self._memory = memory
        self._reset_control = reset_control
        self._route = route
        self._address = 0
        self.devices: dict[int, PciDevice] = {}
        """By slot."""
        ports.add(CONFIG_PORT, CONFIG_PORTS, self, "PCI configuration")

    def add(self, slot: int, device: PciDevice) -> None:
        """Put a device in a slot; raises ValueError if there is no such free slot."""
        if not 0 <= slot < SLOTS or slot in self.devices:
            raise ValueError(f"PCI slot {slot} is taken or does not exist")
        self.devices[slot] = device
        pin = device.config[Config.INTERRUPT_PIN]
        if pin:
            device.interrupt = self._route(slot, pin - 1)
        device.joined(self)

    def reset(self) -> None:
        """Reset all devices; firmware then has to place their registers."""
        self._address = 0
        for device in self.devices.values():
            device.reset()
        self.map_bars()

    def assign(self, line: Callable[[int, int], int]) -> None:
        """Place all registers and enable the devices, as firmware does.

        line: the interrupt line's number for a slot and a pin.
        """
        next_port, next_memory = PCI_PORTS, PCI_HOLE
        for slot, device in sorted(self.devices.items()):
            for bar in sorted(device.bars, key=lambda bar: -bar.size):
                if bar.kind is BarKind.PORTS:
                    base = -(-next_port // bar.size) * bar.size
                    next_port, end = base + bar.size, PCI_PORTS_END
                else:
                    base = -(-next_memory // bar.size) * bar.size
                    next_memory, end = base + bar.size, PCI_HOLE_END
                if base + bar.size <= end:  # what does not fit stays unplaced
                    device.set_base(bar, base)
            pin = device.config[Config.INTERRUPT_PIN]
            if pin:
                device.write_config(Config.INTERRUPT_LINE, 1, line(slot, pin - 1))
            enabled = Command.IO | Command.MEMORY if device.bars else 0
            device.write_config(Config.COMMAND, 2, int(enabled))

    def map_bars(self) -> None:
        """Bring the registers to where the base address registers say now.

        UNMODELLED: two devices at one address fight on a real bus; here the first one stays.
        """
        wanted: list[tuple[Bar, int]] = []
        for device in self.devices.values():
            for bar in device.bars:
                base = device.wanted_base(bar)
                if bar.region is not None and bar.region.base != base:
                    self._bus(bar).remove(bar.region)
                    bar.region = None
                if bar.region is None and base is not None:
                    wanted.append((bar, base))
        for bar, base in wanted:
            try:
                bar.region = self._bus(bar).add(
                    base, bar.size, bar.handler, f"BAR {bar.number}", bar.width
                )
            except BusConflictError:
                bar.region = None

    def _bus(self, bar: Bar) -> Bus:
        return self._ports if bar.kind is BarKind.PORTS else self._memory

    # --- configuration mechanism #1 ----------------------------------------------------------

    def _target(self) -> PciDevice | None:
        """The device that the address register selects."""
        if not self._address & ENABLE or self._address & EXTENDED:
            return None
        if self._address >> 16 & 0xFF or self._address >> 8 & 7:  # another bus or function
            return None
        return self.devices.get(self._address >> 11 & 0x1F)

    def read(self, offset: int, size: int) -> int:
        """The address register as a whole, the reset port inside it, or configuration data."""
        if offset >= DATA_OFFSET:
            device = self._target()
            if device is None:
                return ALL_ONES
            return device.read_config((self._address & 0xFC) + offset - DATA_OFFSET, size)
        if (offset, size) == (RESET_OFFSET, 1):
            return self._reset_control.read()
        return self._address if size == 4 else ALL_ONES

    def write(self, offset: int, size: int, value: int) -> None:
        """Store the address register, the reset port, or configuration data."""
        if offset >= DATA_OFFSET:
            device = self._target()
            if device is not None:
                register = (self._address & 0xFC) + offset - DATA_OFFSET
                device.write_config(register, size, value)
        elif (offset, size) == (RESET_OFFSET, 1):
            self._reset_control.write(value)
        elif size == 4:
            self._address = value & ADDRESS_MASK


def host_bridge() -> PciDevice:
    """The bridge in slot 0: it is there because systems look for it."""
    return PciDevice(Identity(vendor=0x8086, device=0x1237, class_code=0x06_0000, revision=2))
