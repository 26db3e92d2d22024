"""Offsets and numbers of the s390x definitions, against their published values."""

import pytest

from worldswitch.arch.control_block import ControlBlock
from worldswitch.arch.s390x import sthyi, stsi, uv
from worldswitch.arch.s390x.control_registers import RESET_VALUE, Cr0, Cr9, Cr14
from worldswitch.arch.s390x.diag import Diag308Subcode, DiagCode
from worldswitch.arch.s390x.external import PRIORITY, SUBCLASS_MASK, ExternalCode
from worldswitch.arch.s390x.io import Irb, Orb, Pmcw, Schib
from worldswitch.arch.s390x.lowcore import Lowcore
from worldswitch.arch.s390x.machine_check import MachineCheckCode
from worldswitch.arch.s390x.program import ENDINGS, Ending, ProgramCode, ending
from worldswitch.arch.s390x.sclp import EventType, ReadScpInfo, SccbHeader, event_mask
from worldswitch.arch.s390x.sie_satellites import (
    BasicSca,
    CryptoControlBlock,
    ExtendedSca,
    Gisa1,
    TransactionDiagnosticBlock,
)
from worldswitch.arch.s390x.sigp import SigpOrder, SigpStatus
from worldswitch.arch.s390x.state_description import StateDescription, sca_origin, sida_size
from worldswitch.arch.s390x.translation import Alet, AsnSecondTableEntry

OFFSETS: list[tuple[type[ControlBlock], int, dict[str, int]]] = [
    (
        StateDescription,
        0x200,
        {
            "cpuflags": 0, "prefix": 4, "prog0c": 0xC, "pv_handle_cpu": 0x10, "prog20": 0x20,
            "cputm": 0x28, "ckc": 0x30, "epoch": 0x38, "svcc": 0x40, "lctl": 0x44, "icpua": 0x46,
            "ictl": 0x48, "eca": 0x4C, "icptcode": 0x50, "icptstatus": 0x51, "ihcpu": 0x52,
            "iictl": 0x55, "ipa": 0x56, "ipb": 0x58, "scaoh": 0x5C, "fpf": 0x60, "ecb": 0x61,
            "ecb2": 0x62, "ecb3": 0x63, "scaol": 0x64, "sdf": 0x68, "epdx": 0x69, "cpnc": 0x6A,
            "todpr": 0x6C, "gd": 0x70, "mso": 0x80, "msl": 0x88, "gpsw": 0x90, "gg14": 0xA0,
            "gg15": 0xA8, "hpid": 0xB8, "mcic": 0xC0, "extcpuaddr": 0xC4, "eic": 0xC6,
            "pgmilc": 0xCC, "iprcc": 0xCE, "dxc": 0xD0, "mcn": 0xD4, "perc": 0xD6,
            "peratmid": 0xD7, "peraddr": 0xD8, "eai": 0xE0, "peraid": 0xE1, "oai": 0xE2,
            "armid": 0xE3, "tecmc": 0xE8, "io_int_word": 0xF0, "crycbd": 0xFC, "gcr": 0x100,
            "gbea": 0x180, "sidad": 0x180, "sdnxo": 0x190, "fac": 0x1A0, "cbrlo": 0x1B8,
            "ecd": 0x1C8, "pp": 0x1DE, "itdba": 0x1E8, "riccbd": 0x1F0, "gvrd": 0x1F8,
        },
    ),
    (
        Lowcore,
        0x2000,
        {
            "ext_params": 0x80, "ext_int_code": 0x86, "svc_ilc": 0x88, "pgm_ilc": 0x8C,
            "pgm_code": 0x8E, "data_exc_code": 0x90, "per_code": 0x96, "per_address": 0x98,
            "exc_access_id": 0xA0, "teid": 0xA8, "monitor_code": 0xB0, "subchannel_id": 0xB8,
            "io_int_word": 0xC0, "stfl_fac_list": 0xC8, "mcck_code": 0xE8,
            "failing_storage_address": 0xF8, "breaking_event_addr": 0x110,
            "restart_old_psw": 0x120, "ext_old_psw": 0x130, "svc_old_psw": 0x140,
            "pgm_old_psw": 0x150, "mcck_old_psw": 0x160, "io_old_psw": 0x170,
            "restart_new_psw": 0x1A0, "ext_new_psw": 0x1B0, "svc_new_psw": 0x1C0,
            "pgm_new_psw": 0x1D0, "mcck_new_psw": 0x1E0, "io_new_psw": 0x1F0, "mcesad": 0x11B0,
            "ext_params2": 0x11B8, "fpr_save": 0x1200, "gpr_save": 0x1280, "psw_save": 0x1300,
            "prefix_save": 0x1318, "fpc_save": 0x131C, "todpr_save": 0x1324,
            "cpu_timer_save": 0x1328, "clock_comp_save": 0x1330, "access_regs_save": 0x1340,
            "control_regs_save": 0x1380, "pgm_tdb": 0x1800,
        },
    ),
    (BasicSca, 0x840, {"mcn": 0x30, "utility": 0x38, "cpu": 0x40}),
    (ExtendedSca, 0x3F00, {"utility": 0x38, "mcn": 0x40, "cpu": 0x100}),
    (TransactionDiagnosticBlock, 0x100, {"abort_code": 8, "program_id": 0x24, "gpr": 0x80}),
    (CryptoControlBlock, 0x100, {"dea_mask": 0x48, "aes_mask": 0x60, "apm1": 0x80}),
    (Gisa1, 0x20, {"ipm": 4, "iam": 7, "state": 0x10, "count": 0x1C}),
    (SccbHeader, 8, {"function_code": 2, "response_code": 6}),
    (
        ReadScpInfo,
        128,
        {
            "rnmax": 8, "rnsize": 10, "cpu_count": 16, "cpu_offset": 18, "loadparm": 24,
            "facilities": 48, "ibc": 76, "rnsize2": 100, "rnmax2": 104, "hsa_size": 112,
            "highest_cpu": 120, "hmfai": 124,
        },
    ),
    (stsi.Sysib111, 4096, {"manufacturer": 0x20, "type": 0x30, "sequence": 0x50, "model": 0x64}),
    (stsi.Sysib121, 4096, {"sequence": 0x50, "plant": 0x60, "cpu_address": 0x66}),
    (stsi.Sysib122, 4096, {"capability": 0x20, "total_cpus": 0x24, "adjustment": 0x2C}),
    (stsi.Sysib221, 4096, {"sequence": 0x50, "cpu_id": 0x64, "cpu_address": 0x66}),
    (stsi.Sysib222, 4096, {"number": 0x20, "name": 0x2C, "dedicated_cpus": 0x48, "uuid": 0x50}),
    (stsi.Sysib322, 4096, {"count": 0x1F, "machines": 0x20, "extended_names": 0x800}),
    (stsi.VirtualMachine, 64, {"name": 0x0C, "control_program": 0x18, "uuid": 0x30}),
    (uv.QueryInformation, 0x100, {"max_configurations": 0x7C, "max_cpu_id": 0x9E}),
    (uv.CreateConfiguration, 0x80, {"handle": 0x18, "guest_sca": 0x48, "guest_asce": 0x50}),
    (uv.CreateCpu, 0x60, {"cpu_handle": 0x18, "number": 0x36, "state_origin": 0x38}),
    (uv.Share, 0x30, {"address": 0x20}),
    (sthyi.HeaderSection, 48, {"infhtotl": 8, "infmoff": 12, "infpoff": 16, "infglen3": 0x2A}),
    (sthyi.MachineSection, 64, {"infmname": 0x0C, "infmtype": 0x14, "infmpman": 0x38}),
    (sthyi.PartitionSection, 56, {"infppnam": 0x10, "infplgnm": 0x28, "infplgif": 0x34}),
    (sthyi.HypervisorSection, 32, {"infysyid": 8, "infydifl": 0x1E}),
    (sthyi.GuestSection, 56, {"infgusid": 4, "infgcpcc": 0x14, "infgpicc": 0x34}),
    (Schib, 52, {"scsw": 28, "measurement_block_address": 40}),
    (Pmcw, 28, {"device_number": 6, "path_available": 15, "chpids": 16}),
    (Orb, 32, {"program_address": 8}),
    (Irb, 96, {"extended_control": 32}),
    (AsnSecondTableEntry, 64, {"asce": 8, "access_list": 0x10, "sequence": 0x14}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("block", "size", "offsets"), OFFSETS, ids=[row[0].__name__ for row in OFFSETS]
)
def test_block_has_the_published_size_and_offsets(
    block: type[ControlBlock], size: int, offsets: dict[str, int]
) -> None:
    assert block.block_size == size
    assert {name: block.offset_of(name) for name in offsets} == offsets


def test_prefix_and_level_are_bits_of_one_word() -> None:
    block = StateDescription.new(prefix=0x3FFFF, ibc=0xABC)
    assert block.prefix_ibc == 0x7FFF_EABC


def test_interception_parameters_overlay_by_kind() -> None:
    block = StateDescription.new(eiparams=0x11223344, extcpuaddr=2, eic=0x1202)
    assert block.mcic == 0x1122_3344_0002_1202
    block = StateDescription.new(io_int_parm=0x55)
    assert block.tecmc == 0x55


def test_sca_origin_and_data_area_size_follow_their_fields() -> None:
    block = StateDescription.new(scaoh=1, scaol=0x30, sidad=0x3000 | 3)
    assert (sca_origin(block), sida_size(block)) == (0x1_0000_0030, 0x4000)
    block.ecb2 = 0x04
    assert sca_origin(block) == 0x1_0000_0000


def test_sca_entries_are_where_the_layout_has_them() -> None:
    basic, extended = BasicSca.new(), ExtendedSca.new()
    basic.cpu[1].sigp_control = 0x85
    assert bytes(basic)[0x61] == 0x85
    assert (basic.cpu[1].call_pending, basic.cpu[1].source_cpu) == (1, 5)
    extended.cpu[247].sda = 1
    assert bytes(extended)[0x3EC0 + 15] == 1
    basic.ipte_lock, basic.ipte_guests = 1, 2
    assert basic.ipte_control == 0x8000_0000_0000_0002


def test_every_program_code_has_an_ending() -> None:
    assert set(ENDINGS) == set(ProgramCode)
    assert ending(ProgramCode.PAGE_TRANSLATION) is Ending.NULLIFYING
    assert ending(ProgramCode.OPERATION) is Ending.SUPPRESSING
    assert ending(ProgramCode.MONITOR_EVENT) is Ending.COMPLETING


def test_every_external_code_has_a_mask_and_a_priority() -> None:
    assert set(SUBCLASS_MASK) == set(ExternalCode) == set(PRIORITY)
    assert len(PRIORITY) == len(set(PRIORITY))
    assert SUBCLASS_MASK[ExternalCode.SERVICE_SIGNAL] == 0x200
    assert SUBCLASS_MASK[ExternalCode.EMERGENCY_SIGNAL] == 0x4000
    assert SUBCLASS_MASK[ExternalCode.EXTERNAL_CALL] == 0x2000
    assert SUBCLASS_MASK[ExternalCode.CLOCK_COMPARATOR] == 0x800
    assert SUBCLASS_MASK[ExternalCode.CPU_TIMER] == 0x400


def test_control_register_bits_have_their_values() -> None:
    assert RESET_VALUE == {0: 0xE0, 14: 0xC200_0000}
    assert Cr0.LOW_ADDRESS_PROTECTION == 0x1000_0000
    assert (Cr0.EDAT, Cr0.AFP_REGISTER, Cr0.VECTOR) == (0x80_0000, 0x4_0000, 0x2_0000)
    assert Cr9.INSTRUCTION_FETCH == 0x4000_0000
    assert Cr14.CHANNEL_REPORT_SUBMASK == 0x1000_0000


def test_machine_check_bits_have_their_values() -> None:
    assert MachineCheckCode.SYSTEM_DAMAGE == 1 << 63
    assert MachineCheckCode.CHANNEL_REPORT_PENDING == 0x0040_0000_0000_0000
    assert MachineCheckCode.CLOCK_COMPARATOR_VALID == 0x1_0000


def test_event_masks_count_from_the_left() -> None:
    assert event_mask(EventType.OPERATOR_COMMAND) == 0x8000_0000
    assert event_mask(EventType.MESSAGE) == 0x4000_0000
    assert event_mask(EventType.ASCII_CONSOLE) == 0x40
    assert event_mask(EventType.SIGNAL_QUIESCE) == 0x8


def test_ultravisor_commands_with_a_block_have_an_installed_bit() -> None:
    assert set(uv.BLOCKS) <= set(uv.INSTALLED_BIT)
    assert len(set(uv.INSTALLED_BIT.values())) == len(uv.INSTALLED_BIT)
    assert uv.BLOCKS[uv.UvCommand.UNPACK_IMAGE].block_size == 0x50
    for block in uv.BLOCKS.values():
        assert block.offset_of("header") == 0


def test_orders_and_functions_have_their_codes() -> None:
    assert (SigpOrder.SENSE, SigpOrder.SET_PREFIX, SigpOrder.SENSE_RUNNING_STATUS) == (1, 13, 21)
    assert SigpStatus.STOPPED == 0x40
    assert (DiagCode.IPL, Diag308Subcode.SET_PARAMETERS) == (0x308, 5)


def test_access_list_entry_token_has_its_parts() -> None:
    token = Alet.new(value=0x0103_0004)
    assert (token.zeros, token.primary_list, token.sequence, token.number) == (0, 1, 3, 4)


def test_state_description_prints_names_and_variants() -> None:
    block = StateDescription.new(cpuflags=0x8000_0800, icptcode=0x20, prefix=2)
    rows = {row.name: row for row in StateDescription.describe(block)}
    assert rows["cpuflags"].meaning == "STOPPED|ZARCH"
    assert rows["icptcode"].meaning == "VALIDITY"
    assert rows["prefix_ibc.prefix"].value == "0x00002"
    assert rows["iprcc (program)"].offset == 0xCE
    assert rows["gpsw.addr"].offset == 0x98
