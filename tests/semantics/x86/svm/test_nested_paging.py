"""Nested paging: translation, its faults, accessed and dirty bits. ref: APM2 15.25"""

import pytest

from tests.semantics.x86.svm.world import CODE, DATA, NESTED_PAGES, PAGES, World, world
from worldswitch.arch.x86.registers import Efer
from worldswitch.arch.x86.svm_controls import Intercept1
from worldswitch.arch.x86.svm_exits import NpfInfo, SvmExit

TABLE = 0x28000
P, RW, US, RSV, ID = NpfInfo.P, NpfInfo.RW, NpfInfo.US, NpfInfo.RSV, NpfInfo.ID
FINAL, WALK = NpfInfo.FINAL, NpfInfo.GUEST_TABLE
LEAF = TABLE + 8 * 3
ADDRESS = DATA + 0x3018


def small(source: str, **changes: int) -> World:
    """A nested guest whose region at DATA is in small nested pages."""
    w = world()
    w.guest(source, nested=True, **changes)
    w.map_small(NESTED_PAGES, DATA, TABLE)
    return w


def test_guest_address_goes_through_both_tables() -> None:
    w = small(f"mov {ADDRESS:#x}, %eax; movl $7, {ADDRESS + 4:#x}; hlt")
    w.put(LEAF, 0x60_0007)
    w.put(0x60_0018, 0x99)
    assert w.run() == SvmExit.HLT
    assert w.block.save.rax == 0x99
    assert w.get(0x60_001C, 4) == 7


FAULTS = (
    ("read of a page that is not present", "mov {a}, %eax", 6, US | FINAL),
    ("write to a page that is not present", "mov %eax, {a}", 6, US | RW | FINAL),
    ("write to a read-only page", "mov %eax, {a}", 5, P | RW | US | FINAL),
    ("read of a supervisor page", "mov {a}, %eax", 3, P | US | FINAL),
    ("read with a reserved bit", "mov {a}, %eax", 7 | 1 << 51, None),
    ("fetch from a page with NX", "mov ${a}, %eax; jmp *%rax", 7 | 1 << 63, P | US | ID | FINAL),
    ("add to a read-only page", "addl $1, {a}", 5, P | RW | US | FINAL),
)


@pytest.mark.parametrize(("name", "source", "entry", "info"), FAULTS, ids=[f[0] for f in FAULTS])
def test_nested_fault_says_what_and_where(
    name: str, source: str, entry: int, info: int | None
) -> None:
    if info is None:
        w = World("native", "epyc-milan")
        w.guest(source.format(a=hex(ADDRESS)), nested=True)
        w.map_small(NESTED_PAGES, DATA, TABLE)
        info = P | RSV | US | FINAL
    else:
        w = small(source.format(a=hex(ADDRESS)))
    w.put(LEAF, (DATA + 0x3000) | entry)
    assert w.run() == SvmExit.NPF
    assert w.info == (info, ADDRESS)
    if info & ID:
        assert w.block.save.rip == ADDRESS
        assert w.block.control.insn_len == 0
    else:
        assert w.block.save.rip == CODE
        assert w.block.control.insn_len == 15
        assert w.block.control.insn_bytes == w.storage.read(CODE, 15)


def test_fault_on_a_guest_page_table_is_a_write_by_the_walk() -> None:
    w = small("mov 0x600000, %eax; hlt")
    w.map(DATA, 0x87)
    w.block.save.cr3 = DATA
    w.put(TABLE + 8 * 2, (DATA + 0x2000) | 5)
    assert w.run() == SvmExit.NPF
    assert w.info == (P | RW | US | WALK, DATA + 0x2000)
    w.put(TABLE + 8 * 2, 0)
    w.change(tlb_control=1)
    assert w.run() == SvmExit.NPF
    assert w.info == (RW | US | WALK, DATA + 0x2000)


def test_guest_fault_comes_before_the_nested_one() -> None:
    w = small("mov 0x203018, %eax; hlt", intercept_exceptions=1 << 14)
    w.put(PAGES + 0x2008, 0)
    w.put(LEAF, 0)
    assert w.run() == SvmExit.EXCP_PF
    assert w.info == (0, ADDRESS)


def test_accessed_and_dirty_bits_are_set_in_the_nested_tables() -> None:
    w = small(f"mov {ADDRESS:#x}, %eax; cpuid; mov %eax, {ADDRESS:#x}; hlt",
              intercept_1=Intercept1.CPUID)  # fmt: skip
    assert w.run() == SvmExit.CPUID
    assert w.get(LEAF) & 0x60 == 0x20
    assert w.get(NESTED_PAGES) & 0x20
    w.skip()
    assert w.run() == SvmExit.HLT
    assert w.get(LEAF) & 0x60 == 0x60


def test_supervisor_write_obeys_nested_protection_whatever_wp_says() -> None:
    w = small(f"mov %eax, {ADDRESS:#x}; hlt", cr0=0x8000_0031)
    w.put(LEAF, (DATA + 0x3000) | 5)
    assert w.run() == SvmExit.NPF


def test_page_without_paging_in_the_guest_is_translated() -> None:
    w = small("hlt")
    real = bytes.fromhex("66a118300000 f4")  # mov eax, [0x3018]; hlt
    w.storage.write(CODE, real)
    w.change(cr0=0x30, efer=Efer.SVME, cr4=0, rip=0)
    w.block.save.cs.base, w.block.save.cs.attrib, w.block.save.cs.limit = CODE, 0x9B, 0xFFFF
    w.block.save.ds.base, w.block.save.ds.attrib, w.block.save.ds.limit = DATA, 0x93, 0xFFFF
    w.storage.write(CODE, bytes.fromhex("66a11830 f4"))
    w.put(LEAF, 0x60_0007)
    w.put(0x60_0018, 0xABCD)
    assert w.run() == SvmExit.HLT
    assert w.block.save.rax == 0xABCD


def test_pae_guest_reads_its_pointers_when_it_needs_them() -> None:
    w = small(f"mov {ADDRESS:#x}, %eax; hlt", efer=Efer.SVME, cr3=0x5000)
    w.block.save.cs.attrib = 0xC9B
    w.storage.write(CODE, bytes.fromhex("a118302000 f4"))
    w.put(0x5000, (PAGES + 0x2000) | 1)
    w.put(ADDRESS, 0x42)
    assert w.run() == SvmExit.HLT
    assert w.block.save.rax == 0x42
    w.change(rip=CODE, tlb_control=1, intercept_exceptions=1 << 14)
    w.put(0x5000, (PAGES + 0x2000) | 3)
    assert w.run() == SvmExit.EXCP_PF
    assert w.info[0] & 9 == 9


def test_guest_pat_is_switched_and_the_hosts_comes_back() -> None:
    w = world()
    w.guest("mov $0x277, %ecx; rdmsr; mov $0x01010101, %edx; wrmsr; hlt", nested=True,
            g_pat=0x0006_0606_0606_0606)  # fmt: skip
    before = w.host.rdmsr(0x277)
    assert w.run() == SvmExit.HLT
    assert w.block.save.rax == 0x0606_0606
    assert w.block.save.g_pat == 0x0101_0101_0606_0606
    assert w.host.rdmsr(0x277) == before


def test_address_beyond_the_tables_is_not_present() -> None:
    w = world()
    w.guest("mov 0x40000000, %eax; hlt", nested=True)
    w.put(PAGES + 0x1008, (1 << 50) | 0x87)
    assert w.run() == SvmExit.NPF
    assert w.info == (US | FINAL, 1 << 50)
