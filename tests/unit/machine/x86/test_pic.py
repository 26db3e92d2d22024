"""The 8259 pair by its data sheet."""

import pytest

from worldswitch.machine.x86.bus import PortBus
from worldswitch.machine.x86.pic import PicPair

ICW1, ICW4 = 0x11, 0x01


class Board:
    """A pair on a bus, initialized as a PC does it: vectors 20 and 28."""

    def __init__(self, icw4: int = ICW4) -> None:
        self.levels: list[bool] = []
        self.pair = PicPair(self.levels.append)
        self.ports = PortBus()
        self.pair.attach(self.ports)
        for port, base, wiring in ((0x20, 0x20, 4), (0xA0, 0x28, 2)):
            self.out(port, ICW1)
            for value in (base, wiring, icw4):
                self.out(port + 1, value)

    def out(self, port: int, value: int) -> None:
        self.ports.write(port, 1, value)

    def isr(self, port: int) -> int:
        self.out(port, 0x0B)
        return self.ports.read(port, 1)

    def irr(self, port: int) -> int:
        self.out(port, 0x0A)
        return self.ports.read(port, 1)

    def pulse(self, number: int) -> None:
        self.pair.set_irq(number, True)
        self.pair.set_irq(number, False)


def test_edge_raises_intr_and_acknowledge_gives_its_vector() -> None:
    board = Board()
    board.pulse(4)
    assert board.levels == [True]
    assert board.irr(0x20) == 0x10
    assert board.pair.acknowledge() == 0x24
    assert board.levels == [True, False]
    assert (board.irr(0x20), board.isr(0x20)) == (0, 0x10)


def test_slave_input_comes_through_the_cascade() -> None:
    board = Board()
    board.pulse(10)
    assert board.pair.acknowledge() == 0x2A
    assert (board.isr(0x20), board.isr(0xA0)) == (4, 4)
    board.out(0xA0, 0x20)
    board.out(0x20, 0x20)
    assert (board.isr(0x20), board.isr(0xA0)) == (0, 0)


def test_two_slave_inputs_are_served_one_after_the_other() -> None:
    board = Board()
    board.pulse(14)
    board.pulse(9)
    taken: list[int] = []
    for _ in range(2):
        assert board.pair.intr
        taken.append(board.pair.acknowledge())
        board.out(0xA0, 0x20)
        board.out(0x20, 0x20)
    assert taken == [0x29, 0x2E]
    assert not board.pair.intr


def test_lower_priority_waits_for_the_end_of_the_higher() -> None:
    board = Board()
    board.pulse(1)
    assert board.pair.acknowledge() == 0x21
    board.pulse(4)
    board.pulse(0)
    assert board.pair.acknowledge() == 0x20
    assert not board.pair.intr
    board.out(0x20, 0x20)  # ends IRQ 0
    assert not board.pair.intr
    board.out(0x20, 0x61)  # specific end of IRQ 1
    assert board.pair.acknowledge() == 0x24


def test_masked_input_waits_in_irr() -> None:
    board = Board()
    board.out(0x21, 0x10)
    board.pulse(4)
    assert not board.pair.intr
    assert board.ports.read(0x21, 1) == 0x10
    board.out(0x21, 0)
    assert board.pair.acknowledge() == 0x24


def test_level_input_asks_again_until_it_drops() -> None:
    board = Board()
    board.out(0x4D1, 0xFF)
    assert board.ports.read(0x4D0, 2) == 0xDE00
    board.pair.set_irq(11, True)
    assert board.pair.acknowledge() == 0x2B
    board.out(0xA0, 0x20)
    board.out(0x20, 0x20)
    assert board.pair.acknowledge() == 0x2B
    board.pair.set_irq(11, False)
    board.out(0xA0, 0x20)
    board.out(0x20, 0x20)
    assert not board.pair.intr
    assert board.irr(0xA0) == 0


def test_level_input_that_drops_before_the_acknowledge_is_spurious() -> None:
    board = Board()
    board.out(0x4D0, 0x20)
    board.pair.set_irq(5, True)
    board.pair.set_irq(5, False)
    assert not board.pair.intr
    assert board.pair.acknowledge() == 0x27
    assert board.isr(0x20) == 0


def test_slave_input_masked_after_its_request_is_spurious_at_the_slave() -> None:
    board = Board()
    board.pulse(12)
    board.out(0xA1, 0xFF)
    assert board.pair.acknowledge() == 0x2F
    assert (board.isr(0x20), board.isr(0xA0)) == (4, 0)


@pytest.mark.parametrize("number", [3, 12])
def test_automatic_end_of_interrupt_leaves_nothing_in_service(number: int) -> None:
    board = Board(icw4=0x03)
    for _ in range(2):
        board.pulse(number)
        assert board.pair.acknowledge() == 0x20 + number
        assert (board.isr(0x20), board.isr(0xA0)) == (0, 0)


def test_automatic_end_with_two_slave_requests_serves_both() -> None:
    board = Board(icw4=0x03)
    board.pulse(12)
    board.pulse(13)
    assert board.pair.acknowledge() == 0x2C
    assert board.pair.intr
    assert board.pair.acknowledge() == 0x2D


def test_rotation_makes_the_served_input_the_lowest() -> None:
    board = Board()
    board.pulse(3)
    board.pair.acknowledge()
    board.out(0x20, 0xA0)  # rotate on non-specific EOI
    board.pulse(3)
    board.pulse(4)
    assert board.pair.acknowledge() == 0x24


def test_rotation_with_automatic_end_happens_at_the_acknowledge() -> None:
    board = Board(icw4=0x03)
    board.out(0x20, 0x80)
    board.pulse(3)
    board.pair.acknowledge()
    board.pulse(3)
    board.pulse(5)
    assert board.pair.acknowledge() == 0x25


@pytest.mark.parametrize("command", [0xC4, 0xE4])
def test_priority_set_puts_the_next_input_first(command: int) -> None:
    board = Board()
    board.out(0x20, command)
    board.pulse(0)
    board.pulse(5)
    assert board.pair.acknowledge() == 0x25


def test_special_mask_lets_lower_priorities_in() -> None:
    board = Board()
    board.pulse(1)
    board.pair.acknowledge()
    board.out(0x21, 0x02)
    board.pulse(6)
    assert not board.pair.intr
    board.out(0x20, 0x68)
    assert board.pair.acknowledge() == 0x26
    board.out(0x20, 0x48)
    board.pulse(7)
    assert not board.pair.intr


def test_special_fully_nested_mode_lets_the_slave_interrupt_itself() -> None:
    board = Board(icw4=0x11)
    board.pulse(12)
    assert board.pair.acknowledge() == 0x2C
    board.pulse(9)
    assert board.pair.acknowledge() == 0x29


def test_poll_acknowledges_without_a_vector() -> None:
    board = Board()
    board.out(0x20, 0x0C)
    assert board.ports.read(0x20, 1) == 0
    board.pulse(6)
    board.out(0x20, 0x0C)
    assert board.ports.read(0x20, 1) == 0x86
    assert not board.pair.intr
    assert board.isr(0x20) == 0x40


def test_initialization_forgets_edges_masks_and_service() -> None:
    board = Board()
    board.pulse(1)
    board.pair.acknowledge()
    board.pulse(3)
    board.out(0x21, 0xFF)
    board.out(0x20, 0x12)  # single, no ICW4
    board.out(0x21, 0x40)
    assert board.ports.read(0x21, 1) == 0
    assert (board.irr(0x20), board.isr(0x20)) == (0, 0)
    board.pulse(1)
    assert board.pair.acknowledge() == 0x41


def test_cascade_input_is_nobodys() -> None:
    board = Board()
    board.pair.set_irq(2, True)
    assert board.levels == []


def test_reset_keeps_the_levels_of_the_lines() -> None:
    board = Board()
    board.pair.set_irq(4, True)
    board.pair.reset()
    assert not board.pair.intr
    assert board.pair.master.lines == 0x10
