"""Intercepts that depend on operands: each leaves the guest with #VMEXIT, or does nothing.

UNMODELLED: FERR_FREEZE (there is no FERR# pin), RDPRU, SKINIT, MCOMMIT, INVLPGB and TLBSYNC (such
instructions are #UD), write traps and bus locks (of guests with encrypted state, and of processors
with their threshold).

Outside of a guest all of `cpu.intercepts` is zero, so that a check costs one test. Call them after
the exceptions that APM2 15.7 puts before the intercept (privilege level, undefined opcode, the I/O
permission bitmap of the TSS), and before anything has changed.
"""

from worldswitch.arch.x86.permission_maps import MSRPM_RANGES, MSRS_PER_RANGE
from worldswitch.arch.x86.registers import CR0_SELECTIVE
from worldswitch.arch.x86.svm_controls import Intercept1
from worldswitch.arch.x86.svm_exits import IOIO_PORT_SHIFT, MOV_CR, IoioInfo, SvmExit
from worldswitch.engine import peek_u8, typed, u64
from worldswitch.metal.x86.leave import vmexit
from worldswitch.metal.x86.physical import is_memory
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.svm.features import (
    SVM_DECODE_ASSISTS,
    SVM_PAUSE_FILTER,
    SVM_PF_THRESHOLD,
)
from worldswitch.metal.x86.timers import instructions

NO_MOV = 32
"""In place of a general register's number: the instruction was SMSW, LMSW or CLTS."""
LOW_RANGE, MIDDLE_RANGE, HIGH_RANGE = (first for first, _offset in MSRPM_RANGES)
LOW_OFFSET, MIDDLE_OFFSET, HIGH_OFFSET = (offset for _first, offset in MSRPM_RANGES)
SELECTIVE = ~int(CR0_SELECTIVE) & 0xFFFF_FFFF_FFFF_FFFF


@typed
def is_intercepted(cpu: Cpu, number: u64) -> bool:
    """Whether an intercept is set: `32 * vector + bit`, which is its exit code too."""
    return (u64(cpu.intercepts[number >> 5]) >> (number & 31)) & 1 != 0


@typed(leaves=True)
def intercept_plain(cpu: Cpu, number: u64) -> None:
    """An instruction whose exit has no information: `number` is intercept and exit code alike."""
    if is_intercepted(cpu, number):
        vmexit(cpu, number, 0, 0)


@typed(leaves=True)
def intercept_with(cpu: Cpu, number: u64, info1: u64, info2: u64) -> None:
    """An instruction whose exit has information."""
    if is_intercepted(cpu, number):
        vmexit(cpu, number, info1, info2)


@typed
def mov_info(cpu: Cpu, gpr: u64, mov: u64) -> u64:
    """EXITINFO1 of a control or debug register's move. ref: APM2 15.8.1"""
    if gpr >= NO_MOV or cpu.svm_features & SVM_DECODE_ASSISTS == 0:
        return 0
    return gpr | mov


@typed(leaves=True)
def intercept_cr_read(cpu: Cpu, n: u64, gpr: u64) -> None:
    """MOV from CRn to general register `gpr`, or SMSW (n = 0, NO_MOV)."""
    if (cpu.intercepts[0] >> n) & 1 != 0:
        vmexit(cpu, SvmExit.CR0_READ + n, mov_info(cpu, gpr, MOV_CR), 0)


@typed(leaves=True, inline=False)
def intercept_cr_write(cpu: Cpu, n: u64, gpr: u64, value: u64) -> None:
    """MOV of `value` to CRn, or LMSW and CLTS (n = 0, NO_MOV).

    For CR0 the value decides about the selective intercept; LMSW's has to be the whole register
    that it would make. CLTS changes TS alone and so never meets it. ref: APM2 15.9
    """
    if (cpu.intercepts[0] >> (n + 16)) & 1 != 0:
        vmexit(cpu, SvmExit.CR0_WRITE + n, mov_info(cpu, gpr, MOV_CR), 0)
    selective = n == 0 and cpu.intercepts[3] & Intercept1.CR0_SEL_WRITE != 0
    if selective and (cpu.cr0 ^ value) & SELECTIVE != 0:
        vmexit(cpu, SvmExit.CR0_SEL_WRITE, mov_info(cpu, gpr, MOV_CR), 0)


@typed(leaves=True)
def intercept_dr_read(cpu: Cpu, n: u64, gpr: u64) -> None:
    """MOV from DRn."""
    if (cpu.intercepts[1] >> n) & 1 != 0:
        vmexit(cpu, SvmExit.DR0_READ + n, mov_info(cpu, gpr, 0), 0)


@typed(leaves=True)
def intercept_dr_write(cpu: Cpu, n: u64, gpr: u64) -> None:
    """MOV to DRn."""
    if (cpu.intercepts[1] >> (n + 16)) & 1 != 0:
        vmexit(cpu, SvmExit.DR0_WRITE + n, mov_info(cpu, gpr, 0), 0)


@typed(leaves=True)
def intercept_msr(cpu: Cpu, msr: u64, write: bool) -> None:
    """RDMSR or WRMSR, after the check of the privilege level and before all others."""
    if cpu.intercepts[3] & Intercept1.MSR_PROT != 0:
        check_msr_map(cpu, msr, u64(write))


@typed
def map_byte(cpu: Cpu, address: u64) -> u64:
    """A byte of a permission map; what is not memory reads as ones."""
    if is_memory(cpu, address):
        return u64(peek_u8(cpu.ram + address))
    return 0xFF


@typed(leaves=True, inline=False)
def check_msr_map(cpu: Cpu, msr: u64, write: u64) -> None:
    """#VMEXIT(MSR) if the map says so, or has no bit for the MSR. ref: APM2 15.11"""
    at: u64 = 0
    number = msr
    known = True
    if msr < LOW_RANGE + MSRS_PER_RANGE:
        at = LOW_OFFSET
    elif msr >= MIDDLE_RANGE and msr < MIDDLE_RANGE + MSRS_PER_RANGE:
        at = MIDDLE_OFFSET
        number = msr - MIDDLE_RANGE
    elif msr >= HIGH_RANGE and msr < HIGH_RANGE + MSRS_PER_RANGE:
        at = HIGH_OFFSET
        number = msr - HIGH_RANGE
    else:
        known = False
    if known:
        byte = map_byte(cpu, cpu.msrpm + at + (number >> 2))
        if (byte >> ((number & 3) * 2 + write)) & 1 == 0:
            return
    vmexit(cpu, SvmExit.MSR, write, 0)


@typed(leaves=True)
def intercept_io(cpu: Cpu, port: u64, size: u64, info: u64, next_rip: u64) -> None:
    """An access of 1, 2 or 4 bytes to a port, after the checks of IOPL and the TSS's bitmap.

    info: IN, STR and REP of IoioInfo, with `io_address` for the string forms. next_rip: of the
    instruction behind it.
    """
    if cpu.intercepts[3] & Intercept1.IOIO_PROT != 0:
        check_io_map(cpu, port, size, info, next_rip)


@typed
def io_address(address_size: u64, segment: u64) -> u64:
    """The part of `info` that INS and OUTS add: address size in bytes, number of the segment."""
    bits: u64 = IoioInfo.A64
    if address_size == 2:
        bits = u64(IoioInfo.A16)
    elif address_size == 4:
        bits = u64(IoioInfo.A32)
    return bits | (segment << 10)


@typed(leaves=True, inline=False)
def check_io_map(cpu: Cpu, port: u64, size: u64, info: u64, next_rip: u64) -> None:
    """#VMEXIT(IOIO) if the map has a one for any of the ports. ref: APM2 15.10"""
    here = cpu.iopm + (port >> 3)
    bits = map_byte(cpu, here) | (map_byte(cpu, here + 1) << 8)
    if (bits >> (port & 7)) & ((u64(1) << size) - 1) == 0:
        return
    vmexit(cpu, SvmExit.IOIO, info | (size << 4) | (port << IOIO_PORT_SHIFT), next_rip)


@typed(leaves=True)
def intercept_software(cpu: Cpu, vector: u64) -> None:
    """INT n, before its exceptions. ref: APM2 15.8.2"""
    if cpu.intercepts[3] & Intercept1.INTN != 0:
        vmexit(cpu, SvmExit.SWINT, assist(cpu, vector), 0)


@typed(leaves=True)
def intercept_invlpg(cpu: Cpu, address: u64) -> None:
    """INVLPG of a linear address, after the check of the privilege level. ref: APM2 15.8.3"""
    if cpu.intercepts[3] & Intercept1.INVLPG != 0:
        vmexit(cpu, SvmExit.INVLPG, assist(cpu, address), 0)


@typed
def assist(cpu: Cpu, value: u64) -> u64:
    """What EXITINFO1 holds on a processor with decode assists alone."""
    if cpu.svm_features & SVM_DECODE_ASSISTS == 0:
        return 0
    return value


@typed(leaves=True)
def intercept_task_switch(cpu: Cpu, selector: u64, info: u64) -> None:
    """A task switch to a TSS, before anything of it. info: TaskSwitchInfo and the error code."""
    if cpu.intercepts[3] & Intercept1.TASK_SWITCH != 0:
        vmexit(cpu, SvmExit.TASK_SWITCH, selector, info)


@typed(leaves=True)
def intercept_pause(cpu: Cpu) -> None:
    """PAUSE."""
    if cpu.intercepts[3] & Intercept1.PAUSE != 0:
        filter_pause(cpu)


@typed(leaves=True, inline=False)
def filter_pause(cpu: Cpu) -> None:
    """#VMEXIT(PAUSE) when the filter's counter is used up. ref: APM2 15.14.4

    The time between PAUSEs is in executed instructions.
    """
    if cpu.svm_features & SVM_PAUSE_FILTER != 0:
        now = instructions(cpu)
        reload = cpu.svm_features & SVM_PF_THRESHOLD != 0 and cpu.pause_threshold != 0
        if reload and now - cpu.pause_last > u64(cpu.pause_threshold):
            cpu.pause_left = cpu.pause_count
        cpu.pause_last = now
        if cpu.pause_left != 0:
            cpu.pause_left = cpu.pause_left - 1
            return
    vmexit(cpu, SvmExit.PAUSE, 0, 0)


@typed(leaves=True)
def intercept_mwait(cpu: Cpu, armed: bool) -> None:
    """MWAIT; the conditional intercept is for a monitor that is armed."""
    if armed:
        intercept_with(cpu, SvmExit.MWAIT_CONDITIONAL, 0, 0)
    intercept_with(cpu, SvmExit.MWAIT, u64(armed), 0)
