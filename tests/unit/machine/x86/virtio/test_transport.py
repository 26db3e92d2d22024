"""Virtio over PCI: capabilities, negotiation, interrupts."""

import pytest

from tests.unit.machine.x86.virtio.driver import (
    BAR_DEVICE,
    BAR_ISR,
    DRIVER_OK,
    EVENT_INDEX,
    FEATURES_OK,
    NEEDS_RESET,
    VERSION_1,
    Driver,
    board,
)
from worldswitch.machine.x86.virtio.entropy import Entropy


def driver() -> Driver:
    """A board with an entropy device."""
    ram, dma = board()
    return Driver(ram, Entropy(dma))


def capabilities(made: Driver) -> list[tuple[int, int]]:
    """Identifier and offset of each capability."""
    found: list[tuple[int, int]] = []
    at = made.config(0x34, 1)
    while at:
        found.append((made.config(at, 1), at))
        at = made.config(at + 1, 1)
    return found


def test_identity_is_that_of_a_modern_device() -> None:
    made = driver()
    assert made.config(0) == 0x1044_1AF4
    assert made.config(8, 1) == 1
    assert made.config(0x2C, 2) == 0x1AF4


def test_capabilities_point_to_each_structure() -> None:
    made = driver()
    found = capabilities(made)
    assert [identifier for identifier, _ in found] == [0x11, 9, 9, 9, 9, 9]
    structures = {
        made.config(at + 3, 1): (made.config(at + 4, 1), made.config(at + 8), made.config(at + 12))
        for identifier, at in found
        if identifier == 9
    }
    assert structures == {
        1: (4, 0x0000, 0x1000), 2: (4, 0x3000, 0x1000), 3: (4, 0x1000, 0x1000),
        4: (4, 0x2000, 0x1000), 5: (0, 0, 0),
    }  # fmt: skip
    notify = next(at for _, at in found if made.config(at + 3, 1) == 2)
    assert (made.config(notify + 2, 1), made.config(notify + 16)) == (20, 4)


def test_negotiation_keeps_features_ok_for_what_is_offered() -> None:
    made = driver()
    assert made.features() == VERSION_1 | EVENT_INDEX | 1 << 28
    made.negotiate(VERSION_1 | EVENT_INDEX)
    assert made.status == 3 | FEATURES_OK
    made.put(0x08, 4, 0)
    assert made.get(0x0C, 4) == EVENT_INDEX
    made.put(0x0C, 4, 0)
    assert made.get(0x0C, 4) == EVENT_INDEX


@pytest.mark.parametrize("wanted", [0, EVENT_INDEX, VERSION_1 | 1, VERSION_1 | 1 << 33])
def test_negotiation_refuses_legacy_and_unknown_features(wanted: int) -> None:
    made = driver()
    made.negotiate(wanted)
    assert made.status == 3


def test_feature_words_beyond_the_second_are_empty() -> None:
    made = driver()
    made.put(0x00, 4, 2)
    made.put(0x08, 4, 0xFFFF_FFFF)
    made.put(0x0C, 4, 0xFFFF_FFFF)
    assert (made.get(0x04, 4), made.get(0x0C, 4)) == (0, 0)


def test_queue_registers_show_what_was_written() -> None:
    made = driver()
    made.start()
    assert (made.get(0x18, 2), made.get(0x1C, 2), made.get(0x1E, 2)) == (8, 1, 0)
    assert made.get(0x20, 8) == 0x1_0000
    assert (made.get(0x28, 4), made.get(0x30, 4)) == (0x1_1000, 0x1_2000)
    made.put(0x20, 4, 0)
    assert made.get(0x20, 4) == 0x1_0000


def test_queue_that_is_not_there_has_no_size() -> None:
    made = driver()
    made.put(0x16, 2, 9)
    assert (made.get(0x18, 2), made.get(0x1A, 2)) == (0, 0xFFFF)
    made.put(0x18, 2, 4)
    made.put(0x1C, 2, 1)
    assert made.get(0x1C, 2) == 0
    made.notify(9)
    assert made.get(0x12, 2) == 1


@pytest.mark.parametrize("size", [0, 3, 16, 0x8000])
def test_queue_of_a_wrong_size_needs_a_reset(size: int) -> None:
    made = driver()
    made.negotiate()
    made.queue(0, 0x1_0000, size)
    assert made.status & NEEDS_RESET
    assert made.get(0x1C, 2) == 0
    made.negotiate()
    assert not made.status & NEEDS_RESET


@pytest.mark.parametrize("base", [0x1_0001, 0xF_F000, 1 << 40])
def test_queue_in_a_wrong_place_needs_a_reset(base: int) -> None:
    made = driver()
    made.negotiate()
    made.queue(0, base, 8)
    assert made.status & NEEDS_RESET


def test_inta_stays_until_the_isr_is_read() -> None:
    made = driver()
    made.start()
    made.rings[0].add([], [16])
    made.notify()
    assert made.level
    assert made.get(BAR_ISR, 1) == 1
    assert not made.level
    assert made.get(BAR_ISR, 1) == 0


def test_msix_takes_the_place_of_inta() -> None:
    made = driver()
    made.set_config(0x42, 2, 0x8000)
    for entry in range(2):
        made.memory.write(made.table + 16 * entry, 4, 0xFEE0_0000)
        made.memory.write(made.table + 16 * entry + 8, 4, 0x40 + entry)
        made.memory.write(made.table + 16 * entry + 12, 4, 0)
    made.start()
    made.put(0x10, 2, 0)
    made.put(0x1A, 2, 1)
    assert (made.get(0x10, 2), made.get(0x1A, 2)) == (0, 1)
    made.rings[0].add([], [16])
    made.notify()
    assert made.messages == [(0xFEE0_0000, 0x41)]
    assert not made.level
    made.rings[0].offer(1000)
    made.notify()
    assert made.messages[1:] == [(0xFEE0_0000, 0x40)]
    made.put(0x1A, 2, 5)
    assert made.get(0x1A, 2) == 0xFFFF


def test_driver_that_wants_no_interrupt_gets_none() -> None:
    made = driver()
    made.start()
    made.ram.write(made.rings[0].driver, b"\x01\0")
    made.rings[0].add([], [16])
    made.notify()
    assert made.rings[0].used() == [(0, 16)]
    assert not made.level


def test_event_index_interrupts_at_the_index_alone() -> None:
    made = driver()
    made.start(VERSION_1 | EVENT_INDEX)
    ring = made.rings[0]
    ring.ram.write(ring.driver + 4 + 2 * ring.size, (2).to_bytes(2, "little"))
    levels: list[bool] = []
    for _ in range(4):
        ring.add([], [4])
        made.notify()
        levels.append(made.level)
        made.get(BAR_ISR, 1)
    assert levels == [False, False, True, False]
    assert ring.ram.read(ring.device + 4 + 8 * ring.size, 2) == b"\x04\0"


def test_notification_before_the_driver_is_ready_does_nothing() -> None:
    made = driver()
    made.negotiate()
    ring = made.queue(0, 0x1_0000, 8)
    ring.add([], [16])
    made.notify()
    assert ring.used() == []
    made.put(0x14, 1, 3 | FEATURES_OK | DRIVER_OK)
    made.notify()
    assert ring.used() == [(0, 16)]


def test_status_zero_resets_queues_and_features() -> None:
    made = driver()
    made.start()
    made.rings[0].add([], [16])
    made.notify()
    made.put(0x14, 1, 0)
    assert made.status == 0
    assert not made.level
    assert (made.get(0x1C, 2), made.get(0x20, 8), made.get(0x18, 2)) == (0, 0, 8)


def test_board_reset_needs_new_base_addresses() -> None:
    made = driver()
    made.start()
    made.bus.reset()
    assert made.get(0x14, 1) == 0xFF
    made.bus.assign(lambda slot, pin: 10)
    assert made.status == 0


def test_window_in_configuration_space_reaches_the_registers() -> None:
    made = driver()
    window = capabilities(made)[-1][1]
    made.set_config(window + 4, 1, 4)
    made.set_config(window + 8, 4, 0x14)
    made.set_config(window + 12, 4, 1)
    made.set_config(window + 16, 1, 1)
    assert made.status == 1
    assert made.config(window + 16, 1) == 1


@pytest.mark.parametrize(
    ("bar", "offset", "size"), [(4, 0x4000, 4), (0, 0, 4), (4, 2, 4), (4, 0xFFFF_FFFC, 4)]
)
def test_window_to_nowhere_reads_zero(bar: int, offset: int, size: int) -> None:
    made = driver()
    window = capabilities(made)[-1][1]
    made.set_config(window + 4, 1, bar)
    made.set_config(window + 8, 4, offset)
    made.set_config(window + 12, 4, size)
    made.set_config(window + 16, 4, 0xFFFF_FFFF)
    assert made.config(window + 16, 4) == 0


def test_registers_beyond_the_structures_read_zero() -> None:
    made = driver()
    assert (made.get(0x800, 4), made.get(BAR_ISR + 8, 4), made.get(BAR_DEVICE, 8)) == (0, 0, 0)
    made.put(BAR_ISR, 4, 0xFFFF_FFFF)
    made.put(0x800, 4, 0xFFFF_FFFF)
    assert made.get(0x3000, 4) == 0
