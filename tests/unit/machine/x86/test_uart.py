"""The 16550A by its data sheet."""

from worldswitch.machine.x86.clock import ManualClock
from worldswitch.machine.x86.uart import Uart

DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR = range(8)
OUT2 = 8


class Port:
    """A serial port, its interrupt line and what it sent."""

    def __init__(self, mcr: int = OUT2) -> None:
        self.clock = ManualClock()
        self.sent = bytearray()
        self.levels: list[bool] = []
        self.uart = Uart(self.clock, self.sent.extend, self.levels.append)
        self.levels.clear()
        self.write(MCR, mcr)

    def write(self, register: int, value: int) -> None:
        self.uart.write(register, 1, value)

    def read(self, register: int) -> int:
        return self.uart.read(register, 1)

    @property
    def level(self) -> bool:
        return bool(self.levels) and self.levels[-1]


def test_data_written_leaves_at_once() -> None:
    port = Port()
    for byte in b"hello":
        port.write(DATA, byte)
    assert port.sent == b"hello"
    assert port.read(LSR) == 0x60


def test_divisor_is_behind_dlab() -> None:
    port = Port()
    port.write(LCR, 0x83)
    port.write(DATA, 0x34)
    port.write(IER, 0x12)
    assert (port.read(DATA), port.read(IER)) == (0x34, 0x12)
    port.write(LCR, 0x03)
    assert (port.read(IER), port.sent) == (0, b"")


def test_scratch_keeps_its_value() -> None:
    port = Port()
    port.write(SCR, 0xA5)
    assert port.read(SCR) == 0xA5


def test_thre_interrupt_comes_with_its_enabling_and_goes_with_iir() -> None:
    port = Port()
    port.write(IER, 2)
    assert port.level
    assert port.read(IIR) == 2
    assert not port.level
    assert port.read(IIR) == 1
    port.write(DATA, 65)
    assert port.level


def test_interrupt_without_out2_does_not_reach_the_line() -> None:
    port = Port(mcr=0)
    port.write(IER, 2)
    assert not port.level
    assert port.read(IIR) == 2


def test_received_character_interrupts_until_it_is_read() -> None:
    port = Port()
    port.write(IER, 1)
    port.uart.receive(b"ab")
    assert port.level
    assert (port.read(IIR), port.read(LSR)) == (4, 0x61)
    assert (port.read(DATA), port.read(DATA)) == (97, 98)
    assert not port.level
    assert (port.read(IIR), port.read(LSR)) == (1, 0x60)


def test_fifo_interrupts_at_its_trigger_level() -> None:
    port = Port()
    port.write(IIR, 0x41)
    port.write(IER, 1)
    port.uart.receive(b"123")
    assert not port.level
    port.uart.receive(b"4")
    assert port.level
    assert port.read(IIR) == 0xC4


def test_fifo_below_its_trigger_times_out_after_four_characters() -> None:
    port = Port()
    port.write(LCR, 0x03)
    port.write(IIR, 0x81)
    port.write(IER, 1)
    port.clock.now = 1000
    port.uart.receive(b"x")
    deadline = port.uart.next_event()
    assert deadline == 1000 + 4 * (10 * 16 * 12 * 1_000_000_000 // 1_843_200)
    port.uart.run_events()
    assert not port.level
    port.clock.now = deadline
    port.uart.run_events()
    assert port.level
    assert port.uart.next_event() is None
    assert port.read(IIR) == 0xCC
    assert port.read(DATA) == ord("x")
    assert not port.level


def test_more_than_the_fifo_holds_waits_on_the_line() -> None:
    port = Port()
    port.write(IIR, 0x01)
    text = bytes(range(40))
    port.uart.receive(text)
    assert len(port.uart.waiting) == 24
    assert bytes(port.read(DATA) for _ in text) == text
    assert port.read(LSR) == 0x60


def test_fifo_control_clears_and_switches() -> None:
    port = Port()
    assert port.read(IIR) == 0x01
    port.write(IIR, 0x01)
    port.uart.receive(b"abc")
    port.write(IIR, 0x03)
    assert port.read(LSR) == 0x60
    assert port.read(IIR) == 0xC1
    port.uart.receive(b"abc")
    port.write(IIR, 0)
    assert (port.read(LSR), port.read(IIR)) == (0x60, 0x01)


def test_loopback_returns_data_and_modem_lines() -> None:
    port = Port()
    assert port.read(MSR) == 0xB0
    port.write(MCR, 0x10)
    assert port.read(MSR) == 0x0B
    port.write(MCR, 0x1A)
    assert port.read(MSR) & 0xF0 == 0x90
    port.write(DATA, 0x5A)
    assert (port.sent, port.read(DATA)) == (b"", 0x5A)
    port.write(DATA, 1)
    port.write(DATA, 2)
    assert port.read(LSR) == 0x63
    assert port.read(LSR) == 0x61
    assert port.read(DATA) == 2


def test_input_during_loopback_waits() -> None:
    port = Port()
    port.write(MCR, 0x18)
    port.uart.receive(b"z")
    assert port.read(LSR) == 0x60
    port.write(MCR, OUT2)
    assert port.read(DATA) == ord("z")


def test_line_status_interrupt_is_the_most_urgent() -> None:
    port = Port(mcr=0x10)
    port.write(IER, 0x0F)
    port.write(DATA, 1)
    port.write(DATA, 2)
    assert port.read(IIR) == 6
    port.read(LSR)
    assert port.read(IIR) == 4
    port.read(DATA)
    assert port.read(IIR) == 2
    assert port.read(IIR) == 0
    port.read(MSR)
    assert port.read(IIR) == 1


def test_ring_indicator_counts_its_trailing_edge() -> None:
    port = Port(mcr=0x14)
    port.read(MSR)
    port.write(MCR, 0x10)
    assert port.read(MSR) == 0x04


def test_line_and_modem_status_cannot_be_written() -> None:
    port = Port()
    port.write(LSR, 0xFF)
    port.write(MSR, 0xFF)
    assert (port.read(LSR), port.read(MSR)) == (0x60, 0xB0)
