"""ASIDs, TLB control and INVLPGA: stale translations stay until they are flushed.

ref: APM2 15.16 TLB Control
"""

import pytest

from tests.semantics.x86.svm.world import DATA, PAGES, World, world
from worldswitch.arch.x86.svm_controls import Intercept1, TlbControl
from worldswitch.arch.x86.svm_exits import SvmExit

LOOP = f"again: mov {DATA:#x}, %eax; cpuid; jmp again"
OTHER = 0x40_0000


def remapped(nested: bool, attributes: int = 0x87) -> World:
    """A guest that has read DATA once; then its page became another one."""
    w = world()
    w.guest(LOOP, nested=nested, intercept_1=Intercept1.CPUID)
    root = 0x20000 if nested else PAGES
    w.put(root + 0x2008, DATA | attributes)
    w.put(DATA, 0x11)
    w.put(OTHER, 0x22)
    assert w.run() == SvmExit.CPUID
    assert w.block.save.rax == 0x11
    w.put(root + 0x2008, OTHER | attributes)
    return w


def again(w: World, **changes: int) -> int:
    """What the guest reads next time."""
    w.skip()
    w.change(**changes)
    assert w.run() == SvmExit.CPUID
    w.block.control.tlb_control = 0
    return w.block.save.rax


@pytest.mark.parametrize("nested", (False, True))
def test_translation_stays_without_a_flush(nested: bool) -> None:
    w = remapped(nested)
    assert again(w) == 0x11
    assert again(w) == 0x11


@pytest.mark.parametrize("nested", (False, True))
@pytest.mark.parametrize("what", (TlbControl.FLUSH_ALL, TlbControl.FLUSH_GUEST,
                                  TlbControl.FLUSH_GUEST_NON_GLOBAL))  # fmt: skip
def test_tlb_control_flushes(nested: bool, what: TlbControl) -> None:
    w = remapped(nested)
    assert again(w, tlb_control=what) == 0x22


def test_non_global_flush_keeps_global_translations() -> None:
    w = remapped(False, 0x187)
    assert again(w, tlb_control=TlbControl.FLUSH_GUEST_NON_GLOBAL) == 0x11
    assert again(w, tlb_control=TlbControl.FLUSH_GUEST) == 0x22


def test_reserved_tlb_control_does_nothing() -> None:
    assert again(remapped(True), tlb_control=2) == 0x11


@pytest.mark.parametrize("nested", (False, True))
def test_other_asid_has_translations_of_its_own(nested: bool) -> None:
    assert again(remapped(nested), asid=2) == 0x22


def test_flush_of_another_guest_keeps_this_ones() -> None:
    w = remapped(True)
    cpuid = w.block.save.rip
    w.change(asid=2, tlb_control=TlbControl.FLUSH_GUEST)
    assert w.run() == SvmExit.CPUID
    assert w.block.save.rip == cpuid
    assert again(w, asid=1, tlb_control=0) == 0x11


def test_invlpga_drops_one_page_of_one_address_space() -> None:
    w = remapped(True)
    w.host.invlpga(DATA, 2)
    assert again(w) == 0x11
    w.host.invlpga(DATA + 0x40_0000, 1)
    assert again(w) == 0x11
    w.host.invlpga(DATA, 1)
    assert again(w) == 0x22


def test_host_flush_keeps_guests() -> None:
    w = remapped(True)
    w.host.flush_tlb()
    assert again(w) == 0x11


def test_guest_cr3_write_flushes_its_own() -> None:
    w = world()
    w.guest(f"again: mov {DATA:#x}, %eax; mov %cr3, %rbx; mov %rbx, %cr3; cpuid; jmp again",
            intercept_1=Intercept1.CPUID)  # fmt: skip
    w.put(DATA, 0x11)
    w.put(OTHER, 0x22)
    w.run()
    w.put(PAGES + 0x2008, OTHER | 0x87)
    assert again(w) == 0x22


def test_code_translation_stays_without_a_flush() -> None:
    w = world()
    w.guest("again: cpuid; jmp again", nested=True, intercept_1=Intercept1.CPUID)
    assert w.run() == SvmExit.CPUID
    w.put(0x20000 + 0x2000, 0x60_0087)
    w.storage.write(0x70_0000, bytes.fromhex("90f4f4f4"))
    w.skip()
    assert w.run() == SvmExit.CPUID
    w.skip()
    w.change(tlb_control=TlbControl.FLUSH_ALL, rip=0x10_0000)
    assert w.run() != SvmExit.CPUID
