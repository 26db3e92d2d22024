"""Turns of the PC's processors: when they end, what devices get of them, and that they repeat."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from worldswitch.arch.x86.apic import DeliveryMode
from worldswitch.lab.exits import ExitTrace
from worldswitch.lab.trace import TraceWriter
from worldswitch.lab.x86_assembler import assemble
from worldswitch.machine.result import STATUS_RESTART, STATUS_TIMEOUT
from worldswitch.machine.x86.board import SLICE, SMALL_SLICE, PcBoard
from worldswitch.machine.x86.guest import PcGuestMachine
from worldswitch.machine.x86.loader.bootsector import ADDRESS, SECTOR, SIGNATURE
from worldswitch.machine.x86.machine import PcMachine
from worldswitch.metal.x86.apic import LVT_LINT0
from worldswitch.metal.x86.bus import PORT_TIME

MEMORY = 4 << 20
PORT = 0x700
AT_ONCE = 1024
"""Elements of a string that are moved before anything else gets its turn."""
MACHINES: list[Callable[..., PcBoard]] = [PcMachine, PcGuestMachine]
READS = f"mov ${PORT:#x}, %dx\n again: in %dx, %al\n jmp again"
STRINGS = f"""
        mov $0x2000, %ax
        mov %ax, %es
        mov ${PORT:#x}, %dx
again:  mov $-1, %cx
        rep insb
        jmp again
"""
PIT_INTERRUPTS = """
        movw $handler, 0x20*4
        movw $0, 0x20*4+2
        mov $0x11, %al
        out %al, $0x20
        mov $0x20, %al
        out %al, $0x21
        mov $4, %al
        out %al, $0x21
        mov $1, %al
        out %al, $0x21
        mov $0xFE, %al                  # nothing but the timer
        out %al, $0x21
        mov $0x34, %al                  # 1 ms
        out %al, $0x43
        mov $0xA9, %al
        out %al, $0x40
        mov $4, %al
        out %al, $0x40
        sti
"""
HANDLER = """
handler: mov $0x20, %al
        out %al, $0x20
        incb 0x500
        cmpb $3, 0x500
        je finish
        iret
finish: mov $3, %al
        mov $0x501, %dx
        out %al, %dx
        hlt
"""


class Counting:
    """A device that counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self, offset: int, size: int) -> int:
        """The count."""
        self.reads += 1
        return self.reads & 0xFF

    def write(self, offset: int, size: int, value: int) -> None:
        """Nothing."""


class Alarm:
    """Something that a device does by itself once: when it did, and how often another was read."""

    def __init__(self, machine: PcBoard, due: int, counter: Counting) -> None:
        self._machine, self._due, self._counter = machine, due, counter
        self.rang: int | None = None
        self.reads = 0
        machine.devices.timed.append(self)
        machine.devices.touched()

    def next_event(self) -> int | None:
        """When it is due."""
        return self._due if self.rang is None else None

    def run_events(self) -> None:
        """Let it ring if it is."""
        if self.rang is None and self._machine.now >= self._due:
            self.rang, self.reads = self._machine.now, self._counter.reads


def machine_with(
    make: Callable[..., PcBoard], tmp_path: Path, text: str, **options: int
) -> tuple[PcBoard, Counting]:
    """A PC that is about to execute 16-bit code from a boot sector."""
    code = assemble(f".code16\n{text}", origin=ADDRESS).text
    path = tmp_path / "sector"
    path.write_bytes(code.ljust(SECTOR - 2, b"\0") + SIGNATURE)
    machine = make(MEMORY, **options)
    device = Counting()
    machine.devices.ports.add(PORT, 1, device, "counting device", width=1)
    machine.load(path)
    return machine, device


@pytest.mark.parametrize("make", MACHINES)
@pytest.mark.parametrize("text", [READS, STRINGS])
def test_round_of_nothing_but_accesses_ends_after_so_many(
    make: Callable[..., PcBoard], text: str, tmp_path: Path
) -> None:
    machine, device = machine_with(make, tmp_path, text)
    for rounds in (1, 2):
        assert machine.round(SLICE)
        assert 0 < device.reads <= rounds * (SLICE // PORT_TIME + AT_ONCE)


@pytest.mark.parametrize("make", MACHINES)
def test_turn_of_several_processors_has_fewer_accesses(
    make: Callable[..., PcBoard], tmp_path: Path
) -> None:
    machine, device = machine_with(make, tmp_path, READS, cpus=4)
    machine.round(machine.slice_size())
    assert 0 < device.reads <= SMALL_SLICE // PORT_TIME


@pytest.mark.parametrize("make", MACHINES)
def test_guest_that_only_accesses_devices_meets_its_timeout(
    make: Callable[..., PcBoard], tmp_path: Path
) -> None:
    machine, _ = machine_with(make, tmp_path, STRINGS)
    assert machine.run(timeout=0.01).status == STATUS_TIMEOUT


@pytest.mark.parametrize("make", MACHINES)
def test_alarm_in_a_loop_of_accesses_rings_in_time(
    make: Callable[..., PcBoard], tmp_path: Path
) -> None:
    machine, device = machine_with(make, tmp_path, READS)
    alarm = Alarm(machine, 3_000_000, device)
    while alarm.rang is None:
        machine.round(SLICE)
    assert 2_900 < alarm.reads < 3_100
    assert 3_000_000 <= alarm.rang < 3_010_000


@pytest.mark.parametrize("make", MACHINES)
def test_timer_interrupts_arrive_while_waiting_and_while_reading(
    make: Callable[..., PcBoard], tmp_path: Path
) -> None:
    for wait in ("hlt", f"mov ${PORT:#x}, %dx\n in %dx, %al"):
        text = f"{PIT_INTERRUPTS}\n wait: {wait}\n jmp wait\n{HANDLER}"
        machine, _ = machine_with(make, tmp_path, text)
        assert machine.run(timeout=60).status == 7
        assert 2_000_000 < machine.now < 3_100_000


@pytest.mark.parametrize("make", MACHINES)
def test_run_of_the_same_guest_gives_the_same_trace(
    make: Callable[..., PcBoard], tmp_path: Path
) -> None:
    text = f"{PIT_INTERRUPTS}\n again: mov ${PORT:#x}, %dx\n in %dx, %al\n jmp again\n{HANDLER}"
    traces: list[str] = []
    for _ in range(2):
        machine, _ = machine_with(make, tmp_path, text, cpus=2)
        file = io.StringIO()
        with TraceWriter(file) as trace:
            machine.observer = ExitTrace(trace)
            assert machine.run(timeout=60).status == 7
        traces.append(file.getvalue())
    assert traces[0] == traces[1]
    assert len(traces[0]) > 200


@pytest.mark.parametrize("make", MACHINES)
@pytest.mark.parametrize(("port", "value"), [(0xCF9, 6), (0x64, 0xFE), (0x92, 1)])
def test_reset_by_a_port_ends_the_run_at_once(
    make: Callable[..., PcBoard], port: int, value: int, tmp_path: Path
) -> None:
    text = f"mov ${value}, %al\n mov ${port:#x}, %dx\n out %al, %dx\n{READS}"
    machine, device = machine_with(make, tmp_path, text)
    assert machine.run(timeout=60).status == STATUS_RESTART
    assert device.reads < 10


def test_extint_message_has_the_vector_taken_from_the_8259_pair(tmp_path: Path) -> None:
    text = f"{PIT_INTERRUPTS}\n wait: hlt\n jmp wait\n{HANDLER}"
    machine, _ = machine_with(PcMachine, tmp_path, text)
    assert isinstance(machine, PcMachine)
    raw = machine.processors[0].raw
    raw.apic_svr |= 0x100
    assert raw.apic_lvt[LVT_LINT0] & 0x10000
    for count in (1, 2, 3):
        while not machine.devices.pic.intr:
            if not machine.round(1000):
                machine.idle()
        assert machine.memory.read(0x500, 1) == bytes([count - 1])
        machine.deliver(
            destination=0, logical=False, mode=DeliveryMode.EXTINT, vector=0, level=True,
            trigger_level=False,
        )  # fmt: skip
        while machine.round(1000):
            pass
    assert machine.result is not None
    assert machine.result.status == 7
