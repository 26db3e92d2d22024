"""What VMRUN loads and #VMEXIT saves, and what neither touches. ref: APM2 15.5, 15.6"""

import pytest

from tests.semantics.x86.svm.world import CODE, HSAVE, RAX, RBX, RSP, VMCB, world
from worldswitch.arch.x86.registers import DR6_RESET, DR7_RESET, Efer
from worldswitch.arch.x86.svm_controls import Intercept1, VirtExt
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import SAVE_OFFSET, Vmcb
from worldswitch.metal.x86.svm.features import SVM_SHADOW_STACKS


def test_state_goes_in_and_comes_back_as_it_was() -> None:
    w = world()
    w.guest("cpuid; hlt", intercept_1=Intercept1.CPUID, cr2=0x1234, rsp=0x7FF0, rax=0xAAAA,
            dr6=DR6_RESET | 3, dr7=DR7_RESET | 0x2_0000, rflags=0x246 | 0x8D5)  # fmt: skip
    for n, name in enumerate(("es", "ds", "ss")):
        segment = getattr(w.block.save, name)
        segment.selector, segment.base, segment.limit = 0x10 + n, 0x1000 * n, 0x1FFFF + n
    before = bytes(w.block.save)
    assert w.run() == SvmExit.CPUID
    assert bytes(w.block.save) == before


def test_host_state_comes_back() -> None:
    w = world()
    w.guest("mov $5, %rsp; mov $7, %eax; mov $9, %ebx; std; cpuid; hlt",
            intercept_1=Intercept1.CPUID)  # fmt: skip
    raw = w.raw
    w.gr[RAX], w.gr[RSP], w.gr[RBX] = 0x111, 0x222, 0x333
    names = ("cr0", "cr3", "cr4", "efer", "gdtr_base", "idtr_base", "idtr_limit", "cpl", "flags",
             "rip", "pat")  # fmt: skip
    raw.rip = 0xFFFF_8000_0000_1234
    before = {name: getattr(raw, name) for name in names}
    segments = [(raw.seg_selector[n], raw.seg_base[n], raw.seg_limit[n], raw.seg_attr[n])
                for n in range(4)]  # fmt: skip
    assert w.run() == SvmExit.CPUID
    assert {name: getattr(raw, name) for name in names} == before
    assert segments == [(raw.seg_selector[n], raw.seg_base[n], raw.seg_limit[n], raw.seg_attr[n])
                        for n in range(4)]  # fmt: skip
    assert (w.gr[RAX], w.gr[RSP]) == (0x111, 0x222)
    assert w.gr[RBX] == 9
    assert (w.block.save.rax, w.block.save.rsp) == (7, 5)
    assert raw.gif == 0
    assert raw.asid == 0


def test_debug_registers_and_cr2_of_the_guest_stay() -> None:
    w = world()
    w.guest("mov $0x42, %eax; mov %rax, %cr2; mov %rax, %dr0; hlt", dr6=DR6_RESET | 5,
            dr7=DR7_RESET | 0x100)  # fmt: skip
    assert w.run() == SvmExit.HLT
    assert w.host.cr2 == 0x42
    assert w.host.dr[6] == DR6_RESET | 5
    assert w.host.dr[7] == DR7_RESET
    assert w.host.dr[0] == 0x42


def test_host_save_area_holds_the_host() -> None:
    w = world()
    w.guest("hlt")
    w.raw.rip, w.gr[RSP] = 0x7777, 0x8888
    w.run()
    saved = Vmcb(w.storage.view, HSAVE).save
    assert (saved.rip, saved.rsp, saved.cr3) == (0x7777, 0x8888, w.raw.cr3)


def test_host_save_area_that_was_changed_is_believed() -> None:
    w = world()
    w.guest(f"movl $0x55, {HSAVE + SAVE_OFFSET + 0x1D8:#x}; hlt")
    w.run()
    assert w.gr[RSP] == 0x55


def test_vmrun_leaves_fs_gs_and_system_call_registers_alone() -> None:
    w = world()
    w.guest("hlt")
    w.block.save.fs.base, w.block.save.kernel_gs_base, w.block.save.star = 1, 2, 3
    w.run()
    assert (w.raw.seg_base[4], w.raw.kernel_gs_base, w.raw.star) == (0, 0, 0)
    w.raw.seg_base[4] = 9
    w.run()
    assert w.block.save.fs.base == 1


def test_vmload_and_vmsave_move_them() -> None:
    w = world()
    w.guest("hlt")
    save = w.block.save
    values = {"kernel_gs_base": 1, "star": 2, "lstar": 3, "cstar": 4, "sfmask": 5,
              "sysenter_cs": 6, "sysenter_esp": 7, "sysenter_eip": 8}  # fmt: skip
    w.change(**values)
    save.fs.base, save.gs.base, save.tr.base, save.ldtr.base = 0x10, 0x20, 0x30, 0x40
    save.gs.base = 1 << 47
    w.host.vmload(VMCB)
    assert w.raw.seg_base[5] == 0xFFFF_8000_0000_0000
    w.storage.write(0x39000, bytes(4096))
    w.host.vmsave(0x39000)
    other = Vmcb(w.storage.view, 0x39000).save
    assert {name: getattr(other, name) for name in values} == values
    assert (other.fs.base, other.tr.base, other.ldtr.base) == (0x10, 0x30, 0x40)
    assert other.rip == 0


def test_bases_become_canonical() -> None:
    w = world()
    w.guest("cpuid; hlt", intercept_1=Intercept1.CPUID)
    w.block.save.ds.base = 0x1234_8000_0000_0000
    w.block.save.gdtr.base = 0x1234_7000_0000_0000
    w.run()
    assert w.raw.linear_bits == 48
    assert w.block.save.ds.base == 0xFFFF_8000_0000_0000
    assert w.block.save.gdtr.base == 0x7000_0000_0000


def test_privilege_level_comes_from_its_field() -> None:
    w = world()
    w.guest("cpuid; hlt", cpl=3, intercept_1=Intercept1.CPUID)
    assert w.run() == SvmExit.CPUID
    assert w.block.save.cpl == 3
    w.change(cr0=0x10, efer=Efer.SVME)
    w.block.save.cs.attrib, w.block.save.cs.base = 0x9B, CODE
    w.block.save.rip = 0
    assert w.run() == SvmExit.CPUID
    assert w.block.save.cpl == 0


def test_real_mode_guest_runs() -> None:
    w = world()
    w.guest("hlt", cr0=0x10, efer=Efer.SVME, cr4=0, rip=0)
    w.storage.write(CODE, bytes.fromhex("8cc8 050100 f4"))  # mov ax, cs; add ax, 1; hlt
    w.block.save.cs.attrib, w.block.save.cs.base, w.block.save.cs.selector = 0x9B, CODE, 0xF000
    w.block.save.cs.limit = 0xFFFF
    assert w.run() == SvmExit.HLT
    assert w.block.save.rax == 0xF001
    assert w.block.save.rip == 5


def test_branch_records_are_switched_with_their_virtualization_alone() -> None:
    w = world()
    w.guest("hlt", dbgctl=1, br_from=0x1111)
    w.run()
    assert w.raw.debugctl == 0
    w.change(virt_ext=VirtExt.LBR, rip=CODE)
    w.storage.write(CODE, bytes.fromhex("b9d9010000 0f32 f4"))  # rdmsr DEBUGCTL; hlt
    w.run()
    assert w.block.save.rax == 1
    assert w.block.save.br_from == 0x1111
    assert w.raw.debugctl == 0
    assert w.raw.last_branch_from == 0


def test_shadow_stack_fields_are_switched_where_there_are_shadow_stacks() -> None:
    w = world()
    w.guest("hlt", s_cet=1, ssp=0x5000, isst_addr=0x6000)
    w.raw.svm_features |= SVM_SHADOW_STACKS
    w.raw.s_cet, w.raw.ssp = 2, 0x7000
    try:
        w.run()
        save = w.block.save
        assert (save.s_cet, save.ssp, save.isst_addr) == (1, 0x5000, 0x6000)
        assert (w.raw.s_cet, w.raw.ssp) == (2, 0x7000)
        host = Vmcb(w.storage.view, HSAVE).save
        assert (host.s_cet, host.ssp) == (2, 0x7000)
    finally:
        w.raw.svm_features &= ~SVM_SHADOW_STACKS


def test_time_stamps_are_offset() -> None:
    w = world()
    w.guest("rdtsc; mov %edx, %ebx; mov $0x10, %ecx; rdmsr; hlt", tsc_offset=0x55 << 40)
    w.run()
    assert w.gr[RBX] >> 8 == 0x55
    assert w.gr[2] >> 8 == 0x55
    assert w.host.rdtsc() >> 40 == 0


def test_time_stamps_are_scaled() -> None:
    w = world()
    w.guest("rdtsc; hlt")
    w.host.wrmsr(0x10, 1 << 20)
    w.host.wrmsr(0xC000_0104, 3 << 31)
    try:
        w.run()
        assert 0x18_0000 <= w.block.save.rax < 0x18_1000
    finally:
        w.host.wrmsr(0xC000_0104, 1 << 32)


@pytest.mark.parametrize("nested", (False, True))
def test_guest_changes_are_saved(nested: bool) -> None:
    w = world()
    w.guest("mov %cr4, %rax; or $4, %rax; mov %rax, %cr4; push $0x202; popfq; mov $0x77, %rax; hlt",
            nested=nested)  # fmt: skip
    assert w.run() == SvmExit.HLT
    assert w.block.save.cr4 & 4
    assert w.block.save.rflags & 0x200
    assert w.block.save.rax == 0x77
