"""Registers, descriptors and capabilities by name."""

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.unit.hypervisor.svm.fake_host import Guest
from worldswitch.arch.x86.svm_controls import Clean, Intercept1
from worldswitch.hypervisor.svm import controls
from worldswitch.hypervisor.svm.controls import FIRST, set_intercept
from worldswitch.hypervisor.x86.state import DESCRIPTOR_NAMES, CpuMode, SegmentState

NAMES = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
    "r13", "r14", "r15", "rip", "rflags", "cr0", "cr2", "cr3", "cr4", "dr0", "dr1", "dr2", "dr3",
    "dr6", "dr7", "star", "lstar", "cstar", "sfmask", "kernel_gs_base", "fs_base", "gs_base",
    "sysenter_cs", "sysenter_esp", "sysenter_eip", "g_pat", "dbgctl", "xcr0",
)  # fmt: skip


@covers("register/general", "register/control")
@pytest.mark.parametrize("loaded", [False, True])
def test_register_holds_what_was_set(loaded: bool) -> None:
    guest = Guest()
    if loaded:
        guest.run()
    for number, name in enumerate(NAMES):
        guest.backend.setreg(guest.cpu, name, 0x100 + number)
    for number, name in enumerate(NAMES):
        assert guest.backend.getreg(guest.cpu, name) == 0x100 + number, name
    assert guest.cpu.gr[0] == guest.cpu.save.rax == 0x100
    assert len(guest.cpu.gr) == 16


@covers("register/control")
@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("cr0", Clean.CRX),
        ("cr2", Clean.CR2),
        ("cr3", Clean.CRX),
        ("cr4", Clean.CRX),
        ("efer", Clean.CRX),
        ("dr6", Clean.DRX),
        ("dr7", Clean.DRX),
        ("ss", Clean.SEG),
        ("dbgctl", Clean.LBR),
        ("rip", 0),
        ("fs", 0),
    ],
)
def test_setting_a_register_makes_its_group_dirty(name: str, group: int) -> None:
    guest = Guest()
    guest.cpu.dirty = 0
    guest.backend.setreg(guest.cpu, name, 8)
    assert guest.cpu.dirty == group


def test_efer_always_has_svme() -> None:
    guest = Guest()
    guest.backend.setreg(guest.cpu, "efer", 0x500)
    assert guest.backend.getreg(guest.cpu, "efer") == 0x1500


def test_cr8_is_the_local_apics() -> None:
    guest = Guest()
    guest.backend.setreg(guest.cpu, "cr8", 0x1B)
    assert guest.cpu.lapic.tpr == 0xB0
    assert guest.backend.getreg(guest.cpu, "cr8") == 0xB


@covers("register/shadow")
def test_interrupt_shadow_is_a_register() -> None:
    guest = Guest()
    guest.backend.setreg(guest.cpu, "intr_shadow", 7)
    assert guest.cpu.vmcb.control.int_state == 1
    assert guest.backend.getreg(guest.cpu, "intr_shadow") == 1
    guest.backend.setreg(guest.cpu, "intr_shadow", 0)
    assert guest.backend.getreg(guest.cpu, "intr_shadow") == 0


@covers("register/unknown")
def test_unknown_register_is_refused() -> None:
    guest = Guest()
    for name in ("r16", "idtr", ""):
        with pytest.raises(KeyError, match="no register"):
            guest.backend.getreg(guest.cpu, name)
        with pytest.raises(KeyError, match="no register"):
            guest.backend.setreg(guest.cpu, name, 0)


@covers("descriptor/segment", "descriptor/loaded", "descriptor/table")
@pytest.mark.parametrize("name", DESCRIPTOR_NAMES)
@pytest.mark.parametrize("loaded", [False, True])
def test_descriptor_holds_what_was_set(name: str, loaded: bool) -> None:
    guest = Guest()
    if loaded:
        guest.run()
    value = SegmentState(0x18, 0xFFFF_8000_0000_1000, 0xFFFF_FFFF, 0xC93)
    guest.backend.setdesc(guest.cpu, name, value)
    assert guest.backend.getdesc(guest.cpu, name) == value
    guest.cpu.put()
    assert guest.backend.getdesc(guest.cpu, name) == value


def test_selector_is_set_without_the_hidden_part() -> None:
    guest = Guest()
    guest.backend.setreg(guest.cpu, "cs", 0x10)
    cs = guest.backend.getdesc(guest.cpu, "cs")
    assert (cs.selector, cs.base) == (0x10, 0xFFFF_0000)
    assert guest.backend.getreg(guest.cpu, "cs") == 0x10


def test_descriptor_of_ss_sets_the_privilege_level() -> None:
    guest = Guest()
    guest.backend.setdesc(guest.cpu, "ss", SegmentState(0x1B, 0, 0xFFFF_FFFF, 0xCF3))
    assert guest.cpu.cpl == guest.cpu.save.cpl == 3
    assert guest.backend.getdesc(guest.cpu, "ss").present


def test_unknown_descriptor_is_refused() -> None:
    guest = Guest()
    with pytest.raises(KeyError, match="no descriptor"):
        guest.backend.getdesc(guest.cpu, "hs")
    with pytest.raises(KeyError, match="no descriptor"):
        guest.backend.setdesc(guest.cpu, "hs", SegmentState())


@pytest.mark.parametrize(
    ("cr0", "efer", "attributes", "mode"),
    [
        (0x10, 0, 0x9B, CpuMode.REAL),
        (0x11, 0, 0x49B, CpuMode.PROTECTED),
        (0x8000_0011, 0x500, 0x49B, CpuMode.COMPATIBILITY),
        (0x8000_0011, 0x500, 0x29B, CpuMode.LONG),
    ],
)
def test_mode_follows_cr0_efer_and_cs(cr0: int, efer: int, attributes: int, mode: CpuMode) -> None:
    cpu = Guest().cpu
    cpu.cr0, cpu.efer = cr0, efer
    cpu.set_descriptor("cs", SegmentState(8, 0, 0xFFFF_FFFF, attributes))
    assert cpu.mode() is mode
    assert cpu.code_size() == super(type(cpu), cpu).code_size()


# Capabilities and intercepts.


@covers("capability/halt-exit", "capability/pause-exit")
@pytest.mark.parametrize(
    ("name", "bit", "initially"),
    [("halt_exit", Intercept1.HLT, 1), ("pause_exit", Intercept1.PAUSE, 0)],
)
def test_capability_is_an_intercept(name: str, bit: Intercept1, initially: int) -> None:
    guest = Guest()
    assert guest.backend.getcap(guest.cpu, name) == initially
    for value in (0, 1):
        guest.backend.setcap(guest.cpu, name, value)
        assert guest.backend.getcap(guest.cpu, name) == value
        assert bool(guest.cpu.vmcb.control.intercept_1 & bit) == bool(value)


@covers("capability/unrestricted")
def test_guests_of_every_mode_cannot_be_forbidden() -> None:
    guest = Guest()
    assert guest.backend.getcap(guest.cpu, "unrestricted_guest") == 1
    guest.backend.setcap(guest.cpu, "unrestricted_guest", 1)
    with pytest.raises(ValueError, match="every mode"):
        guest.backend.setcap(guest.cpu, "unrestricted_guest", 0)


@covers("capability/unknown")
def test_unknown_capability_is_refused() -> None:
    guest = Guest()
    with pytest.raises(KeyError, match="no capability"):
        guest.backend.getcap(guest.cpu, "magic")
    with pytest.raises(KeyError, match="no capability"):
        guest.backend.setcap(guest.cpu, "magic", 1)


@covers("intercept/changed", "intercept/unchanged")
def test_intercept_that_changes_makes_the_group_dirty() -> None:
    guest = Guest()
    cpu = guest.cpu
    for on, dirty in ((True, Clean.INTERCEPTS), (True, 0), (False, Clean.INTERCEPTS), (False, 0)):
        cpu.dirty = 0
        set_intercept(cpu, FIRST, Intercept1.RDTSC, on)
        assert cpu.dirty == dirty
        assert controls.intercepted(cpu, FIRST, Intercept1.RDTSC) == on
