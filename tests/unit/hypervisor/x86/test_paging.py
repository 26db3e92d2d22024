"""Walks of the guest's own page tables, and segmentation."""

from dataclasses import dataclass, field

import pytest

from tests.unit.hypervisor.svm.fake_host import FakeStorage
from worldswitch.arch.x86.exceptions import PageFaultError as E
from worldswitch.arch.x86.paging import Pte
from worldswitch.arch.x86.registers import Cr0, Cr4, Efer, Rflags
from worldswitch.arch.x86.segments import SegmentNumber
from worldswitch.hypervisor.x86.events import GuestException
from worldswitch.hypervisor.x86.linear import fetch, linear_address, pieces
from worldswitch.hypervisor.x86.memory import GuestMemory, Slot
from worldswitch.hypervisor.x86.paging import translate
from worldswitch.hypervisor.x86.state import CpuMode, SegmentState

SIZE = 0x40_0000
ROOT = 0x1000
PAGE = 0x7000
ALL = int(Pte.P | Pte.RW | Pte.US)
NX = int(Pte.NX)


@dataclass
class Cpu:
    """The state that addresses depend on."""

    cr0: int = 0
    cr3: int = ROOT
    cr4: int = 0
    efer: int = 0
    rflags: int = 2
    cpl: int = 0
    physical_bits: int = 48
    memory: GuestMemory = field(default_factory=lambda: GuestMemory(FakeStorage(SIZE)))
    segments: dict[int, SegmentState] = field(default_factory=dict)
    cpu_mode: CpuMode = CpuMode.PROTECTED

    def __post_init__(self) -> None:
        self.memory.insert(Slot(0, 0, SIZE))

    def mode(self) -> CpuMode:
        """The operating mode."""
        return self.cpu_mode

    def segment(self, number: int) -> SegmentState:
        """A segment register."""
        return self.segments.get(number, SegmentState(0, 0, 0xFFFF_FFFF, 0xC93))

    def put(self, address: int, entry: int, size: int = 8) -> None:
        """An entry of a table."""
        self.memory.write(address, entry.to_bytes(size, "little"))

    def get(self, address: int, size: int = 8) -> int:
        """An entry of a table."""
        return int.from_bytes(self.memory.read(address, size), "little")


def long_mode(rights: int = ALL, **values: int) -> Cpu:
    """Four levels that map linear address 0x12_3456_7000 to PAGE."""
    cpu = Cpu(int(Cr0.PG | Cr0.PE | Cr0.WP), efer=int(Efer.LMA | Efer.LME | Efer.NXE),
              cr4=int(Cr4.PAE), cpu_mode=CpuMode.LONG)  # fmt: skip
    tables = (ROOT, 0x2000, 0x3000, 0x4000, PAGE)
    for level in range(4):
        index = LINEAR >> 39 - 9 * level & 0x1FF
        cpu.put(tables[level] + 8 * index, tables[level + 1] | (rights if level == 3 else ALL))
    for name, value in values.items():
        setattr(cpu, name, value)
    return cpu


LINEAR = 0x12_3456_7000


def error(cpu: Cpu, linear: int = LINEAR, **how: bool) -> int:
    with pytest.raises(GuestException) as caught:
        translate(cpu, linear, **how)
    event = caught.value.event
    assert (event.vector, event.address) == (14, linear)
    assert event.error is not None
    return event.error


def test_without_paging_addresses_are_physical() -> None:
    assert translate(Cpu(), 0x1_2345_6789) == 0x2345_6789


def test_long_mode_walk_sets_accessed_and_dirty() -> None:
    cpu = long_mode()
    assert translate(cpu, LINEAR + 0x123) == PAGE + 0x123
    leaf = 0x4000 + 8 * (LINEAR >> 12 & 0x1FF)
    assert cpu.get(leaf) == PAGE | ALL | Pte.A
    assert cpu.get(ROOT + 8 * (LINEAR >> 39)) & (Pte.A | Pte.D) == Pte.A
    translate(cpu, LINEAR, write=True)
    assert cpu.get(leaf) == PAGE | ALL | Pte.A | Pte.D


def test_large_pages_of_long_mode() -> None:
    cpu = long_mode()
    cpu.put(0x3000 + 8 * (LINEAR >> 21 & 0x1FF), 0x20_0000 | ALL | Pte.PS)
    assert translate(cpu, LINEAR + 5) == 0x20_0000 | LINEAR & 0x1F_FFFF | 5
    cpu.put(0x2000 + 8 * (LINEAR >> 30 & 0x1FF), 1 << 30 | ALL | Pte.PS)
    assert translate(cpu, LINEAR) == 1 << 30 | LINEAR & 0x3FFF_FFFF


def test_five_levels() -> None:
    cpu = long_mode(cr4=int(Cr4.PAE | Cr4.LA57), cr3=0x9000)
    cpu.put(0x9000, ROOT | ALL)
    assert translate(cpu, LINEAR) == PAGE


def test_pae_walk_has_no_rights_in_its_first_level() -> None:
    cpu = Cpu(int(Cr0.PG | Cr0.PE | Cr0.WP), cr4=int(Cr4.PAE), cr3=0x1020)
    linear = 0xC123_4567
    cpu.put(0x1020 + 8 * 3, 0x2000 | Pte.P)
    cpu.put(0x2000 + 8 * (linear >> 21 & 0x1FF), 0x3000 | ALL)
    cpu.put(0x3000 + 8 * (linear >> 12 & 0x1FF), PAGE | ALL)
    cpu.cpl = 3
    assert translate(cpu, 1 << 32 | linear, write=True) == PAGE + 0x567
    assert cpu.get(0x1020 + 8 * 3) == 0x2000 | Pte.P
    cpu.put(0x1020 + 8 * 3, 0x2000 | Pte.P | Pte.RW)
    assert error(cpu, linear) == E.P | E.RSV | E.US


def test_legacy_walk_with_small_and_large_pages() -> None:
    cpu = Cpu(int(Cr0.PG | Cr0.PE))
    cpu.put(ROOT + 4 * 5, 0x2000 | ALL, 4)
    cpu.put(0x2000 + 4 * 7, PAGE | ALL, 4)
    assert translate(cpu, 5 << 22 | 7 << 12 | 0x89) == PAGE + 0x89
    cpu.put(ROOT + 4 * 6, 0x40_0000 | 3 << 13 | ALL | Pte.PS, 4)
    cpu.cr4 = int(Cr4.PSE)
    assert translate(cpu, 6 << 22 | 0x12_3456) == 3 << 32 | 0x40_0000 | 0x12_3456
    cpu.cr4 = 0  # a table that is not in storage, whose entries are all ones
    assert translate(cpu, 6 << 22) == 0xFFFF_F000


def test_page_that_is_not_present() -> None:
    cpu = long_mode(0)
    assert error(cpu) == 0
    assert error(cpu, write=True) == E.RW
    assert error(cpu, fetch=True) == E.ID
    cpu.cpl = 3
    assert error(cpu, write=True) == E.RW | E.US


@pytest.mark.parametrize(
    ("rights", "state", "how", "expected"),
    [
        (Pte.P | Pte.US, {}, {"write": True}, E.P | E.RW),
        (Pte.P | Pte.US, {"cr0": int(Cr0.PG | Cr0.PE)}, {"write": True}, None),
        (Pte.P | Pte.RW, {"cpl": 3}, {}, E.P | E.US),
        (Pte.P | Pte.RW, {"cpl": 3}, {"supervisor": True}, None),
        (Pte.P | Pte.US, {"cpl": 3}, {"write": True}, E.P | E.RW | E.US),
        (ALL | NX, {}, {"fetch": True}, E.P | E.ID),
        (ALL | NX, {}, {}, None),
        (ALL, {"cr4": int(Cr4.PAE | Cr4.SMEP)}, {"fetch": True}, E.P | E.ID),
        (ALL, {"cr4": int(Cr4.PAE | Cr4.SMEP), "cpl": 3}, {"fetch": True}, None),
        (ALL, {"cr4": int(Cr4.PAE | Cr4.SMAP)}, {}, E.P),
        (ALL, {"cr4": int(Cr4.PAE | Cr4.SMAP), "rflags": int(Rflags.AC)}, {}, None),
        (ALL | 1 << 51, {}, {}, E.P | E.RSV),
        (ALL | NX, {"efer": int(Efer.LMA)}, {}, E.P | E.RSV),
    ],
)
def test_rights_of_a_page(
    rights: int, state: dict[str, int], how: dict[str, bool], expected: int | None
) -> None:
    cpu = long_mode(int(rights), **state)
    if expected is None:
        assert translate(cpu, LINEAR, **how) == PAGE
    else:
        assert error(cpu, **how) == expected


def test_tables_outside_storage_read_as_all_ones() -> None:
    cpu = long_mode(cr3=1 << 40)
    assert error(cpu) == E.P | E.RSV


# Segmentation.


@pytest.mark.parametrize(
    ("segment", "offset", "write", "legal"),
    [
        (SegmentState(0, 0x1000, 0xFFF, 0x93), 0xFFC, True, True),
        (SegmentState(0, 0x1000, 0xFFF, 0x93), 0xFFD, False, False),
        (SegmentState(0, 0x1000, 0xFFF, 0x91), 0, True, False),
        (SegmentState(0, 0x1000, 0xFFF, 0x91), 0, False, True),
        (SegmentState(0, 0x1000, 0xFFF, 0x99), 0, False, False),
        (SegmentState(0, 0x1000, 0xFFF, 0x9B), 0, False, True),
        (SegmentState(0, 0x1000, 0xFFF, 0x9B), 0, True, False),
        (SegmentState(0, 0x1000, 0xFFF, 0x13), 0, False, False),
        (SegmentState(0, 0x1000, 0xFFF, 0x97), 0xFFF, False, False),
        (SegmentState(0, 0x1000, 0xFFF, 0x97), 0x1000, True, True),
        (SegmentState(0, 0x1000, 0xFFF, 0x97), 0xFFFD, True, False),
        (SegmentState(0, 0x1000, 0xFFF, 0x497), 0xFFFD, True, True),
    ],
)
def test_segment_checks(segment: SegmentState, offset: int, write: bool, legal: bool) -> None:
    cpu = Cpu(segments={SegmentNumber.DS: segment, SegmentNumber.SS: segment})
    for number, vector in ((SegmentNumber.DS, 13), (SegmentNumber.SS, 12)):
        if legal:
            assert linear_address(cpu, number, offset, 4, write) == 0x1000 + offset
            continue
        with pytest.raises(GuestException) as caught:
            linear_address(cpu, number, offset, 4, write)
        assert (caught.value.event.vector, caught.value.event.error) == (vector, 0)


def test_long_mode_has_bases_of_fs_and_gs_alone() -> None:
    cpu = Cpu(cpu_mode=CpuMode.LONG)
    cpu.segments = dict.fromkeys(range(6), SegmentState(0, 0x1000, 0, 0))
    assert linear_address(cpu, SegmentNumber.DS, 0x10, 4, True) == 0x10
    assert linear_address(cpu, SegmentNumber.GS, 0x10, 4, True) == 0x1010
    for number, vector in ((SegmentNumber.DS, 13), (SegmentNumber.SS, 12)):
        for offset in (1 << 47, (1 << 47) - 2):
            with pytest.raises(GuestException) as caught:
                linear_address(cpu, number, offset, 4, False)
            assert caught.value.event.vector == vector
    cpu.cr4 = int(Cr4.LA57)
    assert linear_address(cpu, SegmentNumber.DS, 1 << 47, 4, False) == 1 << 47


def test_addresses_of_real_mode_wrap_at_four_gibibytes() -> None:
    cpu = Cpu(cpu_mode=CpuMode.REAL)
    cpu.segments[SegmentNumber.DS] = SegmentState(0, 0xFFFF_FFF0, 0xFFFF, 0)
    assert linear_address(cpu, SegmentNumber.DS, 0x20, 4, True) == 0x10


def test_range_that_crosses_a_page_is_translated_twice() -> None:
    cpu = long_mode()
    assert pieces(cpu, LINEAR + 0xFF8, 8, False) == [(PAGE + 0xFF8, 8)]
    with pytest.raises(GuestException) as caught:
        pieces(cpu, LINEAR + 0xFFC, 8, True)
    assert caught.value.event.address == LINEAR + 0x1000
    cpu.put(0x4000 + 8 * (LINEAR >> 12 & 0x1FF) + 8, 0x5000 | ALL)
    assert pieces(cpu, LINEAR + 0xFFC, 8, True) == [(PAGE + 0xFFC, 4), (0x5000, 4)]


def test_fetch_ends_where_the_segment_or_what_is_mapped_does() -> None:
    cpu = long_mode()
    cpu.memory.write(PAGE + 0xFF0, bytes(range(16)))
    assert fetch(cpu, LINEAR + 0xFF0) == bytes(range(15))
    assert fetch(cpu, LINEAR + 0xFFD) == bytes((13, 14, 15))
    with pytest.raises(GuestException):
        fetch(cpu, LINEAR + 0x1000)
    flat = Cpu()
    flat.segments[SegmentNumber.CS] = SegmentState(8, 0x100, 0x4, 0x9B)
    assert len(fetch(flat, 2)) == 3
    with pytest.raises(GuestException):
        fetch(flat, 5)
    assert fetch(Cpu(), SIZE - 2) == bytes(2)
    assert fetch(Cpu(), SIZE) == b""
