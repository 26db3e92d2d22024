"""Offsets and bits of the VMCB, and that the lists about it name fields that exist."""

import pytest

from worldswitch.arch.x86.svm_controls import (
    CLEAN_CONTROL,
    CLEAN_SAVE,
    INTERCEPT_VECTORS,
    Clean,
    EventType,
    Intercept1,
    event,
    intercept_of,
)
from worldswitch.arch.x86.svm_exits import EXIT_INFO, SvmExit
from worldswitch.arch.x86.vmcb import (
    CANONICALIZED_BASES,
    LBR_FIELDS,
    NESTED_FIELDS,
    SAVE_OFFSET,
    SHADOW_STACK_FIELDS,
    VMLOAD_FIELDS,
    VMRUN_FIELDS,
    Segment,
    Vmcb,
    VmcbControl,
    VmcbSave,
)

# fmt: off
CONTROL = {
    "intercept_cr": 0x000, "intercept_dr": 0x004, "intercept_exceptions": 0x008,
    "intercept_1": 0x00C, "intercept_2": 0x010, "intercept_3": 0x014,
    "pause_filter_threshold": 0x03C, "pause_filter_count": 0x03E, "iopm_base_pa": 0x040,
    "msrpm_base_pa": 0x048, "tsc_offset": 0x050, "asid": 0x058, "tlb_control": 0x05C,
    "v_intr": 0x060, "int_state": 0x068, "exit_code": 0x070, "exit_info_1": 0x078,
    "exit_info_2": 0x080, "exit_int_info": 0x088, "nested_control": 0x090, "avic_apic_bar": 0x098,
    "ghcb_pa": 0x0A0, "event_inj": 0x0A8, "nested_cr3": 0x0B0, "virt_ext": 0x0B8, "clean": 0x0C0,
    "next_rip": 0x0C8, "insn_len": 0x0D0, "insn_bytes": 0x0D1, "avic_backing_page": 0x0E0,
    "avic_logical_table": 0x0F0, "avic_physical_table": 0x0F8, "vmsa_pa": 0x108,
    "bus_lock_counter": 0x120, "allowed_sev_features": 0x138, "guest_sev_features": 0x140,
    "host_use": 0x3E0,
}
SAVE = {
    "es": 0x000, "cs": 0x010, "ss": 0x020, "ds": 0x030, "fs": 0x040, "gs": 0x050, "gdtr": 0x060,
    "ldtr": 0x070, "idtr": 0x080, "tr": 0x090, "vmpl": 0x0CA, "cpl": 0x0CB, "efer": 0x0D0,
    "cr4": 0x148, "cr3": 0x150, "cr0": 0x158, "dr7": 0x160, "dr6": 0x168, "rflags": 0x170,
    "rip": 0x178, "rsp": 0x1D8, "s_cet": 0x1E0, "ssp": 0x1E8, "isst_addr": 0x1F0, "rax": 0x1F8,
    "star": 0x200, "lstar": 0x208, "cstar": 0x210, "sfmask": 0x218, "kernel_gs_base": 0x220,
    "sysenter_cs": 0x228, "sysenter_esp": 0x230, "sysenter_eip": 0x238, "cr2": 0x240,
    "g_pat": 0x268, "dbgctl": 0x270, "br_from": 0x278, "br_to": 0x280, "last_excp_from": 0x288,
    "last_excp_to": 0x290, "spec_ctrl": 0x2E0,
}
V_INTR = {
    "v_tpr": 0xFF, "v_irq": 1 << 8, "v_gif": 1 << 9, "v_nmi": 1 << 11, "v_nmi_mask": 1 << 12,
    "v_intr_prio": 0xF << 16, "v_ign_tpr": 1 << 20, "v_intr_masking": 1 << 24,
    "v_gif_enable": 1 << 25, "v_nmi_enable": 1 << 26, "x2avic_enable": 1 << 30,
    "avic_enable": 1 << 31, "v_intr_vector": 0xFF << 32,
}
# fmt: on


@pytest.mark.parametrize(("name", "offset"), CONTROL.items())
def test_control_field_is_at_its_offset(name: str, offset: int) -> None:
    assert VmcbControl.offset_of(name) == offset


@pytest.mark.parametrize(("name", "offset"), SAVE.items())
def test_save_field_is_at_its_offset(name: str, offset: int) -> None:
    assert VmcbSave.offset_of(name) == offset


@pytest.mark.parametrize(("name", "mask"), V_INTR.items())
def test_virtual_interrupt_bits_have_their_masks(name: str, mask: int) -> None:
    assert VmcbControl.mask_of(name) == mask


def test_areas_are_halves_of_the_block() -> None:
    block = Vmcb.new()
    block.save.rip = 0x1122334455667788
    block.save.cs.selector = 0xF000
    assert bytes(block)[SAVE_OFFSET + 0x178 :][:8] == bytes.fromhex("8877665544332211")
    assert bytes(block)[SAVE_OFFSET + 0x010 :][:2] == bytes.fromhex("00f0")
    assert (VmcbControl.block_size, VmcbSave.block_size, Segment.block_size) == (0x400, 0xC00, 16)


def test_lists_of_fields_name_fields_once() -> None:
    lists = (VMLOAD_FIELDS, VMRUN_FIELDS, NESTED_FIELDS, LBR_FIELDS, SHADOW_STACK_FIELDS)
    names = [name for names in lists for name in names]
    assert len(names) == len(set(names))
    assert VmcbSave.fields.keys() >= set(names)
    assert set(VMRUN_FIELDS) >= set(CANONICALIZED_BASES)


def test_clean_groups_name_fields_once() -> None:
    control = [name for names in CLEAN_CONTROL.values() for name in names]
    save = [name for names in CLEAN_SAVE.values() for name in names]
    assert len(control) == len(set(control)) and VmcbControl.fields.keys() >= set(control)
    assert len(save) == len(set(save)) and VmcbSave.fields.keys() >= set(save)
    assert CLEAN_CONTROL.keys() | CLEAN_SAVE.keys() == set(Clean)


@pytest.mark.parametrize(
    ("exit_code", "field", "name"),
    [
        (SvmExit.CR0_READ, "intercept_cr", "CR0_READ"),
        (SvmExit.CR8_WRITE, "intercept_cr", "CR8_WRITE"),
        (SvmExit.DR7_WRITE, "intercept_dr", "DR7_WRITE"),
        (SvmExit.EXCP_PF, "intercept_exceptions", "PF"),
        (SvmExit.INTR, "intercept_1", "INTR"),
        (SvmExit.HLT, "intercept_1", "HLT"),
        (SvmExit.IOIO, "intercept_1", "IOIO_PROT"),
        (SvmExit.SHUTDOWN, "intercept_1", "SHUTDOWN"),
        (SvmExit.VMRUN, "intercept_2", "VMRUN"),
        (SvmExit.XSETBV, "intercept_2", "XSETBV"),
        (SvmExit.CR15_WRITE_TRAP, "intercept_2", "CR15_WRITE_TRAP"),
        (SvmExit.INVPCID, "intercept_3", "INVPCID"),
    ],
)
def test_exit_code_numbers_its_intercept(exit_code: SvmExit, field: str, name: str) -> None:
    names = VmcbControl.fields[field].names
    assert names is not None
    assert intercept_of(exit_code) == (field, int(names[name]))


def test_every_intercept_has_an_exit_code() -> None:
    for index, field in enumerate(INTERCEPT_VECTORS):
        names = VmcbControl.fields[field].names
        assert names is not None
        for member in names:
            code = SvmExit(32 * index + int(member).bit_length() - 1)
            assert intercept_of(code) == (field, int(member))


@pytest.mark.parametrize("code", [SvmExit.NPF, SvmExit.VMGEXIT, SvmExit.INVALID, SvmExit.BUSY])
def test_exit_without_intercept_has_none(code: SvmExit) -> None:
    assert intercept_of(code) is None


def test_exit_codes_are_those_of_other_systems() -> None:
    expected = {
        "VINTR": 0x64, "CR0_SEL_WRITE": 0x65, "CPUID": 0x72, "IRET": 0x74, "SWINT": 0x75,
        "PAUSE": 0x77, "HLT": 0x78, "INVLPGA": 0x7A, "IOIO": 0x7B, "MSR": 0x7C, "SHUTDOWN": 0x7F,
        "VMMCALL": 0x81, "STGI": 0x84, "RDTSCP": 0x87, "MONITOR": 0x8A, "MWAIT": 0x8B,
        "MWAIT_CONDITIONAL": 0x8C, "XSETBV": 0x8D, "RDPRU": 0x8E, "EFER_WRITE_TRAP": 0x8F,
        "CR0_WRITE_TRAP": 0x90, "INVPCID": 0xA2, "IDLE_HLT": 0xA6, "NPF": 0x400,
        "AVIC_INCOMPLETE_IPI": 0x401, "AVIC_NOACCEL": 0x402, "VMGEXIT": 0x403,
    }  # fmt: skip
    assert {name: SvmExit[name].value for name in expected} == expected
    assert SvmExit.INVALID == (-1) % 2**64


def test_next_rip_is_saved_for_instructions_alone() -> None:
    saved = {int(code) for code, info in EXIT_INFO.items() if info.nrip}
    assert EXIT_INFO.keys() == set(SvmExit)
    assert saved >= {*range(0x40), 0x43, 0x44, 0x45, *range(0x65, 0x7D), *range(0x80, 0x8F)}
    assert not saved & {0x40, 0x4E, 0x60, 0x61, 0x64, 0x7D, 0x7F, 0x8F, 0x90, 0x400}


def test_event_made_has_vector_type_and_error_code() -> None:
    block = VmcbControl.new(event_inj=event(EventType.EXCEPTION, 14, 0xDEAD))
    assert (block.event_inj_vector, block.event_inj_type) == (14, EventType.EXCEPTION)
    assert (block.event_inj_valid, block.event_inj_ev, block.event_inj_error) == (1, 1, 0xDEAD)
    assert event(EventType.INTR, 0x30) == 0x8000_0030


def test_printed_block_has_names() -> None:
    block = Vmcb.new()
    block.control.intercept_1 = Intercept1.HLT | Intercept1.INTR
    block.control.exit_code = SvmExit.INVALID
    rows = {row.name: row for row in Vmcb.describe(block)}
    assert rows["control.intercept_1"].meaning == "INTR|HLT"
    assert rows["control.exit_code"].meaning == "INVALID"
    assert rows["save.cs.selector"].offset == 0x410
