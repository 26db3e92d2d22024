"""RDMSR and WRMSR: a register for each number, #GP(0) for the rest. ref: APM2 A"""

from worldswitch.arch.x86.msrs import Hwcr, Msr, VmCr
from worldswitch.arch.x86.registers import Efer
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.apic import (
    apic_base_written,
    arm_deadline,
    x2apic_read,
    x2apic_write,
)
from worldswitch.metal.x86.control import write_efer
from worldswitch.metal.x86.leave import general_protection
from worldswitch.metal.x86.mode import update_mode
from worldswitch.metal.x86.paging import canonical
from worldswitch.metal.x86.state import FS, GS, Cpu
from worldswitch.metal.x86.timers import TSC_RATIO, clock_now, tsc_now, visible_tsc

KEPT = (
    Msr.MCG_STATUS, Msr.SPEC_CTRL, Msr.HWCR, Msr.TOP_MEM, Msr.TOP_MEM2, Msr.NB_CFG,
    Msr.INT_PENDING, Msr.LS_CFG, Msr.IC_CFG, Msr.DC_CFG, Msr.DE_CFG, Msr.SYSCFG,
    Msr.IORR_BASE0, Msr.IORR_MASK0, Msr.SMM_ADDR, Msr.SMM_MASK, Msr.IGNNE,
    Msr.PERF_LEGACY_CTL0, Msr.PERF_LEGACY_CTL1, Msr.PERF_LEGACY_CTL2, Msr.PERF_LEGACY_CTL3,
    Msr.PERF_LEGACY_CTR0, Msr.PERF_LEGACY_CTR1, Msr.PERF_LEGACY_CTR2, Msr.PERF_LEGACY_CTR3,
    Msr.MMIO_CFG_BASE, Msr.TSC_RATIO,
)  # fmt: skip
"""MSRs that keep what is written to them: `misc_msrs` in this order.

UNMODELLED: performance counters do not count, and there are no caches to configure.
"""
assert KEPT.index(Msr.TSC_RATIO) == TSC_RATIO
ZEROS = (
    Msr.PATCH_LOADER_SIG, Msr.MCG_CAP, Msr.PATCH_LOADER, Msr.PRED_CMD, Msr.OSVW_STATUS,
    Msr.P5_MC_ADDR, Msr.P5_MC_TYPE, Msr.PLATFORM_ID, Msr.FLUSH_CMD,
)  # fmt: skip
"""MSRs that read as zero and ignore writes."""
MTRRCAP_VALUE = 0x508
"""Eight variable ranges, fixed ranges, write-combining. ref: APM2 7.7.5"""


def _number_table(numbers: tuple[int, ...], name: str):  # type: ignore[no-untyped-def]
    """A function from an MSR's number to its index in a tuple plus one, or 0."""

    def chain(position: int):  # type: ignore[no-untyped-def]
        number, answer = int(numbers[position]), position + 1
        if position + 1 == len(numbers):

            @typed(name=f"{name}_{position}")
            def last(msr: u64) -> u64:
                if msr == number:
                    return answer
                return 0

            return last
        rest = chain(position + 1)

        @typed(name=f"{name}_{position}")
        def find(msr: u64) -> u64:
            if msr == number:
                return answer
            return rest(msr)

        return find

    return chain(0)


kept = _number_table(KEPT, "kept_msr")
zero = _number_table(ZEROS, "zero_msr")


@typed(leaves=True, inline=False)
def unknown_msr(cpu: Cpu, msr: u64) -> None:
    """An MSR that does not exist here: counted, #GP(0)."""
    cpu.unknown_msr = msr
    cpu.unknown_msr_count += 1
    general_protection(cpu)


@typed(leaves=True, inline=False)
def read_msr(cpu: Cpu, msr: u64) -> u64:
    """The value of an MSR; #GP(0) if there is none."""
    if msr == Msr.FS_BASE:
        return cpu.seg_base[FS]
    if msr == Msr.GS_BASE:
        return cpu.seg_base[GS]
    if msr == Msr.KERNEL_GS_BASE:
        return cpu.kernel_gs_base
    if msr == Msr.EFER:
        return cpu.efer
    if msr == Msr.TSC:
        return visible_tsc(cpu, tsc_now(cpu))
    if msr == Msr.TSC_DEADLINE:
        return cpu.apic_deadline
    if msr >= 0x800 and msr < 0x900:
        return x2apic_read(cpu, msr)
    if msr == Msr.APIC_BASE:
        return cpu.apic_base
    if msr == Msr.STAR:
        return cpu.star
    if msr == Msr.LSTAR:
        return cpu.lstar
    if msr == Msr.CSTAR:
        return cpu.cstar
    if msr == Msr.SFMASK:
        return cpu.sfmask
    if msr == Msr.TSC_AUX:
        return cpu.tsc_aux
    if msr == Msr.SYSENTER_CS:
        return cpu.sysenter_cs
    if msr == Msr.SYSENTER_ESP:
        return cpu.sysenter_esp
    if msr == Msr.SYSENTER_EIP:
        return cpu.sysenter_eip
    if msr == Msr.PAT:
        return cpu.pat
    if msr == Msr.MTRRCAP:
        return MTRRCAP_VALUE
    if msr == Msr.MTRR_DEF_TYPE:
        return cpu.mtrr_def_type
    if msr >= Msr.MTRR_PHYS_BASE0 and msr < Msr.MTRR_PHYS_BASE0 + 16:
        return cpu.mtrr_variable[msr - Msr.MTRR_PHYS_BASE0]
    fixed = fixed_range(msr)
    if fixed != 0:
        return cpu.mtrr_fixed[fixed - 1]
    if msr == Msr.DEBUGCTL:
        return cpu.debugctl
    if msr == Msr.LAST_BRANCH_FROM:
        return cpu.last_branch_from
    if msr == Msr.LAST_BRANCH_TO:
        return cpu.last_branch_to
    if msr == Msr.LAST_EXCEPTION_FROM:
        return cpu.last_exception_from
    if msr == Msr.LAST_EXCEPTION_TO:
        return cpu.last_exception_to
    if msr == Msr.VM_CR:
        return cpu.vm_cr
    if msr == Msr.VM_HSAVE_PA:
        return cpu.hsave
    if msr == Msr.SMBASE:
        return cpu.smbase
    if msr == Msr.XSS:
        return cpu.xss
    if zero(msr) != 0:
        return 0
    index = kept(msr)
    if index == 0:
        unknown_msr(cpu, msr)
    return cpu.misc_msrs[index - 1]


@typed
def fixed_range(msr: u64) -> u64:
    """The number of a fixed-range MTRR plus one, or 0."""
    if msr == Msr.MTRR_FIX_64K_00000:
        return 1
    if msr == Msr.MTRR_FIX_16K_80000 or msr == Msr.MTRR_FIX_16K_A0000:
        return msr - Msr.MTRR_FIX_16K_80000 + 2
    if msr >= Msr.MTRR_FIX_4K_C0000 and msr <= Msr.MTRR_FIX_4K_F8000:
        return msr - Msr.MTRR_FIX_4K_C0000 + 4
    return 0


@typed(leaves=True)
def address_value(cpu: Cpu, value: u64) -> u64:
    """A value that has to be a canonical address."""
    if not canonical(cpu, value):
        general_protection(cpu)
    return value


@typed
def memory_types(value: u64) -> bool:
    """Whether every byte is a memory type of the PAT. ref: APM2 7.8.2"""
    n: u64 = 0
    while n < 8:
        kind = (value >> (n * 8)) & 0xFF
        if kind > 7 or kind == 2 or kind == 3:
            return False
        n += 1
    return True


@typed(leaves=True, inline=False)
def write_msr(cpu: Cpu, msr: u64, value: u64) -> None:
    """Write an MSR; #GP(0) if there is none, or for a value that it does not take."""
    if msr == Msr.FS_BASE:
        cpu.seg_base[FS] = address_value(cpu, value)
    elif msr == Msr.GS_BASE:
        cpu.seg_base[GS] = address_value(cpu, value)
    elif msr == Msr.KERNEL_GS_BASE:
        cpu.kernel_gs_base = address_value(cpu, value)
    elif msr == Msr.TSC_DEADLINE:
        arm_deadline(cpu, value)
    elif msr >= 0x800 and msr < 0x900:
        x2apic_write(cpu, msr, value)
    elif msr == Msr.EFER:
        write_efer(cpu, value)
    elif msr == Msr.TSC:
        cpu.tsc_offset = value - clock_now(cpu)
    elif msr == Msr.APIC_BASE:
        apic_base_written(cpu, value)
    elif msr == Msr.STAR:
        cpu.star = value
    elif msr == Msr.LSTAR:
        cpu.lstar = address_value(cpu, value)
    elif msr == Msr.CSTAR:
        cpu.cstar = address_value(cpu, value)
    elif msr == Msr.SFMASK:
        cpu.sfmask = value & 0xFFFF_FFFF
    elif msr == Msr.TSC_AUX:
        cpu.tsc_aux = value & 0xFFFF_FFFF
    elif msr == Msr.SYSENTER_CS:
        cpu.sysenter_cs = value & 0xFFFF
    elif msr == Msr.SYSENTER_ESP:
        cpu.sysenter_esp = address_value(cpu, value)
    elif msr == Msr.SYSENTER_EIP:
        cpu.sysenter_eip = address_value(cpu, value)
    elif msr == Msr.PAT:
        if not memory_types(value):
            general_protection(cpu)
        cpu.pat = value
    elif msr == Msr.MTRR_DEF_TYPE:
        cpu.mtrr_def_type = value & 0xCFF
    elif msr >= Msr.MTRR_PHYS_BASE0 and msr < Msr.MTRR_PHYS_BASE0 + 16:
        cpu.mtrr_variable[msr - Msr.MTRR_PHYS_BASE0] = value
    elif fixed_range(msr) != 0:
        cpu.mtrr_fixed[fixed_range(msr) - 1] = value
    elif msr == Msr.DEBUGCTL:
        cpu.debugctl = value & 0x3F
        update_mode(cpu)
    elif msr == Msr.LAST_BRANCH_FROM:
        cpu.last_branch_from = value
    elif msr == Msr.LAST_BRANCH_TO:
        cpu.last_branch_to = value
    elif msr == Msr.LAST_EXCEPTION_FROM:
        cpu.last_exception_from = value
    elif msr == Msr.LAST_EXCEPTION_TO:
        cpu.last_exception_to = value
    elif msr == Msr.VM_CR:
        # LOCK keeps itself and SVMDIS as they are. ref: APM2 15.30.1
        if value & VmCr.SVMDIS != 0 and cpu.efer & Efer.SVME != 0:
            general_protection(cpu)
        held = cpu.vm_cr & 0x18
        if cpu.vm_cr & 8 != 0:
            cpu.vm_cr = (value & 7) | held
        else:
            cpu.vm_cr = value & 0x1F
    elif msr == Msr.VM_HSAVE_PA:
        if value & 0xFFF != 0 or value & ~cpu.physical_mask != 0:
            general_protection(cpu)
        cpu.hsave = value
    elif msr == Msr.SMBASE:
        cpu.smbase = value & 0xFFFF_FFFF
    elif msr == Msr.XSS:
        if value != 0:
            general_protection(cpu)
    elif zero(msr) == 0:
        index = kept(msr)
        if index == 0:
            unknown_msr(cpu, msr)
        if msr == Msr.HWCR:
            value = value | u64(Hwcr.TSC_FREQ_SEL)
        cpu.misc_msrs[index - 1] = value
