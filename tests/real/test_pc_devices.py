"""Debian's own drivers on the PC's devices: disk, entropy, console, interrupt controllers."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from worldswitch.machine.result import Result
from worldswitch.machine.x86.machine import PcMachine
from worldswitch.machine.x86.virtio.console import Console
from worldswitch.machine.x86.virtio.disk import MemoryDisk

Images = Callable[[str], Path]
MODULES = "ws.modprobe=virtio_pci,virtio_blk,virtio_rng,virtio_console"
SCRIPT = """
dd if=/dev/vda bs=512 count=1 2>/dev/null | head -c 10; echo
echo from the guest | dd of=/dev/vda bs=512 seek=4 conv=sync 2>/dev/null; sync
head -c 8 /dev/hwrng | wc -c
echo hello > /dev/hvc0
grep -E "virtio|timer|ttyS|acpi" /proc/interrupts
date -u +%Y-%m-%d
"""


class Run:
    """A boot to the power-off, with a disk and a second console."""

    def __init__(self, images: Images, version: str, append: str) -> None:
        self.machine = PcMachine(256 << 20)
        self.disk = MemoryDisk(b"from host\n".ljust(8192, b"\0"))
        self.machine.add_disk(self.disk)
        self.second = bytearray()
        self.machine.devices.plug(Console(self.machine.dma, self.second.extend))
        line = f"console=ttyS0 quiet {append} {MODULES} ws.run={quote(SCRIPT)}"
        initrd = images(f"initramfs-{version}.cpio.gz")
        self.machine.load(images(f"vmlinuz-{version}"), initrd, line)
        self.result: Result = self.machine.run(timeout=400)
        self.text = bytes(self.machine.console).decode(errors="replace")


@pytest.mark.real
@pytest.mark.parametrize(
    ("version", "append", "controller", "messages"),
    [
        ("6.12", "", "IO-APIC", True),
        ("6.1", "pci=nomsi", "IO-APIC", False),
        ("6.12", "noapic pci=nomsi", "XT-PIC", False),
    ],
)
def test_debian_drivers_use_the_devices(
    amd64_image: Images, version: str, append: str, controller: str, messages: bool
) -> None:
    run = Run(amd64_image, version, append)
    assert run.result.status == 0, run.text
    lines = run.text.replace("\r", "").splitlines()
    assert "WORLDSWITCH-GUEST-STATUS 0" in lines
    assert "from host" in lines
    assert "8" in lines
    assert "2026-01-01" in lines
    assert bytes(run.disk.content[2048:2062]) == b"from the guest"
    assert run.second == b"hello\r\n"
    wired = [line.split() for line in lines if controller in line]
    assert any("timer" in words and int(words[1]) > 0 for words in wired)
    assert any("ttyS0" in words for words in wired)
    assert any("PCI-MSI" in line for line in lines) is messages
