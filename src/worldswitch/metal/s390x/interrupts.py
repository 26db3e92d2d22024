"""Interruptions: storing the old PSW and the parameters, loading the new PSW, and what is due.

ref: PoP 6 Interruptions.
"""

from worldswitch.arch.s390x.control_registers import Cr0
from worldswitch.arch.s390x.external import ExternalCode
from worldswitch.arch.s390x.lowcore import Lowcore
from worldswitch.arch.s390x.program import ENDINGS, Ending, ProgramCode
from worldswitch.engine import (
    bswap,
    ctz,
    peek_u64,
    poke_u8,
    poke_u16,
    poke_u32,
    poke_u64,
    typed,
    u8,
    u16,
    u32,
    u64,
)
from worldswitch.metal.s390x.dat import lowcore_host
from worldswitch.metal.s390x.machine_check import save_registers
from worldswitch.metal.s390x.pending import (
    PENDING_CLOCK_COMPARATOR,
    PENDING_CP_SERVICE,
    PENDING_CPU_TIMER,
    PENDING_EMERGENCY_SIGNAL,
    PENDING_EXTERNAL_CALL,
    PENDING_INTERRUPT_KEY,
    PENDING_IO,
    PENDING_MACHINE_CHECK,
    PENDING_MALFUNCTION_ALERT,
    PENDING_MEASUREMENT_ALERT,
    PENDING_RESTART,
    PENDING_SERVICE_SIGNAL,
    PENDING_STOP,
    PENDING_TIMING_ALERT,
    PENDING_TOD_SYNC_CHECK,
    PENDING_WARNING_TRACK,
    external_enabled,
    interrupt_enabled_pending,
    io_enabled,
    machine_check_enabled,
)
from worldswitch.metal.s390x.psw import PENDING_EARLY, assemble_psw_mask, load_psw
from worldswitch.metal.s390x.sie.area import take_call
from worldswitch.metal.s390x.sie.events import guest_events
from worldswitch.metal.s390x.sie.program import intercept_program
from worldswitch.metal.s390x.state import Cpu, Record


def _low(name: str) -> int:
    return Lowcore.offset_of(name)


EXT_PARAMS = _low("ext_params")
EXT_CPU_ADDR = _low("ext_cpu_addr")
EXT_INT_CODE = _low("ext_int_code")
EXT_PARAMS2 = _low("ext_params2")
SVC_ILC = _low("svc_ilc")
PGM_ILC = _low("pgm_ilc")
PGM_CODE = _low("pgm_code")
DATA_EXC_CODE = _low("data_exc_code")
MON_CLASS = _low("mon_class")
PER_CODE = _low("per_code")
EXC_ACCESS_ID = _low("exc_access_id")
TEID = _low("teid")
MONITOR_CODE = _low("monitor_code")
SUBCHANNEL = _low("subchannel_id")
IO_PARM = _low("io_int_parm")
IO_WORD = _low("io_int_word")
MCCK_CODE = _low("mcck_code")
EXT_DAMAGE_CODE = _low("ext_damage_code")
FAILING_ADDRESS = _low("failing_storage_address")
BREAKING_EVENT = _low("breaking_event_addr")
RESTART_OLD = _low("restart_old_psw")
EXT_OLD = _low("ext_old_psw")
SVC_OLD = _low("svc_old_psw")
PGM_OLD = _low("pgm_old_psw")
MCCK_OLD = _low("mcck_old_psw")
IO_OLD = _low("io_old_psw")
OLD_TO_NEW = _low("pgm_new_psw") - PGM_OLD
"""Every new PSW lies this far behind its old PSW."""

NULLIFYING = sum(1 << c for c, e in ENDINGS.items() if e[0] is Ending.NULLIFYING and c < 64)
"""Bit n is one if program interruption n nullifies."""
_ACCESS_ID = (
    range(ProgramCode.SEGMENT_TRANSLATION, ProgramCode.PAGE_TRANSLATION + 1),
    range(ProgramCode.ALET_SPECIFICATION, ProgramCode.EXTENDED_AUTHORITY + 1),
    range(ProgramCode.ASCE_TYPE, ProgramCode.SECURE_STORAGE_VIOLATION + 1),
    (ProgramCode.PROTECTION,),
)
WITH_TEID = sum(1 << c for codes in _ACCESS_ID for c in codes) | sum(
    1 << c
    for c in (
        ProgramCode.SPACE_SWITCH,
        ProgramCode.LSTE_SEQUENCE,
        *range(ProgramCode.AFX_TRANSLATION, ProgramCode.LSX_TRANSLATION + 1),
    )
)
"""Bit n is one if program interruption n stores at location 168."""
WITH_ACCESS_ID = sum(1 << c for codes in _ACCESS_ID for c in codes) | (
    1 << ProgramCode.ASTE_INSTANCE
)
"""Bit n is one if program interruption n stores the exception access identification."""
PER_EVENT = int(ProgramCode.PER_EVENT)
WITH_DXC = 1 << ProgramCode.DATA | 1 << ProgramCode.VECTOR_PROCESSING
"""Bit n is one if program interruption n stores a data- or vector-exception code."""
MONITOR_EVENT = int(ProgramCode.MONITOR_EVENT)
PAGE_TRANSLATION = int(ProgramCode.PAGE_TRANSLATION)
SPECIFICATION = int(ProgramCode.SPECIFICATION)
SPACE_SWITCH = int(ProgramCode.SPACE_SWITCH)
AFP_CONTROL = int(Cr0.AFP_REGISTER)
EMERGENCY_WORDS = 4


@typed(leaves=True, inline=False)
def swap_psw(cpu: Cpu, old: u64, address: u64) -> None:
    """Store the current PSW, with `address`, as the old PSW at `old`, and load the new one.

    ref: PoP 6 Interruption Action
    """
    where = lowcore_host(cpu, old)
    poke_u64(where, bswap(assemble_psw_mask(cpu)))
    poke_u64(where + 8, bswap(address))
    mask = bswap(peek_u64(where + OLD_TO_NEW))
    addr = bswap(peek_u64(where + OLD_TO_NEW + 8))
    load_psw(cpu, mask, addr)


@typed(leaves=True, inline=False)
def store_program_codes(cpu: Cpu, code: u64, ilc: u64) -> None:
    """Store what a program interruption stores, except the old PSW.

    ref: PoP 6 Program Interruption
    """
    low = lowcore_host(cpu, 0x80)
    base = low - 0x80
    stored = code
    if cpu.per_code != 0 or code == PER_EVENT:
        stored = code | PER_EVENT
        lowcore_host(cpu, PER_CODE)
        poke_u8(base + PER_CODE, u8(cpu.per_code))
        poke_u8(base + PER_CODE + 1, cpu.per_atmid)
        poke_u64(base + PER_CODE + 2, bswap(cpu.per_address))
        poke_u8(base + EXC_ACCESS_ID + 1, cpu.per_access_id)
        cpu.per_code = 0
    poke_u16(base + PGM_ILC, bswap(u16(ilc)))
    poke_u16(base + PGM_CODE, bswap(u16(stored)))
    if code < 64 and (u64(WITH_TEID) >> code) & 1 != 0:
        poke_u64(base + TEID, bswap(cpu.translation_code))
        if code == PAGE_TRANSLATION:
            poke_u8(base + EXC_ACCESS_ID + 2, cpu.op_access_id)
            cpu.op_access_id = 0
    if code < 64 and (u64(WITH_ACCESS_ID) >> code) & 1 != 0:
        poke_u8(base + EXC_ACCESS_ID, cpu.exc_access_id)
    if code < 64 and (u64(WITH_DXC) >> code) & 1 != 0:
        poke_u32(base + DATA_EXC_CODE, bswap(u32(cpu.data_code)))
        if cpu.cr[0] & AFP_CONTROL != 0:
            cpu.fpc = (cpu.fpc & 0xFFFF_00FF) | (u32(cpu.data_code) << 8)
    if code == MONITOR_EVENT:
        poke_u16(base + MON_CLASS, bswap(u16(cpu.mon_class)))
        poke_u64(base + MONITOR_CODE, bswap(cpu.translation_code))
    poke_u64(lowcore_host(cpu, BREAKING_EVENT), bswap(cpu.breaking))


@typed(leaves=True, inline=False)
def program_interruption(cpu: Cpu, rec: Record) -> None:
    """Take the program interruption `cpu.fault_code` of the instruction `rec`.

    A nullifying one leaves the old PSW at the instruction, the others behind it.
    """
    code = u64(cpu.fault_code)
    address = rec.pc
    if code >= 64 or (u64(NULLIFYING) >> code) & 1 == 0:
        address = (rec.pc + u64(rec.ilen)) & cpu.address_mask
    if code == SPACE_SWITCH:
        # The instruction is completed, and may have branched.
        address = cpu.psw_addr
    intercept_program(cpu, code, u64(rec.ilen), address, rec.text)
    store_program_codes(cpu, code, u64(rec.ilen))
    swap_psw(cpu, PGM_OLD, address)


@typed(leaves=True, inline=False)
def program_interruption_at(cpu: Cpu, ilc: u64, address: u64) -> None:
    """Take the program interruption `cpu.fault_code` with this length and old address."""
    intercept_program(cpu, u64(cpu.fault_code), ilc, address, 0)
    store_program_codes(cpu, u64(cpu.fault_code), ilc)
    swap_psw(cpu, PGM_OLD, address)


@typed(leaves=True, inline=False)
def early_exception(cpu: Cpu) -> bool:
    """If the PSW loaded last is invalid, take its specification exception; was it so?

    ref: PoP 6 Early Exception Recognition
    """
    if cpu.pending & PENDING_EARLY == 0:
        return False
    cpu.pending = cpu.pending & (PENDING_EARLY - 1)
    intercept_program(cpu, SPECIFICATION, 0, cpu.psw_addr, 0)
    store_program_codes(cpu, SPECIFICATION, 0)
    swap_psw(cpu, PGM_OLD, cpu.psw_addr)
    return True


@typed(leaves=True, inline=False)
def svc_interruption(cpu: Cpu, length: u64, number: u64) -> None:
    """SUPERVISOR CALL: `cpu.psw_addr` is the next instruction's. ref: PoP 6."""
    where = lowcore_host(cpu, SVC_ILC)
    poke_u16(where, bswap(u16(length)))
    poke_u16(where + 2, bswap(u16(number)))
    swap_psw(cpu, SVC_OLD, cpu.psw_addr)


@typed(leaves=True, inline=False)
def restart_interruption(cpu: Cpu) -> None:
    """Take a restart interruption; the processor operates from now on."""
    swap_psw(cpu, RESTART_OLD, cpu.psw_addr)
    cpu.running = 1


@typed(leaves=True, inline=False)
def external_interruption(cpu: Cpu, code: u16, source: u16, parameter: u32) -> None:
    """Take an external interruption. `source` is the CPU address or subcode stored with it."""
    where = lowcore_host(cpu, EXT_PARAMS)
    poke_u32(where, bswap(parameter))
    poke_u16(where + 4, bswap(source))
    poke_u16(where + 6, bswap(code))
    swap_psw(cpu, EXT_OLD, cpu.psw_addr)


@typed(leaves=True, inline=False)
def io_interruption(cpu: Cpu, subchannel: u32, parameter: u32, word: u32) -> None:
    """Take an I/O interruption. ref: PoP 6 I/O Interruption."""
    where = lowcore_host(cpu, SUBCHANNEL)
    poke_u32(where, bswap(subchannel))
    poke_u32(where + 4, bswap(parameter))
    poke_u32(where + 8, bswap(word))
    swap_psw(cpu, IO_OLD, cpu.psw_addr)


@typed(leaves=True, inline=False)
def machine_check_interruption(cpu: Cpu, code: u64, damage: u32, address: u64) -> None:
    """Take a machine-check interruption: the registers are saved, the validity bits set.

    ref: PoP 11 Machine-Check Interruption
    """
    valid = save_registers(cpu)
    poke_u64(lowcore_host(cpu, MCCK_CODE), bswap(code | valid))
    poke_u32(lowcore_host(cpu, EXT_DAMAGE_CODE), bswap(damage))
    poke_u64(lowcore_host(cpu, FAILING_ADDRESS), bswap(address))
    swap_psw(cpu, MCCK_OLD, cpu.psw_addr)


@typed(leaves=True, inline=False)
def deliver_emergency(cpu: Cpu) -> None:
    """Take the emergency signal of the lowest CPU address; others stay pending."""
    n: u64 = 0
    while n < EMERGENCY_WORDS - 1 and cpu.emergency[n] == 0:
        n += 1
    word = cpu.emergency[n]
    bit: u64 = 0
    if word != 0:
        bit = ctz(word)
    external_interruption(cpu, EMERGENCY_SIGNAL, u16(n * 64 + bit), 0)
    cpu.emergency[n] = word & (word - 1) if word != 0 else u64(0)
    if cpu.emergency[0] | cpu.emergency[1] | cpu.emergency[2] | cpu.emergency[3] == 0:
        cpu.pending = cpu.pending & NOT_EMERGENCY


ALL = 0xFFFF_FFFF_FFFF_FFFF
NOT_EMERGENCY = ALL ^ PENDING_EMERGENCY_SIGNAL
NOT_IO = ALL ^ PENDING_IO
NOT_MACHINE_CHECK = ALL ^ PENDING_MACHINE_CHECK
NOT_RESTART = ALL ^ PENDING_RESTART
NOT_STOP = ALL ^ PENDING_STOP
INTERRUPT_KEY = int(ExternalCode.INTERRUPT_KEY)
EMERGENCY_SIGNAL = int(ExternalCode.EMERGENCY_SIGNAL)
MALFUNCTION_ALERT = int(ExternalCode.MALFUNCTION_ALERT)
EXTERNAL_CALL = int(ExternalCode.EXTERNAL_CALL)
TOD_SYNC_CHECK = int(ExternalCode.TOD_CLOCK_SYNC_CHECK)
CLOCK_COMPARATOR = int(ExternalCode.CLOCK_COMPARATOR)
CPU_TIMER = int(ExternalCode.CPU_TIMER)
WARNING_TRACK = int(ExternalCode.WARNING_TRACK)
TIMING_ALERT = int(ExternalCode.TIMING_ALERT)
MEASUREMENT_ALERT = int(ExternalCode.MEASUREMENT_ALERT)
SERVICE_SIGNAL = int(ExternalCode.SERVICE_SIGNAL)
CP_SERVICE = int(ExternalCode.CP_SERVICE)
IUCV = int(ExternalCode.IUCV)


@typed(leaves=True, inline=False)
def deliver_external(cpu: Cpu, enabled: u64) -> None:
    """Take the external interruption of the highest priority in `enabled` (nonzero)."""
    bit = enabled & (0 - enabled)
    if bit == PENDING_EMERGENCY_SIGNAL:
        deliver_emergency(cpu)
        return
    code: u16 = IUCV
    source: u16 = 0
    parameter: u32 = 0
    if bit == PENDING_INTERRUPT_KEY:
        code = INTERRUPT_KEY
    elif bit == PENDING_MALFUNCTION_ALERT:
        code = MALFUNCTION_ALERT
        source = cpu.malfunction_cpu
    elif bit == PENDING_EXTERNAL_CALL:
        code = EXTERNAL_CALL
        source = cpu.ext_call
    elif bit == PENDING_TOD_SYNC_CHECK:
        code = TOD_SYNC_CHECK
    elif bit == PENDING_CLOCK_COMPARATOR:
        code = CLOCK_COMPARATOR
    elif bit == PENDING_CPU_TIMER:
        code = CPU_TIMER
    elif bit == PENDING_WARNING_TRACK:
        code = WARNING_TRACK
    elif bit == PENDING_TIMING_ALERT:
        code = TIMING_ALERT
    elif bit == PENDING_MEASUREMENT_ALERT:
        code = MEASUREMENT_ALERT
    elif bit == PENDING_SERVICE_SIGNAL:
        code = SERVICE_SIGNAL
        parameter = cpu.service_parameter
    elif bit == PENDING_CP_SERVICE:
        code = CP_SERVICE
        source = cpu.cp_subcode
        parameter = cpu.cp_parameter
        poke_u64(lowcore_host(cpu, EXT_PARAMS2), bswap(cpu.cp_parameter64))
    external_interruption(cpu, code, source, parameter)
    cpu.pending = cpu.pending & (bit ^ ALL)
    if bit == PENDING_SERVICE_SIGNAL:
        cpu.service_parameter = 0


@typed(leaves=True, inline=False)
def deliver_io(cpu: Cpu, enabled: u64) -> None:
    """Take the I/O interruption of the lowest-numbered subclass in `enabled` (nonzero)."""
    n: u64 = 0
    while (enabled >> (7 - n)) & 1 == 0:
        n += 1
    io_interruption(cpu, cpu.io_subchannel[n], cpu.io_parameter[n], cpu.io_word[n])
    cpu.io_classes = cpu.io_classes & (u8(0xFF) ^ (u8(0x80) >> u8(n)))
    if cpu.io_classes == 0:
        cpu.pending = cpu.pending & NOT_IO


@typed(leaves=True, inline=False)
def deliver_pending(cpu: Cpu) -> bool:
    """Take one pending and enabled interruption, by priority, or stop; was there one?

    ref: PoP 6 Priority of Interruptions
    """
    if early_exception(cpu):
        return True
    if cpu.in_sie != 0:
        own = guest_events(cpu)
        if own != 0:
            hosts = cpu.pending
            deliver_external(cpu, own)
            cpu.pending = cpu.pending | (hosts & PENDING_EXTERNAL_CALL)
            if own == PENDING_EXTERNAL_CALL:
                take_call(cpu)
        return own != 0
    if machine_check_enabled(cpu):
        machine_check_interruption(cpu, cpu.mchk_code, cpu.mchk_damage_code, cpu.mchk_address)
        cpu.pending = cpu.pending & NOT_MACHINE_CHECK
        cpu.mchk_code = 0
        return True
    external = external_enabled(cpu)
    if external != 0:
        deliver_external(cpu, external)
        return True
    io = io_enabled(cpu)
    if io != 0:
        deliver_io(cpu, io)
        return True
    if cpu.pending & PENDING_RESTART != 0:
        restart_interruption(cpu)
        cpu.pending = cpu.pending & NOT_RESTART
        return True
    if cpu.pending & PENDING_STOP != 0:
        # Every enabled interruption has been taken: the stop comes last.
        cpu.pending = cpu.pending & NOT_STOP
        cpu.running = 0
        return True
    return False


__all__ = [
    "deliver_pending",
    "early_exception",
    "external_interruption",
    "interrupt_enabled_pending",
    "io_interruption",
    "machine_check_interruption",
    "program_interruption",
    "program_interruption_at",
    "restart_interruption",
    "svc_interruption",
    "swap_psw",
]
