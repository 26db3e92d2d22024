"""Nested page tables, as the processor would walk them."""

import pytest

from tests.unit.hypervisor.svm.fake_host import FakeStorage
from worldswitch.arch.x86.paging import ADDRESS, Pte
from worldswitch.hypervisor.svm.npt import NestedTables
from worldswitch.hypervisor.x86.memory import GuestMemory, OutsideMemoryError

LARGE = 0x20_0000
BASE = 4 * LARGE


def tables(*slots: tuple[int, int, int]) -> NestedTables:
    storage = FakeStorage(64 << 20)
    npt = NestedTables(storage, GuestMemory(storage))
    for guest, host, size in slots:
        npt.insert(guest, host, size)
    return npt


def walk(npt: NestedTables, guest: int) -> tuple[int, int, int] | None:
    """Host address, rights and size of the page that the tables map, if they do."""
    table = npt.root
    for shift in (39, 30, 21, 12):
        where = table + 8 * (guest >> shift & 0x1FF)
        entry = int.from_bytes(npt.storage.read(where, 8), "little")
        if not entry & Pte.P:
            return None
        if entry & Pte.PS or shift == 12:
            size = 1 << shift
            return entry & ADDRESS & -size | guest & size - 1, entry & 7, size
        table = entry & ADDRESS
    raise AssertionError


def test_aligned_storage_is_mapped_by_large_pages() -> None:
    npt = tables((0, BASE, 2 * LARGE))
    assert walk(npt, 0x1234) is None
    assert npt.resolve(LARGE + 0x1234, True) == BASE + LARGE + 0x1234
    assert walk(npt, LARGE + 0x1234) == (BASE + LARGE + 0x1234, 7, LARGE)
    assert walk(npt, 0x1234) is None
    assert npt.generation == 0


@pytest.mark.parametrize("slot", [(0, BASE + 0x1000, LARGE), (0x1000, BASE + 0x1000, LARGE)])
def test_other_storage_is_mapped_by_small_pages(slot: tuple[int, int, int]) -> None:
    npt = tables(slot)
    guest, host, _ = slot
    assert npt.resolve(guest + 0x5678, False) == host + 0x5678
    assert walk(npt, guest + 0x5678) == (host + 0x5678, 7, 0x1000)
    assert walk(npt, guest + 0x6678) is None


def test_read_only_storage_is_mapped_without_write_access() -> None:
    npt = tables()
    npt.insert(0, BASE, LARGE, writable=False)
    npt.insert(LARGE, BASE + LARGE, 0x1000, writable=False)
    assert npt.resolve(0, True) is None
    assert walk(npt, 0) is None
    assert npt.resolve(0, False) == BASE
    assert walk(npt, 0) == (BASE, 5, LARGE)
    npt.resolve(LARGE, False)
    assert walk(npt, LARGE) == (BASE + LARGE, 5, 0x1000)


def test_storage_that_is_not_there_is_not_mapped() -> None:
    assert tables((0, BASE, LARGE)).resolve(LARGE, False) is None


def test_unmapping_a_page_splits_the_large_one() -> None:
    npt = tables((0, BASE, LARGE))
    npt.resolve(0, True)
    npt.unmap(0x3000, 0x1000)
    assert npt.generation == 1
    assert walk(npt, 0x2000) is None
    for page in (0x2000, 0x3000):
        npt.resolve(page, True)
        assert walk(npt, page) == (BASE + page, 7, 0x1000)
    npt.unmap(0x3000, 0x1000)
    assert walk(npt, 0x3000) is None
    assert walk(npt, 0x2000) is not None


def test_unmapping_a_whole_large_page_does_not_split_it() -> None:
    npt = tables((0, BASE, 4 * LARGE))
    for n in range(4):
        npt.resolve(n * LARGE, True)
    npt.unmap(LARGE, 2 * LARGE)
    assert [walk(npt, n * LARGE) is None for n in range(4)] == [False, True, True, False]
    npt.resolve(LARGE, True)
    assert walk(npt, LARGE) == (BASE + LARGE, 7, LARGE)


def test_unmapping_what_was_never_mapped_counts_as_a_change_alone() -> None:
    npt = tables((0, BASE, LARGE))
    npt.unmap(0, 1 << 40)
    assert npt.generation == 1


def test_removed_storage_is_gone() -> None:
    npt = tables((0, BASE, LARGE))
    npt.resolve(0, True)
    npt.remove(0)
    assert walk(npt, 0) is None
    assert npt.resolve(0, False) is None
    with pytest.raises(KeyError, match="no guest storage begins"):
        npt.remove(0)
    npt.insert(0, BASE + LARGE, LARGE)
    assert npt.resolve(0, False) == BASE + LARGE


@pytest.mark.parametrize(
    ("slot", "message"),
    [
        ((0x1000, 0x1000, 0x1000), "overlaps"),
        ((LARGE, 0x10, 0x1000), "whole pages"),
        ((LARGE, 0, 0), "whole pages"),
        (((1 << 48) - 0x1000, 0, 0x2000), "beyond"),
    ],
)
def test_impossible_storage_is_refused(slot: tuple[int, int, int], message: str) -> None:
    npt = tables((0, BASE, LARGE))
    with pytest.raises(ValueError, match=message):
        npt.insert(*slot)


def test_memory_reads_and_writes_across_slots_and_not_across_holes() -> None:
    npt = tables((0, BASE, 0x1000), (0x1000, BASE + 0x8000, 0x1000), (0x5000, BASE, 0x1000))
    memory = npt.memory
    memory.write(0xFFE, b"abcd")
    assert memory.read(0xFFE, 4) == b"abcd"
    assert memory.host.read(BASE + 0x8000, 2) == b"cd"
    assert memory.has(0, 0x2000)
    assert not memory.has(0x1FFF, 2)
    assert memory.size == 0x6000
    assert memory.host_address(0x1001) == BASE + 0x8001
    assert memory.host_address(0x2000) is None
    for address, size in ((0x1FFF, 2), (0x3000, 1), (1 << 60, 1)):
        with pytest.raises(OutsideMemoryError):
            memory.read(address, size)
        with pytest.raises(OutsideMemoryError):
            memory.write(address, bytes(size))
    assert memory.read(0x1FFF, 1) == b"\0"
