"""The assigned storage locations: the first 8 KiB of real storage.

Interruptions store their parameters and the old PSW here and load the new one; store-status and
machine checks save registers here. Offsets are real addresses.
"""

from worldswitch.arch.control_block import (
    ControlBlock,
    at,
    control_block,
    u8,
    u16,
    u32,
    u32s,
    u64,
    u64s,
)
from worldswitch.arch.s390x.external import ExternalCode
from worldswitch.arch.s390x.machine_check import MachineCheckCode
from worldswitch.arch.s390x.program import PerAtmid, PerCode
from worldswitch.arch.s390x.psw import Psw

SIZE = 0x2000
ASSIGNED = "PoP 3 Assigned Storage Locations"


@control_block(size=SIZE, byteorder="big", ref=ASSIGNED)
class Lowcore(ControlBlock):
    """Real locations 0 to 8191 in the z/Architecture mode."""

    ipl_psw: u64 = at(0x0000, ref="PoP 17 Initial Program Loading", doc="short PSW loaded by IPL")
    ipl_ccw1: u64 = at(0x0008, ref="PoP 17 Initial Program Loading")
    ipl_ccw2: u64 = at(0x0010, ref="PoP 17 Initial Program Loading")

    ext_params: u32 = at(0x0080, ref="PoP 6 External Interruption", doc="external parameter")
    ext_cpu_addr: u16 = at(0x0084, ref="PoP 6 External Interruption", doc="signalling CPU")
    ext_int_code: u16 = at(0x0086, ref="PoP 6 External Interruption", names=ExternalCode)
    svc_ilc: u16 = at(0x0088, ref="PoP 6 Supervisor-Call Interruption", doc="length, 2 4 or 6")
    svc_code: u16 = at(0x008A, ref="PoP 6 Supervisor-Call Interruption")
    pgm_ilc: u16 = at(0x008C, ref="PoP 6 Program Interruption", doc="length, 0 2 4 or 6")
    pgm_code: u16 = at(0x008E, ref="PoP 6 Program Interruption")
    data_exc_code: u32 = at(0x0090, ref="PoP 6 Data Exception", doc="DXC or VXC in byte 3")
    mon_class: u16 = at(0x0094, ref="PoP 6 Monitor Event", doc="monitor class number")
    per_code: u8 = at(0x0096, ref="PoP 4 PER Events", names=PerCode)
    per_atmid: u8 = at(0x0097, ref="PoP 4 PER Events", names=PerAtmid)
    per_address: u64 = at(0x0098, ref="PoP 4 PER Events")
    exc_access_id: u8 = at(0x00A0, ref="PoP 6 Program Interruption", doc="access register")
    per_access_id: u8 = at(0x00A1, ref="PoP 4 PER Events", doc="access register")
    op_access_id: u8 = at(0x00A2, ref="PoP 6 Program Interruption", doc="MVPG: R1 and R2")
    arch_mode_id: u8 = at(0x00A3, ref="PoP 4 Store Status", doc="bit 7: z/Architecture")
    teid: u64 = at(0x00A8, ref="PoP 3 Translation-Exception Identification")
    monitor_code: u64 = at(0x00B0, ref="PoP 6 Monitor Event")
    subchannel_id: u16 = at(0x00B8, ref="PoP 6 I/O Interruption", doc="0001 with one set")
    subchannel_nr: u16 = at(0x00BA, ref="PoP 6 I/O Interruption")
    io_int_parm: u32 = at(0x00BC, ref="PoP 6 I/O Interruption")
    io_int_word: u32 = at(0x00C0, ref="PoP 6 I/O Interruption", doc="identification word")
    stfl_fac_list: u32 = at(0x00C8, ref="PoP 10 STORE FACILITY LIST")
    mcck_code: u64 = at(
        0x00E8, ref="PoP 11 Machine-Check Interruption Code", names=MachineCheckCode
    )
    ext_damage_code: u32 = at(0x00F4, ref="PoP 11 External-Damage Code")
    failing_storage_address: u64 = at(0x00F8, ref="PoP 11 Failing-Storage Address")
    emon_array_origin: u64 = at(0x0100, ref="PoP 6 Monitor Event")
    emon_array_size: u32 = at(0x0108, ref="PoP 6 Monitor Event")
    emon_exception_count: u32 = at(0x010C, ref="PoP 6 Monitor Event")
    breaking_event_addr: u64 = at(0x0110, ref="PoP 4 Breaking-Event-Address Recording")

    restart_old_psw: Psw = at(0x0120, ref="PoP 6 Restart Interruption")
    ext_old_psw: Psw = at(0x0130, ref="PoP 6 External Interruption")
    svc_old_psw: Psw = at(0x0140, ref="PoP 6 Supervisor-Call Interruption")
    pgm_old_psw: Psw = at(0x0150, ref="PoP 6 Program Interruption")
    mcck_old_psw: Psw = at(0x0160, ref="PoP 6 Machine-Check Interruption")
    io_old_psw: Psw = at(0x0170, ref="PoP 6 I/O Interruption")
    restart_new_psw: Psw = at(0x01A0, ref="PoP 6 Restart Interruption")
    ext_new_psw: Psw = at(0x01B0, ref="PoP 6 External Interruption")
    svc_new_psw: Psw = at(0x01C0, ref="PoP 6 Supervisor-Call Interruption")
    pgm_new_psw: Psw = at(0x01D0, ref="PoP 6 Program Interruption")
    mcck_new_psw: Psw = at(0x01E0, ref="PoP 6 Machine-Check Interruption")
    io_new_psw: Psw = at(0x01F0, ref="PoP 6 I/O Interruption")

    mcesad: u64 = at(0x11B0, ref="PoP 11 Machine-Check Extended Save Area", doc="origin, size")
    ext_params2: u64 = at(0x11B8, ref="PoP 6 External Interruption", doc="64-bit parameter")

    fpr_save: u64s = at(0x1200, count=16, ref="PoP 4 Store Status")
    gpr_save: u64s = at(0x1280, count=16, ref="PoP 4 Store Status")
    psw_save: Psw = at(0x1300, ref="PoP 4 Store Status")
    prefix_save: u32 = at(0x1318, ref="PoP 4 Store Status")
    fpc_save: u32 = at(0x131C, ref="PoP 4 Store Status")
    todpr_save: u32 = at(0x1324, ref="PoP 4 Store Status")
    cpu_timer_save: u64 = at(0x1328, ref="PoP 4 Store Status")
    clock_comp_save: u64 = at(0x1330, ref="PoP 4 Store Status", doc="bits 0-55 from 1331 on")
    access_regs_save: u32s = at(0x1340, count=16, ref="PoP 4 Store Status")
    control_regs_save: u64s = at(0x1380, count=16, ref="PoP 4 Store Status")
    pgm_tdb: bytes = at(0x1800, size=0x100, ref="PoP 5 Transaction Diagnostic Block")


# Absolute or real address of the save areas that SIGP STORE STATUS AT ADDRESS writes: they are the
# lowcore's 0x1200 to 0x13ff, moved to the designated address.
STATUS_AREA_OFFSET = 0x1200
STATUS_AREA_SIZE = 0x200
