"""The board's ACPI tables. ref: ACPI 6.5, chapter 5."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from worldswitch.arch.x86.apic import DEFAULT_BASE
from worldswitch.machine.x86 import aml
from worldswitch.machine.x86.acpi import CONTROL, PM_PORT, SLEEP_TYPE_S5, STATUS, TIMER
from worldswitch.machine.x86.cmos import CMOS_IRQ, CMOS_PORT, Register
from worldswitch.machine.x86.fwcfg import FW_CFG_PORT, FW_CFG_PORTS
from worldswitch.machine.x86.ioapic import IOAPIC_ADDRESS, TIMER_PIN
from worldswitch.machine.x86.layout import FIRMWARE, PCI_HOLE, PCI_HOLE_END
from worldswitch.machine.x86.lines import LEVEL_IRQS, PCI_IRQS, SCI_IRQ
from worldswitch.machine.x86.reset import RESET_PORT, RESET_VALUE
from worldswitch.machine.x86.uart import COM1, COM1_IRQ
from worldswitch.machine.x86.uart import PORTS as UART_PORTS

OEM, OEM_TABLE, CREATOR = b"WSWTCH", b"WSWITCHP", b"WSW "
XAPIC_IDS = 255
"""APIC IDs from here on need x2APIC entries."""
ACTIVE_HIGH_LEVEL = 0x0D
ALL_PROCESSORS, ALL_X2APIC_PROCESSORS = 0xFF, 0xFFFF_FFFF
ENABLED = 1
PCAT_COMPAT = 1
SYSTEM_MEMORY, SYSTEM_IO = 0, 1
CONFIG_PORT = 0xCF8
SLOTS, PINS = 32, 4

# FADT flags.
WBINVD, PROC_C1, SLEEP_BUTTON, FIX_RTC, TMR_VAL_EXT, RESET_REG_SUP = (
    1 << 0, 1 << 2, 1 << 5, 1 << 6, 1 << 8, 1 << 10,
)  # fmt: skip
LEGACY_DEVICES, NO_VGA = 1 << 0, 1 << 2
"""IAPC_BOOT_ARCH. The keyboard controller is not announced: it is there to reset the machine."""


@dataclass(frozen=True)
class Tables:
    """The tables as one piece: it begins with the RSDP."""

    address: int
    data: bytes

    @property
    def rsdp(self) -> int:
        """Where the root pointer is."""
        return self.address


def checksum(data: bytes) -> int:
    """The byte that makes the sum of all bytes 0."""
    return -sum(data) & 0xFF


def table(signature: bytes, revision: int, body: bytes) -> bytes:
    """A table with its header."""
    head = struct.pack(
        "<4sIBB6s8sI4sI", signature, 36 + len(body), revision, 0, OEM, OEM_TABLE, 1, CREATOR, 1
    )
    return head[:9] + bytes([checksum(head + body)]) + head[10:] + body


def interrupt_pin(slot: int, pin: int) -> int:
    """The interrupt line that pin 0 to 3 of a PCI slot is wired to: slots take turns."""
    return PCI_IRQS[(slot + pin) % len(PCI_IRQS)]


def dsdt() -> bytes:
    """What is not found by asking: the PCI bus, the serial port, the clock, and soft-off."""
    routes = [
        aml.package(
            aml.integer(slot << 16 | 0xFFFF), aml.integer(pin), aml.integer(0),
            aml.integer(interrupt_pin(slot, pin)),
        )
        for slot in range(SLOTS)
        for pin in range(PINS)
    ]  # fmt: skip
    bridge = aml.device(
        "PCI0",
        aml.name("_HID", aml.eisa_id("PNP0A03")),
        aml.name("_UID", aml.integer(0)),
        aml.name("_BBN", aml.integer(0)),
        aml.name(
            "_CRS",
            aml.resources(
                aml.window(aml.BUS_NUMBERS, 0, 0xFF),
                aml.ports(CONFIG_PORT, 8),
                aml.window(aml.PORT_WINDOW, 0, CONFIG_PORT - 1),
                aml.window(aml.PORT_WINDOW, CONFIG_PORT + 8, 0xFFFF),
                aml.window(aml.MEMORY_WINDOW, PCI_HOLE, PCI_HOLE_END - 1),
            ),
        ),
        aml.name("_PRT", aml.package(*routes)),
    )
    serial = aml.device(
        "COM1",
        aml.name("_HID", aml.eisa_id("PNP0501")),
        aml.name("_UID", aml.integer(1)),
        aml.name("_CRS", aml.resources(aml.ports(COM1, UART_PORTS), aml.irq(COM1_IRQ))),
    )
    clock = aml.device(
        "RTC",
        aml.name("_HID", aml.eisa_id("PNP0B00")),
        aml.name("_CRS", aml.resources(aml.ports(CMOS_PORT, 2), aml.irq(CMOS_IRQ))),
    )
    firmware = aml.device(
        "FWCF",
        aml.name("_HID", aml.string("QEMU0002")),
        aml.name("_STA", aml.integer(0x0B)),
        aml.name("_CRS", aml.resources(aml.ports(FW_CFG_PORT, FW_CFG_PORTS))),
    )
    zero = aml.integer(0)
    body = aml.scope("\\_SB", bridge, serial, clock, firmware)
    body += aml.name("\\_S5", aml.package(aml.integer(SLEEP_TYPE_S5), zero, zero, zero))
    return table(b"DSDT", 2, body)


def facs() -> bytes:
    """The firmware's structure for waking and the global lock, which nobody else uses here."""
    return struct.pack("<4sIIIIIQB31x", b"FACS", 64, 0, 0, 0, 0, 0, 2)


def generic_address(space: int, address: int, width: int) -> bytes:
    """A generic address structure; `width` in bits. All zeros stand for an absent register."""
    if address == 0:
        return bytes(12)
    access = {8: 1, 16: 2, 32: 3}[width]
    return struct.pack("<BBBBQ", space, width, 0, access, address)


def fadt(facs_address: int, dsdt_address: int) -> bytes:
    """The fixed description table, revision 6.3."""

    def port(address: int, width: int) -> bytes:
        return generic_address(SYSTEM_IO, address, width)

    absent = port(0, 8)
    flags = WBINVD | PROC_C1 | SLEEP_BUTTON | FIX_RTC | TMR_VAL_EXT | RESET_REG_SUP
    event, control, timer = PM_PORT + STATUS, PM_PORT + CONTROL, PM_PORT + TIMER
    body = struct.pack("<IIBBH", facs_address, dsdt_address, 0, 0, SCI_IRQ)
    body += struct.pack("<IBBBB", 0, 0, 0, 0, 0)  # SMI_CMD and its values
    body += struct.pack("<8I", event, 0, control, 0, 0, timer, 0, 0)
    body += struct.pack("<BBBBBBBB", 4, 2, 0, 4, 0, 0, 0, 0)  # lengths, GPE1_BASE, CST_CNT
    body += struct.pack("<HHHHBB", 0xFFFF, 0xFFFF, 0, 0, 0, 0)  # no C2, no C3, no throttling
    body += struct.pack("<BBBHBI", 0, 0, Register.CENTURY, LEGACY_DEVICES | NO_VGA, 0, flags)
    body += port(RESET_PORT, 8) + struct.pack("<BHB", RESET_VALUE, 0, 3)
    body += struct.pack("<QQ", 0, dsdt_address)  # the FACS has its 32-bit pointer alone
    body += port(event, 32) + absent + port(control, 16) + absent + absent
    body += port(timer, 32) + absent + absent  # the timer, and no general-purpose events
    body += absent + absent  # sleep control and status: for hardware-reduced machines
    body += bytes(8)  # hypervisor vendor
    return table(b"FACP", 6, body)


def madt(apic_ids: Sequence[int]) -> bytes:
    """Interrupt controllers, and how ISA interrupts are wired to them."""
    body = struct.pack("<II", DEFAULT_BASE, PCAT_COMPAT)
    for number, apic_id in enumerate(apic_ids):
        if apic_id < XAPIC_IDS:
            body += struct.pack("<BBBBI", 0, 8, number & 0xFF, apic_id, ENABLED)
        else:
            body += struct.pack("<BBHIII", 9, 16, 0, apic_id, ENABLED, number)
    body += struct.pack("<BBBBII", 1, 12, 0, 0, IOAPIC_ADDRESS, 0)
    body += struct.pack("<BBBBIH", 2, 10, 0, 0, TIMER_PIN, 0)
    for irq in sorted(LEVEL_IRQS):
        body += struct.pack("<BBBBIH", 2, 10, 0, irq, irq, ACTIVE_HIGH_LEVEL)
    body += struct.pack("<BBBHB", 4, 6, ALL_PROCESSORS, 0, 1)
    if any(apic_id >= XAPIC_IDS for apic_id in apic_ids):
        body += struct.pack("<BBHIB3x", 10, 12, 0, ALL_X2APIC_PROCESSORS, 1)
    return table(b"APIC", 5, body)


def rsdp(rsdt_address: int, xsdt_address: int) -> bytes:
    """The root pointer, revision 2."""
    first = struct.pack("<8sB6sBI", b"RSD PTR ", 0, OEM, 2, rsdt_address)
    first = first[:8] + bytes([checksum(first)]) + first[9:]
    whole = first + struct.pack("<IQB3x", 36, xsdt_address, 0)
    return whole[:32] + bytes([checksum(whole)]) + whole[33:]


def build(apic_ids: Sequence[int], address: int = FIRMWARE) -> Tables:
    """All tables for processors with these APIC IDs, to be placed at `address`."""
    placed = bytearray(64)  # the RSDP goes to the front when it is known where it points

    def place(data: bytes) -> int:
        placed.extend(bytes(-len(placed) % 64))
        at = address + len(placed)
        placed.extend(data)
        return at

    facs_at, dsdt_at = place(facs()), place(dsdt())
    tables = [place(fadt(facs_at, dsdt_at)), place(madt(apic_ids))]
    rsdt_at = place(table(b"RSDT", 1, struct.pack(f"<{len(tables)}I", *tables)))
    xsdt_at = place(table(b"XSDT", 1, struct.pack(f"<{len(tables)}Q", *tables)))
    root = rsdp(rsdt_at, xsdt_at)
    placed[: len(root)] = root
    return Tables(address, bytes(placed))
